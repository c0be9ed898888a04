"""Scripted and real trials on a node with storage."""

from dataclasses import dataclass
from pathlib import Path

from scripted_plan import task
from scripted_trials import run_trial

from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialSpec, TrialStatus
from scaling_trainer.context import TrialContext
from scaling_trainer.storage.staging import RunTrial, run_staged
from scaling_trainer.storage.store import Store


@dataclass
class Node:
    """One node's scratch folder, on a storage."""

    scratch: Path
    uri: str
    script: str = ""

    def run(self, trial: TrialSpec, attempt: str = "000001-00000000-1", *, run: RunTrial = run_trial) -> TrialStatus:
        return run_staged(trial, self.context, store=self.store, attempt=attempt, run=run)

    @property
    def store(self) -> Store:
        return Store.of(self.uri, patience_s=5.0)

    @property
    def context(self) -> TrialContext:
        return TrialContext(
            task=task(self.script), training=Training(), corpus_fingerprint="0" * 64, folder=self.scratch
        )

    def left(self) -> list[str]:
        """What attempts have left on the disk beside the cache."""
        return sorted(path.name for path in (self.scratch / "attempts").iterdir())
