"""Whose fault a failure was, and so whether the trial is tried again.

Configuration     a person must act: the run stops
Infrastructure    a lost process: tried again, `retries.infrastructure` times
Application       anything else: tried again, `retries.application` times
"""

import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_trainer.errors import DISK_FULL, CheckpointError, DiskFullError

_REASON_LENGTH: Final = 63
_MESSAGE_LENGTH: Final = 1024
# Signals that others send: the kernel when memory runs out, a person, a machine that is shut down.
_SENT_BY_OTHERS: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT})


def failure(failure_class: FailureClass, reason: str, message: str) -> Failure:
    """Return the failure, its texts cut to what the API holds."""
    return Failure(
        failure_class=failure_class,
        reason=_printable(reason, _REASON_LENGTH),
        message=_printable(message, _MESSAGE_LENGTH),
    )


def failure_of_error(error: BaseException, *, folder: Path, is_scratch: bool = False) -> Failure:
    """Return what an exception of a trial means.

    Args:
        error: whatever was raised.
        folder: the results folder, whose disk is described when it is full.
        is_scratch: results are kept in a storage, and the folder is a node's own.
    """
    full = _full(error, folder=folder, is_scratch=is_scratch)
    if full is not None:
        return failure(FailureClass.CONFIGURATION, _name(full), str(full))
    if getattr(error, "is_configuration", False):
        return failure(FailureClass.CONFIGURATION, _name(error), str(error))
    if getattr(error, "is_infrastructure", False):
        return failure(FailureClass.INFRASTRUCTURE, _name(error), str(error))
    if isinstance(error, CheckpointError):
        return failure(FailureClass.APPLICATION, _name(error), error.fact)
    if isinstance(error, MemoryError):
        return failure(FailureClass.APPLICATION, "OutOfMemory", f"The trial ran out of memory. {_last_line(error)}")
    return failure(FailureClass.APPLICATION, type(error).__name__, _last_line(error))


def full_disk(folder: Path, *, is_scratch: bool) -> DiskFullError:
    """Return the error for the full disk of a folder, which is that of the results or a node's own."""
    return DiskFullError.on_node(folder) if is_scratch else DiskFullError.at(folder)


def failure_of_exit(code: int, *, log: Path) -> Failure:
    """Return what the end of a lane's process means.

    Args:
        code: its exit status; negative for a signal, as `subprocess` has it.
        log: what it printed.
    """
    if code >= 0:
        return failure(
            FailureClass.APPLICATION,
            "WorkerExited",
            f"The trial ended its own process with status {code}; what it printed is in {log}.",
        )
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if -code in _SENT_BY_OTHERS:
        return failure(
            FailureClass.INFRASTRUCTURE,
            "WorkerKilled",
            f"The trial's process was killed by {name}, as the system does when memory runs out; where that is the "
            "cause, fewer trials at a time (execution.parallelTrials) need less.",
        )
    return failure(
        FailureClass.APPLICATION,
        "WorkerCrashed",
        f"The trial's process crashed with {name}; its last words are in {log}.",
    )


def _full(error: BaseException, *, folder: Path, is_scratch: bool) -> DiskFullError | None:
    """Return what is full, if that is the cause: as who noticed it names it, or else the folder's disk."""
    told = next((link for link in _chain(error) if isinstance(link, DiskFullError)), None)
    if told is None and any(isinstance(link, OSError) and link.errno in DISK_FULL for link in _chain(error)):
        return full_disk(folder, is_scratch=is_scratch)
    return told


def _name(error: BaseException) -> str:
    return type(error).__name__.removesuffix("Error") or "Error"


def _last_line(error: BaseException) -> str:
    """Return the exception's last line with the place that raised it; exceptions that cannot be shown are named."""
    try:
        text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    except Exception:  # an exception that cannot be shown
        text = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _printable(text: str, length: int) -> str:
    clean = text.encode(errors="replace").decode()
    return clean if len(clean) <= length else clean[: length - 1] + "…"
