"""The process of a lane: reads trials from its input, runs one at a time, writes what comes of them.

Started by `lane.py` as `python -m scaling_trainer.executors.worker REPLIES PARENT`, where REPLIES is the descriptor
to write to and PARENT the process to die with.
"""

import ctypes
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Final

from scaling_trainer.executors.attempt import imported, missing_accelerator, run_attempt, unusable
from scaling_trainer.executors.messages import Message, Progress, Ready, Setup, Unusable, Work

_PR_SET_PDEATHSIG: Final = 1
_PROGRESS_INTERVAL_S: Final = 0.2


def main() -> None:
    """Run trials until the input ends."""
    replies, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    os.set_inheritable(replies, False)
    lines = _lines()
    setup = Setup.model_validate_json(next(lines))
    try:
        run = imported(setup)
    except Exception as error:
        traceback.print_exc()
        _send(replies, Unusable(failure=unusable(setup.run, error)))
        return
    if (missing := missing_accelerator(setup)) is not None:
        _send(replies, Unusable(failure=missing))
        return
    _send(replies, Ready())
    for line in lines:
        work = Work.model_validate_json(line)
        _send(replies, run_attempt(run, work, setup=setup, report=_Reporter(replies)))


class _Reporter:
    """Tells progress, at most a few times a second."""

    def __init__(self, replies: int) -> None:
        self._replies = replies
        self._next_s = 0.0

    def __call__(self, step: int, last_step: int) -> None:
        now = time.monotonic()
        if now >= self._next_s:
            self._next_s = now + _PROGRESS_INTERVAL_S
            _send(self._replies, Progress(step=step, last_step=last_step))


def _send(replies: int, message: Message) -> None:
    line = message.model_dump_json().encode() + b"\n"
    while line:
        line = line[os.write(replies, line) :]


def _lines() -> Iterator[bytes]:
    """Yield the lines of the input as they come, and end the process, whatever it is doing, when the input ends.

    The parent holds the other end, so the end of the input is the end of the parent. Trials find an empty input.
    """
    commands = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in commands:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, name="input", daemon=True).start()
    while True:
        yield lines.get()


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, where it can; elsewhere the input's end does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call above
            os._exit(1)


if __name__ == "__main__":
    main()
