"""A lane: one process that is kept alive and runs one trial after another."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scaling_trainer.executors.messages import Message, Setup, Work, parse_message

_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_READ_BYTES: Final = 1 << 20


class Lane:
    """The process and the pipes to and from it. Its process dies with the thread that made it."""

    def __init__(self, number: int, setup: Setup, *, log: Path, keep_open: Sequence[int] = ()) -> None:
        """Start the process; it says `Ready` when trials may be sent.

        Args:
            number: of the lane, from 0.
            setup: what the process needs to know.
            log: takes what the process prints.
            keep_open: descriptors that the process inherits, such as a lock's.
        """
        self.number = number
        self.log = log
        self.has_hung_up = False
        self._rest = b""
        self._replies, replies = os.pipe()
        os.set_blocking(self._replies, False)
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "scaling_trainer.executors.worker", str(replies), str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(replies, *keep_open),
                    env=_environment(setup.threads),
                    process_group=0,  # so that Ctrl-C in a terminal reaches the run alone, which then ends its lanes
                )
        except BaseException:
            os.close(self._replies)
            raise
        finally:
            os.close(replies)
        self._send(setup.model_dump_json())

    def fileno(self) -> int:
        """The descriptor that is readable when the process has written or ended, for selectors."""
        return self._replies

    def start(self, work: Work) -> None:
        """Send a trial to run; a process that has ended never answers."""
        self._send(work.model_dump_json())

    def messages(self) -> list[Message]:
        """Return what the process has written since the last call, whole lines only."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._replies, _READ_BYTES):
                self._rest += chunk
            self.has_hung_up = True
        *lines, self._rest = self._rest.split(b"\n")
        return [parse_message(line) for line in lines]

    @property
    def is_lost(self) -> bool:
        """The process has ended, or will not be heard of any more."""
        return self.has_hung_up or self._process.poll() is not None

    def kill(self) -> int:
        """Kill the process and all that it has started; its last messages can still be read.

        Nothing is lost that is on disk: whatever a trial writes, it writes whole.

        Returns:
            The exit status, negative for a signal; that of its own end, where it ended by itself.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def close(self) -> None:
        """Close the pipes of a killed lane, and remove its log if it is empty."""
        os.close(self._replies)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(OSError):
            if self.log.stat().st_size == 0:
                self.log.unlink()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that make a process's numbers the same wherever it runs."""
    return {
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "PYTHONHASHSEED": "0",  # the order of sets of strings is then the same in every process
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it products on a GPU vary from run to run
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
    }


def module_paths() -> str:
    """Return where this process finds modules, as PYTHONPATH has it."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)


def _environment(threads: int) -> dict[str, str]:
    """Return this process's environment, with the threads fixed and this interpreter's module paths."""
    return {**os.environ, **thread_environment(threads), "PYTHONPATH": module_paths()}
