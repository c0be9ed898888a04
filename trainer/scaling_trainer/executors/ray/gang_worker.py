"""One of the workers that train a model together, in a process of Ray Train."""

from collections.abc import Callable
from typing import Any, Final

from scaling_api.v1alpha1.trial import FailureClass
from scaling_trainer.executors.attempt import device_name, imported, missing_accelerator, run_attempt, unusable
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.messages import Placed, Progress, Raised, Returned, Setup, Work, parse_message
from scaling_trainer.executors.ray.trial_words import told

PEER_LOST: Final = "PeerLost"
_COLLECTIVE: Final = ("gloo", "nccl", "closed by peer", "reset by peer", "distbackend")


class GangError(Exception):
    """A worker's attempt has failed; Ray Train then ends the others."""

    def __init__(self, line: str) -> None:
        self.line = line
        super().__init__(line)

    @property
    def raised(self) -> Raised:
        """What the attempt has raised."""
        message = parse_message(self.line)
        assert isinstance(message, Raised)
        return message


def work_along(config: dict[str, Any]) -> Any:
    """Run this worker's share of a trial, and return what came of it: a `Returned`, as JSON text.

    Args:
        config: `setup` and `work` as JSON, and the actor `gang` that the first worker tells its progress.

    Raises:
        GangError: the attempt has failed.
    """
    from ray.train import get_context

    setup, work = Setup.model_validate_json(config["setup"]), Work.model_validate_json(config["work"])
    rank = get_context().get_world_rank()
    report = _teller(config["gang"]) if rank == 0 else _say_nothing
    if rank == 0:
        config["gang"].tell.remote(Placed().model_dump_json())
    with told(work.trial.id):
        message = _attempt(setup, work, rank=rank, report=report)
    if isinstance(message, Raised):
        raise GangError(_explained(message).model_dump_json())
    return message.model_dump_json()


def _attempt(setup: Setup, work: Work, *, rank: int, report: Callable[[int, int], None]) -> Returned | Raised:
    import torch
    from ray.train.torch import get_device

    from scaling_trainer.parallel.ddp import DataParallel

    missing = missing_accelerator(setup)
    if missing is not None:
        return Raised(failure=missing)
    try:
        run = imported(setup)
    except Exception as error:
        return Raised(failure=unusable(setup.run, error))
    device = get_device() if device_name(setup) == "cuda" else torch.device("cpu")
    with DataParallel.joined(device) as world:
        return run_attempt(run, work, setup=setup, report=report, world=world)


def _teller(gang: Any) -> Callable[[int, int], None]:
    def tell(step: int, last_step: int) -> None:
        gang.tell.remote(Progress(step=step, last_step=last_step).model_dump_json())

    return tell


def _say_nothing(step: int, last_step: int) -> None:
    """Leave it to the first worker."""


def _explained(message: Raised) -> Raised:
    """Return what a failed collective means: another worker was lost."""
    text = message.failure.message.lower()
    if message.failure.failure_class is FailureClass.APPLICATION and any(word in text for word in _COLLECTIVE):
        lost = failure(FailureClass.INFRASTRUCTURE, PEER_LOST, f"Another worker was lost: {message.failure.message}")
        return Raised(failure=lost)
    return message
