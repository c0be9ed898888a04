"""A budget below the plan buys points of several sizes, and no trunk without one."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design.plan import plan_trials
from scaling_trainer.spending.choice import cheapest_points

SPEC: dict[str, Any] = {
    "task": {"language": {"corpus": {"python": {}}, "contextLength": 64}},
    "sweep": {
        "model": {"parameters": ["10k", "33k", "115k", "250k"]},
        "data": {"tokens": ["0.52M", "0.8M", "1.25M", "1.95M"]},
        "compression": [
            {"name": "dense"},
            {"name": "p50", "stages": [{"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.05}}]},
        ],
    },
}
TRIALS = plan_trials(ExperimentSpec.model_validate(SPEC), corpus_fingerprint="ab" * 32).trials
BY_ID = {trial.id: trial for trial in TRIALS}
ALL = sum(trial.flops for trial in TRIALS)


def flops(trial: TrialSpec) -> float:
    return trial.flops


def chosen(share: float) -> list[TrialSpec]:
    found = cheapest_points(TRIALS, needed_flops=flops, left_flops=share * ALL)
    assert found is not None
    return [BY_ID[id_] for id_ in found]


def points(trials: Sequence[TrialSpec]) -> list[TrialSpec]:
    return [trial for trial in trials if trial.kind is TrialKind.DENSE]


def test_the_whole_plan_is_left_as_it_is() -> None:
    assert cheapest_points(TRIALS, needed_flops=flops, left_flops=ALL) is None


def test_a_quarter_of_the_plan_buys_points_of_several_sizes_and_token_counts() -> None:
    bought = points(chosen(0.25))
    assert len(bought) >= 8
    assert len({trial.parameters.matmul for trial in bought}) >= 3
    assert len({trial.tokens for trial in bought}) >= 3


@given(st.floats(0, 0.999))
def test_what_is_chosen_fits_and_nothing_of_it_is_without_use(share: float) -> None:
    trials = chosen(share)
    ids = {trial.id for trial in trials}
    assert sum(trial.flops for trial in trials) <= share * ALL * (1 + 1e-9)
    for trial in trials:
        assert ids.issuperset(trial.parents)
        assert trial.control is None or trial.control in ids
    needed = {parent for trial in trials for parent in trial.parents}
    assert all(trial.id in needed for trial in trials if trial.kind is TrialKind.TRUNK)


def test_what_is_done_costs_nothing_and_the_next_budget_goes_on_from_there() -> None:
    done = {trial.id for trial in chosen(0.3)}
    spent = sum(trial.flops for trial in TRIALS if trial.id in done)
    more = cheapest_points(TRIALS, needed_flops=lambda t: 0.0 if t.id in done else t.flops, left_flops=ALL / 2 - spent)
    assert more is not None
    assert more > done
