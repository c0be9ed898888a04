"""What every trial of an experiment shares."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor


T = TypeVar("T")


class World(Protocol):
    """The workers that train one model together, seen from one of them. The first, of rank 0, reads and writes files.

    Every worker makes the same calls in the same order.
    """

    @property
    def rank(self) -> int:
        """Number of this worker, from 0."""

    @property
    def size(self) -> int:
        """Workers in all."""

    @property
    def device(self) -> "torch.device":
        """What this worker computes on."""

    def shared(self, model: "torch.nn.Module") -> "torch.nn.Module":
        """Return `model` such that its gradients are the mean over the workers'; weights become those of rank 0."""

    def average(self, values: "Tensor") -> None:
        """Make `values` their mean over the workers, in place."""

    def told(self, value: T) -> T:
        """Return what rank 0 gives, on every worker."""

    def copy(self, tensors: "Iterable[Tensor]") -> None:
        """Make each tensor what it is at rank 0, in place."""


@dataclass(frozen=True)
class Alone:
    """A world of one worker."""

    device_name: str = "cpu"
    """As torch has it, such as cuda."""
    rank: int = 0
    size: int = 1

    @property
    def device(self) -> "torch.device":
        """What the worker computes on."""
        import torch

        return torch.device(self.device_name)

    def shared(self, model: "torch.nn.Module") -> "torch.nn.Module":
        """Return `model`."""
        return model

    def average(self, values: "Tensor") -> None:
        """Leave the values as they are."""

    def told(self, value: T) -> T:
        """Return `value`."""
        return value

    def copy(self, tensors: "Iterable[Tensor]") -> None:
        """Leave the tensors as they are."""


ALONE = Alone()
"""One worker, on the CPU."""


def _no_report(step: int, last_step: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class TrialContext:
    """What a trial needs beside its own spec."""

    task: Task
    training: Training
    corpus_fingerprint: str
    """SHA-256 that the corpus must have, hex."""
    folder: Path
    """The results folder: a trial keeps its files in `folder / "trials" / trial.id` and nowhere else."""
    checkpoint_interval_s: float = 15.0
    """Seconds between checkpoints of an unfinished trial."""
    report: Callable[[int, int], None] = _no_report
    """Called now and then, at most once a second, with (step, last step)."""
    world: World = ALONE
    """Who trains the model, and on what."""

    def trial_folder(self, trial_id: str) -> Path:
        """Where a trial keeps its files."""
        return self.folder / "trials" / trial_id
