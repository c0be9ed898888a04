"""What a trial says, line by line in the log of the container that it runs in, each line with the trial's id.

A lane's process prints to a file on its node, which goes with the pod and which nobody outside can read; the log of a
container can be read through the API server, and is kept for a while by the cluster's own means.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import TextIOBase
from pathlib import Path
from typing import Final

from scaling_trainer.container_log import container_output
from scaling_trainer.executors.messages import Lost, Message, Progress, Raised, Returned, Work

_LONGEST_LINE: Final = 4000  # characters; a pipe takes 4 KiB in one piece, beside those of other lanes
_PROGRESS_EVERY_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.5


class TrialWords:
    """Tells of one trial after the other; from any thread. Outside of a container it tells nobody."""

    def __init__(self, *, printed: Path | None = None) -> None:
        """Begin without a trial.

        Args:
            printed: file that takes what trials print, where there is one.
        """
        self._output = container_output()
        self._printed = printed
        self._at = 0
        self._trial = ""
        self._next_progress_s = 0.0
        self._lock = threading.Lock()
        if self._output is not None and printed is not None:
            threading.Thread(target=self._follow, name="words", daemon=True).start()

    def begin(self, work: Work, *, lane: int) -> None:
        """An attempt begins."""
        with self._lock:
            self._copy()  # what is there is of the trial before
            self._trial = work.trial.id
            self._next_progress_s = 0.0
            self._say(f"attempt {work.attempt} begins, on lane {lane}, process {os.getpid()}")

    def heard(self, message: Message) -> None:
        """The trial's process has said something that people should know, or has ended."""
        with self._lock:
            self._copy()
            match message:
                case Progress() if time.monotonic() >= self._next_progress_s:
                    self._next_progress_s = time.monotonic() + _PROGRESS_EVERY_S
                    self._say(f"step {message.step:,} of {message.last_step:,}")
                case Returned():
                    metrics = message.status.metrics
                    loss = f", loss {metrics.loss:.6g}" if metrics and metrics.loss is not None else ""
                    self._say(f"{message.status.state}{loss}")
                case Raised() | Lost() if self._trial:
                    self._say(f"{message.failure.failure_class}, {message.failure.reason}: {message.failure.message}")

    def _follow(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_S)
            with self._lock:
                self._copy()

    def _copy(self) -> None:
        """Tell what was printed since the last time, whole lines only."""
        if self._output is None or self._printed is None:
            return
        with suppress(OSError), self._printed.open("rb") as stream:
            stream.seek(self._at)
            whole, newline, _ = stream.read().rpartition(b"\n")
            self._at += len(whole) + len(newline)
            for line in whole.splitlines():
                self._say(line.decode(errors="replace"))

    def _say(self, text: str) -> None:
        tell(self._output, self._trial, text)


@contextmanager
def told(trial_id: str) -> Iterator[None]:
    """Have the container's log show what Python code prints meanwhile in this process."""
    output = container_output()
    if output is None:
        yield
        return
    stream = _Tagged(output, trial_id)
    try:
        with redirect_stdout(stream), redirect_stderr(stream):
            yield
    finally:
        stream.flush()
        os.close(output)


class _Tagged(TextIOBase):
    """Text that goes to a container's log by whole lines."""

    def __init__(self, output: int, trial_id: str) -> None:
        self._output = output
        self._trial_id = trial_id
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            tell(self._output, self._trial_id, line)
        return len(text)

    def flush(self) -> None:
        if self._rest:
            tell(self._output, self._trial_id, self._rest)
            self._rest = ""


def tell(output: int | None, trial_id: str, text: str) -> None:
    """Write a line of a trial to a log, in one piece; it is left out where that would take time."""
    if output is not None and text.strip():
        prefix = f"trial {trial_id}: " if trial_id else ""
        with suppress(OSError):
            os.write(output, f"{prefix}{text[:_LONGEST_LINE]}\n".encode(errors="replace"))
