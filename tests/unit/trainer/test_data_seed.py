"""Which trials see the same data in the same order."""

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_laws.design import plan_trials
from scaling_trainer.tasks.language import data_seed

SPEC = {
    "task": {"language": {"corpus": {"python": {}}, "contextLength": 32}},
    "sweep": {
        "model": {"parameters": ["10k", "33k"]},
        "data": {"tokens": ["100k"], "treatments": [{"name": "clean"}, {"name": "noisy", "tokenNoise": 0.1}]},
        "compute": [{"workers": 1}, {"workers": 2}],
        "compression": [{"name": "dense"}, {"name": "more", "stages": [{"finetune": {"fraction": 0.1}}]}],
        "seeds": 3,
    },
}


def test_trunks_of_other_sizes_and_seeds_are_independent_and_treatments_are_paired() -> None:
    trials = plan_trials(ExperimentSpec.model_validate(SPEC), corpus_fingerprint="0" * 64).trials
    orders: dict[int, set[tuple[int, int]]] = {}
    for trial in trials:
        orders.setdefault(data_seed(trial), set()).add((trial.model.width, trial.seed))
    assert len(orders) == 2 * 3
    assert all(len(sharing) == 1 for sharing in orders.values())
