"""The process outside: it starts the supervisor, waits for the end, and removes what the kernel does not.

Killed processes clean up nothing, so keeper and supervisor do it for each other:

* a component ends, or the supervisor is killed: the keeper removes the control groups and the folder;
* the keeper is killed: the supervisor does;
* `down`, or the owner's end (a test run's, say): the keeper ends the supervisor and does.

The supervisor's end is the end of all components: they ask the kernel for it, and at level `node` it is the init of
their PID namespace, with which mounts, links, routes and nft rules go as well.
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from throwaway import cgroups
from throwaway.errors import ClusterError
from throwaway.pki import make_pki, write_kubeconfig
from throwaway.ports import listen
from throwaway.processes import children, identity, start_time, wait_until
from throwaway.state import State

HERE = Path(__file__).parents[1]


def keep(state: State, level: str, *, owner: int | None) -> int:
    """Keep a cluster until it is told to stop, its owner ends, or it breaks. Returns an exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    was_asked, supervisor = False, None
    try:
        supervisor = start_supervisor(state, level)
        was_asked = wait_for_end(supervisor, owner)
    except KeyboardInterrupt:
        was_asked = True
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if supervisor:
            end(supervisor)
        cgroups.remove(identity(os.getpid()))
        state.remove(but_logs=not was_asked)
    return 0 if was_asked else 1


def start_supervisor(state: State, level: str) -> subprocess.Popen[bytes]:
    make_pki(state.pki)
    isolated = ["unshare", "--pid", "--mount", "--mount-proc", "--net", "--fork", "--kill-child"]
    keeper_fd = os.pidfd_open(os.getpid())
    with listen() as listener, (state.logs / "supervisor.log").open("wb") as log:
        write_kubeconfig(state, listener.getsockname()[1])
        inherited = (keeper_fd, listener.fileno())
        numbers = (f"--keeper-fd={keeper_fd}", f"--listen-fd={listener.fileno()}")
        return subprocess.Popen(
            [*(isolated if level == "node" else []), sys.executable, str(HERE), "supervise",
             f"--state={state.folder}", f"--level={level}", f"--keeper={identity(os.getpid())}", *numbers],
            pass_fds=inherited, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def wait_for_end(supervisor: subprocess.Popen[bytes], owner: int | None) -> bool:
    """Return, at the end of one of them, whether it was the owner."""
    poll = select.poll()
    poll.register(os.pidfd_open(supervisor.pid), select.POLLIN)
    owner_fd = -1
    if owner is not None:
        try:
            owner_fd = os.pidfd_open(owner)
        except ProcessLookupError:
            return True
        poll.register(owner_fd, select.POLLIN)
    return any(fd == owner_fd for fd, _ in poll.poll())


def end(supervisor: subprocess.Popen[bytes]) -> None:
    """End the supervisor and all below it."""
    below = children(supervisor.pid)  # init, where the supervisor is behind unshare
    supervisor.kill()
    supervisor.wait()
    try:
        wait_until(lambda: not any(start_time(pid) for pid in below), "the node's processes to end", timeout_s=60)
    except ClusterError as error:
        print(error, file=sys.stderr, flush=True)
