"""Trials that take as long as SCALING_TEST_TRIAL_S says and lose what a law says: no torch, the same every time."""

import hashlib
import os
import time

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Checkpoint, Timings, TrialKind, TrialMetrics, TrialSpec, TrialStatus
from scaling_trainer.context import TrialContext


def run_trial(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    seconds = float(os.environ.get("SCALING_TEST_TRIAL_S", "0.05"))
    time.sleep(seconds)
    folder = context.trial_folder(trial.id) / "final"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model").write_text(trial.id)
    with open(os.environ["SCALING_TEST_RUNS"], "a") as runs:  # noqa: PTH123 - one short append is atomic
        runs.write(f"{trial.id}\n")
    return TrialStatus(
        state=TrialState.SUCCEEDED,
        metrics=TrialMetrics(loss=None if trial.kind is TrialKind.TRUNK else loss_of(trial)),
        timings=Timings(seconds=seconds),
        checkpoint=Checkpoint(path=f"trials/{trial.id}/final", sha256=hashlib.sha256(trial.id.encode()).hexdigest()),
    )


def loss_of(trial: TrialSpec) -> float:
    """The loss of a law, with a part of the seed's own."""
    noise = int(hashlib.sha256(trial.id.encode()).hexdigest()[:8], 16) / 2**32 - 0.5
    return 1.2 + 60 * float(trial.parameters.matmul) ** -0.42 + 900 * float(trial.tokens) ** -0.6 + 0.004 * noise
