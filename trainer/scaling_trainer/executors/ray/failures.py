"""What Ray's errors mean."""

import re
from typing import Final

from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_trainer.executors.failures import failure

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_OUT_OF_MEMORY: Final = re.compile(r"OUT_OF_MEMORY|low on memory|memory usage threshold")
_ADVICE: Final = "Some common causes include"


def failure_of_ray(error: BaseException) -> Failure:
    """Return what it means that a lane's actor cannot be heard any more: its worker or its node was lost.

    An actor that fails by itself when it is made is the exception: the lane cannot start there.
    """
    from ray.exceptions import OutOfMemoryError, RayTaskError

    said = " ".join(_COLOURS.sub("", str(error)).split())
    if isinstance(error, RayTaskError) or getattr(error, "actor_init_failed", False):
        return failure(FailureClass.APPLICATION, "LaneFailed", f"A lane on Ray failed: {_last_words(error)}")
    if isinstance(error, OutOfMemoryError) or _OUT_OF_MEMORY.search(said):
        return failure(
            FailureClass.INFRASTRUCTURE, "WorkerKilled", f"Ray ended the lane: its node ran low on memory. {said}"
        )
    reason = "NodePreempted" if getattr(error, "preempted", False) else "WorkerLost"
    what = said.partition(_ADVICE)[0].rpartition("Worker exit type:")[2].strip() or type(error).__name__
    return failure(FailureClass.INFRASTRUCTURE, reason, f"The lane's worker or its node was lost. Ray says: {what}")


def _last_words(error: BaseException) -> str:
    lines = _COLOURS.sub("", str(error)).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
