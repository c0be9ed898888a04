"""Other processes: whether they live, and how to learn of their end."""

import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from throwaway.errors import ClusterError


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; the name before it may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def start_time(pid: int) -> str | None:
    """Return when the process began, in ticks; None where there is none. With the pid it is the process's identity."""
    try:
        fields = stat_fields(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]  # a zombie has given everything back


def identity(pid: int) -> str:
    """Return `<pid>-<start>`: unlike a pid it is never used twice until the machine starts again."""
    return f"{pid}-{start_time(pid)}"


def lives(who: str) -> bool:
    """Return whether the process of that identity still runs."""
    pid, _, started = who.partition("-")
    return pid.isdigit() and start_time(int(pid)) == started


def children(pid: int) -> list[int]:
    """Return the pids of a process's children; none where it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def has_ended(pidfd: int, *, within_s: float = 0.0) -> bool:
    """Return whether the process behind a pidfd has ended, waiting that long; works across PID namespaces."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def run(*command: object, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed.

    Raises:
        ClusterError: It failed.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False)
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        raise ClusterError(f"{' '.join(words)}: {said.strip() or f'exit status {done.returncode}'}")
    return said


def wait_until(check: Callable[[], object], what: str, *, timeout_s: float) -> None:
    """Return once `check` holds.

    Raises:
        ClusterError: It did not, in time.
    """
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(0.05)
