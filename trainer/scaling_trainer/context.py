"""What every trial of an experiment shares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training


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

    def trial_folder(self, trial_id: str) -> Path:
        """Where a trial keeps its files."""
        return self.folder / "trials" / trial_id
