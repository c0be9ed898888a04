import random
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design import Plan, UnplannableError, plan_trials
from scaling_laws.design.cost import estimate, makespan_seconds, remaining_path_seconds

CORPUS = "0" * 64
INT4 = {"name": "int4", "stages": [{"quantize": {"weightBits": 4}}]}
P50 = {"name": "p50", "stages": [{"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.1}}]}
P50_INT8 = {"name": "p50-int8", "stages": [*P50["stages"], {"quantize": {"weightBits": 8}}]}


def spec(training: dict[str, Any] | None = None, **sweep: Any) -> ExperimentSpec:
    defaults: dict[str, Any] = {"model": {"parameters": ["10k", "115k"]}, "data": {"tokens": ["0.5M", "1M", "2M"]}}
    return ExperimentSpec.model_validate(
        {
            "task": {"language": {"corpus": {"python": {}}, "contextLength": 64}},
            "sweep": defaults | sweep,
            "training": training or {},
        }
    )


def plan(training: dict[str, Any] | None = None, **sweep: Any) -> Plan:
    return plan_trials(spec(training, **sweep), corpus_fingerprint=CORPUS)


def ids(p: Plan) -> set[str]:
    return {t.id for t in p.trials}


def test_a_grid_has_a_segment_and_a_point_for_each_combination() -> None:
    p = plan(seeds=2)
    assert Counter(t.kind for t in p.trials) == {TrialKind.TRUNK: 12, TrialKind.DENSE: 12}
    assert {t.tokens for t in p.dense} == {500_224, 999_936, 1_999_872}  # whole steps of 8 x 64
    assert p.trials == plan(seeds=2).trials


def test_parents_come_first_and_ids_are_unique() -> None:
    p = plan(seeds=2, compression=[{"name": "dense"}, INT4, P50, P50_INT8])
    seen: set[str] = set()
    for trial in p.trials:
        assert set(trial.parents) <= seen
        assert trial.control is None or trial.control in seen
        seen.add(trial.id)
    assert len(seen) == len(p.trials)


def test_what_trunks_save() -> None:
    p = plan()
    for trajectory in {t.trajectory for t in p.trials}:
        mine = [t for t in p.trials if t.trajectory == trajectory]
        steps = sum(t.end_step - t.start_step for t in mine)
        wanted = [t.end_step for t in mine if t.kind is TrialKind.DENSE]
        assert steps == pytest.approx(0.8 * max(wanted) + 0.2 * sum(wanted), abs=3)


def test_a_branch_leaves_its_trunk_where_the_segment_ends() -> None:
    p = plan()
    for dense in p.dense:
        segment = p.by_id[dense.parents[0]]
        assert (segment.kind, segment.end_step) == (TrialKind.TRUNK, dense.start_step)


def test_pipelines_are_compared_with_the_same_checkpoint_trained_as_long() -> None:
    p = plan(compression=[{"name": "dense"}, INT4, P50, P50_INT8])
    counts = Counter((t.kind, t.pipeline.name) for t in p.trials if t.kind is not TrialKind.TRUNK)
    assert counts == {
        (TrialKind.DENSE, "dense"): 6, (TrialKind.PIPELINE, "int4"): 6, (TrialKind.CONTROL, "control-10"): 6,
        (TrialKind.PIPELINE, "p50"): 6, (TrialKind.PIPELINE, "p50-int8"): 6,
    }  # fmt: skip
    for trial in p.trials:
        if trial.kind is TrialKind.PIPELINE:
            assert trial.control is not None
            control = p.by_id[trial.control]
            assert (control.tokens, control.trajectory) == (trial.tokens, trial.trajectory)
            assert trial.parents[0] in (control.id, *control.parents)


def test_no_dense_level_is_needed_for_pipelines() -> None:
    assert len(plan(compression=[INT4]).dense) == 6


def test_isoflop_meets_its_budgets_within_one_percent() -> None:
    p = plan(design="IsoFLOP", model={"parameters": ["10k", "33k", "1M"]}, data={}, trainingFlops=[1e12, 4e12])
    for trial in p.dense:
        assert min(abs(trial.cumulative_flops / c - 1) for c in (1e12, 4e12)) < 0.01
    assert len(p.dense) == 6


def test_list_trains_what_it_names() -> None:
    p = plan(design="List", model=None, data={}, combinations=[{"parameters": "33k", "tokens": "1M"}])
    assert [(t.parameters.matmul, t.tokens) for t in p.dense] == [(32768, 999_936)]


def test_limits_leave_out_with_a_sentence() -> None:
    p = plan(limits={"tokensPerParameter": {"min": 10, "max": 60}})
    assert {t.tokens for t in p.dense if t.parameters.matmul == 10240} == {500_224}
    assert any("above limits.tokensPerParameter.max 60" in sentence for sentence in p.left_out)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limits": {"tokensPerParameter": {"min": 1e9}}}, "the sweep is empty"),
        ({"data": {"tokens": [100]}}, "not more than the 60 of warmup"),
        ({"seeds": 64, "data": {"tokens": [500_000 * i for i in range(1, 61)]}, "compression": [INT4] * 1,
          "model": {"parameters": [20_000 * i for i in range(1, 9)]}}, "more than 10,000 trials"),
        ({"design": "IsoFLOP", "data": {}, "trainingFlops": [1e39]}, "more tokens than a count can hold"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_says_why(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UnplannableError, match=words):
        plan(**change)


def test_a_task_that_cannot_be_planned_is_refused() -> None:
    vision = ExperimentSpec.model_validate(
        {"task": {"vision": {"uri": "x"}}, "sweep": {"model": {"parameters": [1000]}, "data": {"tokens": [1000]}}}
    )
    with pytest.raises(UnplannableError, match=r"spec\.task\.vision: this task cannot be planned yet"):
        plan_trials(vision, corpus_fingerprint=CORPUS)


# The ids of these trials must never change: an upgrade would train every sweep in the world again.
GOLDEN = {
    TrialKind.TRUNK: "78832be0821e0820",
    TrialKind.DENSE: "42635656aa986b94",
    TrialKind.PIPELINE: "8c60d3e13a6df0b3",
    TrialKind.CONTROL: "7d7b8da292dfa4c5",
}


def test_golden_ids() -> None:
    p = plan(model={"parameters": ["33k"]}, data={"tokens": ["1M"]}, compression=[{"name": "dense"}, P50])
    assert {t.kind: t.id for t in p.trials} == GOLDEN


def test_names_limits_and_order_do_not_change_ids() -> None:
    renamed = [{"name": "d"}, {**P50, "name": "half"}]
    assert ids(plan(compression=renamed)) == ids(plan(compression=[{"name": "dense"}, P50]))
    assert ids(plan(limits={"tokensPerParameter": {"max": 1e6}})) == ids(plan())
    assert ids(plan(model={"parameters": ["115k", "10k"]})) == ids(plan())


def test_growing_a_sweep_keeps_what_is_there() -> None:
    grown = plan(data={"tokens": ["0.5M", "0.7M", "1M", "2M", "4M"]}, seeds=2, compression=[{"name": "dense"}, INT4])
    assert ids(plan()) < ids(grown)


@pytest.mark.parametrize(
    "change",
    [{"training": {"batchSize": 16}}, {"training": {"learningRate": 1e-3}}, {"firstSeed": 1},
     {"data": {"tokens": ["0.5M", "1M", "2M"], "treatments": [{"name": "clean", "tokenNoise": 0.1}]}},
     {"compute": [{"workers": 2}]}],
)  # fmt: skip
def test_what_changes_numbers_changes_every_id(change: dict[str, Any]) -> None:
    assert not ids(plan(**change)) & ids(plan())


def test_the_corpus_changes_every_id() -> None:
    other = plan_trials(spec(), corpus_fingerprint="1" * 64)
    assert not ids(other) & ids(plan())


def test_evaluation_changes_points_but_not_trunks() -> None:
    before, after = plan(), plan(training={"evaluationSequences": 64})
    assert {t.id for t in before.trials if t.kind is TrialKind.TRUNK} < ids(after)
    assert not {t.id for t in before.dense} & ids(after)


def test_the_same_world_on_another_pool_is_another_trial() -> None:
    p = plan(compute=[{"workers": 2}, {"workers": 2}, {"workers": 2, "strategy": "FSDP"}])
    assert len(ids(p)) == len(p.trials) == 3 * len(plan().trials)


def test_a_planned_trial_is_a_valid_one() -> None:
    for trial in plan(compression=[{"name": "dense"}, INT4, P50]).trials:
        assert TrialSpec.model_validate(trial.model_dump()) == trial


def test_ten_thousand_trials_are_planned_at_once() -> None:
    large = spec(
        model={"parameters": [1_000_000 * i for i in range(1, 41)]},
        data={"tokens": [500_000 * i for i in range(1, 49)]},
        compression=[{"name": "dense"}, INT4, P50],
    )
    start = time.process_time()
    trials = plan_trials(large, corpus_fingerprint=CORPUS).trials
    assert 9_000 < len(trials) <= 10_000
    assert time.process_time() - start < 3  # 0.6 s where it was written; a quadratic step would take minutes


def test_makespan_lies_between_its_bounds() -> None:
    p = plan(seeds=2, compression=[{"name": "dense"}, INT4, P50])
    rng = random.Random(0)
    seconds = {t.id: rng.random() for t in p.trials}
    longest = max(remaining_path_seconds(p.trials, seconds).values())
    for lanes in (1, 2, 7, 1000):
        makespan = makespan_seconds(p.trials, seconds, lanes=lanes)
        assert max(longest, sum(seconds.values()) / lanes) <= makespan + 1e-9
        assert makespan <= sum(seconds.values()) / lanes + longest + 1e-9


def test_cost_needs_every_price() -> None:
    pools = spec().execution.model_validate({"pools": [{"name": "a", "hourlyPrice": 36.0}]}).pools
    priced = estimate(plan(), lanes=2, evaluation_sequences=64, pools=pools)
    assert priced.cost == pytest.approx(priced.lane_seconds * 0.01)
    assert estimate(plan(), lanes=2, evaluation_sequences=64).cost is None


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10**12), min_size=1, max_size=4, unique=True),
    tokens=st.lists(st.integers(1, 10**14), min_size=1, max_size=4, unique=True),
    seeds=st.integers(1, 3),
)
def test_any_grid_is_planned_in_order_or_refused(sizes: list[int], tokens: list[int], seeds: int) -> None:
    try:
        p = plan(model={"parameters": sizes}, data={"tokens": tokens}, seeds=seeds)
    except UnplannableError:
        return
    seen: set[str] = set()
    for trial in p.trials:
        assert trial.start_step < trial.end_step
        assert set(trial.parents) <= seen
        assert trial.id not in seen
        seen.add(trial.id)
