"""What Ray's errors mean."""

from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_trainer.executors.failures import failure


def failure_of_ray(error: BaseException) -> Failure:
    """Return what it means that a lane's actor cannot be heard any more: its worker or its node was lost.

    An actor that fails by itself when it is made is the exception: the lane cannot start there.
    """
    from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

    text = " ".join(str(error).split())
    if isinstance(error, RayTaskError) or (isinstance(error, ActorDiedError) and "creation task" in text):
        return failure(FailureClass.APPLICATION, "LaneFailed", f"A lane on Ray failed: {text}")
    if isinstance(error, OutOfMemoryError) or "OutOfMemory" in text or "memory" in text.lower():
        return failure(
            FailureClass.INFRASTRUCTURE,
            "WorkerKilled",
            f"The lane was ended because its node was running out of memory: {text}",
        )
    reason = "NodePreempted" if getattr(error, "preempted", False) else "WorkerLost"
    return failure(FailureClass.INFRASTRUCTURE, reason, f"The lane's worker or its node was lost: {text}")
