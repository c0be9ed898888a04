"""Trials in a few words."""

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_cli.show.numbers import count

_KINDS = {"Trunk": "trunk", "Dense": "dense", "Control": "control"}


def describe(trial: TrialSpec) -> str:
    """Return a trial in a few words, such as `N 115k, D 2M, seed 1, int4`."""
    what = _KINDS.get(trial.kind.value, trial.pipeline.name)
    return f"N {count(trial.parameters.matmul)}, D {count(trial.tokens)}, seed {trial.seed}, {what}"
