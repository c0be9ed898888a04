"""The process of a lane: reads trials from its input, runs one at a time, writes what comes of them.

Started by `lane.py` as `python -m scaling_trainer.executors.worker REPLIES PARENT`, where REPLIES is the descriptor
to write to and PARENT the process to die with.
"""

import contextlib
import ctypes
import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Final

from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialSpec, TrialStatus
from scaling_trainer.context import TrialContext
from scaling_trainer.errors import CheckpointError
from scaling_trainer.executors.failures import failure, failure_of_error
from scaling_trainer.executors.messages import Message, Progress, Raised, Ready, Returned, Setup, Unusable

_PR_SET_PDEATHSIG: Final = 1
_PROGRESS_INTERVAL_S: Final = 0.2

RunTrial = Callable[[TrialSpec, TrialContext], TrialStatus]


def main() -> None:
    """Run trials until the input ends."""
    replies, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    os.set_inheritable(replies, False)
    lines = _lines()
    setup = Setup.model_validate_json(next(lines))
    try:
        run = _imported(setup)
    except Exception as error:
        traceback.print_exc()
        _send(replies, Unusable(failure=_unusable(setup.run, error)))
        return
    _send(replies, Ready())
    for line in lines:
        _send(replies, _attempt(run, TrialSpec.model_validate_json(line), setup=setup, replies=replies))


def _attempt(run: RunTrial, trial: TrialSpec, *, setup: Setup, replies: int) -> Message:
    context = TrialContext(
        task=setup.task,
        training=setup.training,
        corpus_fingerprint=setup.corpus_fingerprint,
        folder=setup.folder,
        checkpoint_interval_s=setup.checkpoint_interval_s,
        report=_Reporter(replies),
    )
    try:
        return Returned(status=_checked(run(trial, context)))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a trial are its failures too
        _print_traceback(trial, error)
        checkpoint = error.folder if isinstance(error, CheckpointError) else None
        return Raised(failure=failure_of_error(error, folder=setup.folder), checkpoint=checkpoint)


def _checked(status: object) -> TrialStatus:
    """Return `status`, validated again: a function may have changed it, or put NaN into it, behind the model's back."""
    if not isinstance(status, TrialStatus):
        raise TypeError(f"a trial's function must return a TrialStatus, not {type(status).__name__}")
    return TrialStatus.model_validate(status.model_dump())


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


def _imported(setup: Setup) -> RunTrial:
    module, _, function = setup.run.partition(":")
    run: RunTrial = getattr(importlib.import_module(module), function)
    if "torch" in sys.modules:  # the environment's thread counts do not reach every backend
        sys.modules["torch"].set_num_threads(setup.threads)
    return run


def _unusable(run: str, error: Exception) -> Failure:
    hint = (
        "Install the trainer's dependencies: the package's extra `trainer`." if isinstance(error, ImportError) else ""
    )
    message = f"{run}, which runs trials, cannot be imported: {type(error).__name__}: {error}. {hint}".strip()
    return failure(FailureClass.CONFIGURATION, "TrainerUnavailable", message)


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


def _print_traceback(trial: TrialSpec, error: BaseException) -> None:
    with contextlib.suppress(Exception):  # an exception that cannot be shown, or a log on a full disk
        sys.stderr.write(f"trial {trial.id}:\n")
        traceback.print_exception(error)


if __name__ == "__main__":
    main()
