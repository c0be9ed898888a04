import random

import numpy as np
import pytest

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialKind
from scaling_laws.exclusions import exclusions, missingness
from scaling_laws.law import FindingCode
from scaling_laws.points import select
from scaling_laws.records import canonical, pipeline_points, points_from_records, table_from_records

MATMUL = ParameterConvention.MATMUL


def with_state(record, state):
    metrics = record.status.metrics.model_copy(update={"loss": None})
    status = record.status.model_copy(update={"state": state, "metrics": metrics})
    return record.model_copy(update={"status": status})


def lose(records, chosen, state):
    return [with_state(r, state) if chosen(r) else r for r in records]


def is_dense(record):
    return record.spec.kind is TrialKind.DENSE


def test_dense_points_are_the_finished_dense_trials_of_one_treatment(sweep):
    sweep.pipelines = {"int4": lambda N, D, M: 0.1, "p50": lambda N, D, M: 0.2}
    points = points_from_records(sweep.records(), convention=MATMUL, treatment="clean")
    assert len(points) == 4 * 4 * 2
    assert set(points.features["pipeline"]) == {"dense"}
    assert len(np.unique(points.clusters)) == 4 * 2
    assert points.steps.min() == 500_000 // 512
    assert points_from_records(sweep.records(), convention=MATMUL, treatment="noisy").loss.size == 0


@pytest.mark.parametrize("convention", list(ParameterConvention))
def test_n_is_counted_by_the_convention(sweep, convention):
    records = sweep.records()
    points = points_from_records(records, convention=convention, treatment="clean")
    counted = {getattr(r.spec.parameters, convention.value.lower()) for r in records}
    assert set(points.N) == counted


def test_the_order_of_completion_changes_nothing(sweep):
    sweep.pipelines = {"int4": lambda N, D, M: 0.1}
    records = sweep.records()
    shuffled = records + records[:20]
    random.Random(3).shuffle(shuffled)
    for table in (points_from_records, table_from_records):
        more = {"treatment": "clean"} if table is points_from_records else {}
        one, other = (table(r, convention=MATMUL, **more) for r in (records, shuffled))
        for name in ("N", "D", "loss", "clusters", "steps"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
        assert all(np.array_equal(one.features[k], other.features[k]) for k in one.features)
    assert pipeline_points(records, convention=MATMUL) == pipeline_points(shuffled, convention=MATMUL)


def test_of_several_records_of_a_trial_the_one_with_a_result_stands(sweep):
    done = sweep.records()[1]
    lost = with_state(done, TrialState.INTERRUPTED)
    retried = lost.model_copy(update={"status": lost.status.model_copy(update={"attempts": 9})})
    assert canonical([retried, done, lost]) == (done,)
    assert canonical([lost, retried]) == (retried,)


def test_a_model_measured_on_several_computes_counts_once(sweep):
    records = sweep.records()
    again = [
        sweep.trial(r.spec.model.width, r.spec.tokens, r.spec.seed, TrialKind.DENSE, loss=9.0, workers=4)
        for r in records
        if is_dense(r)
    ]
    points = points_from_records(records + again, convention=MATMUL, treatment="clean")
    assert len(points) == 32
    assert points.loss.max() < 9
    assert any("repeat a model" in s for s in exclusions(records + again, treatment="clean"))


def test_pipelines_are_paired_with_their_controls(sweep):
    sweep.penalty_noise = 0.0
    sweep.pipelines = {"int4": lambda N, D, M: 0.1, "p50": lambda N, D, M: 0.2}
    pairs = pipeline_points(sweep.records(), convention=MATMUL)
    assert len(pairs) == 2 * 32
    for pair in pairs:
        assert pair.penalty == pytest.approx({"int4": 0.1, "p50": 0.2}[pair.pipeline], abs=1e-12)
        assert pair.penalty == pair.loss - pair.control_loss
        assert 0 < pair.compressible < pair.N
    assert {pair.D for pair in pairs if pair.pipeline == "p50"} == {550_000, 880_000, 1_375_000, 2_200_000}


def test_a_pipeline_without_a_measured_control_has_no_penalty_and_is_said_so(sweep):
    sweep.pipelines = {"p50": lambda N, D, M: 0.2}
    records = lose(sweep.records(), lambda r: r.spec.kind is TrialKind.CONTROL, TrialState.FAILED)
    assert pipeline_points(records, convention=MATMUL) == ()
    sentences = " ".join(exclusions(records, treatment="clean"))
    assert "32 result(s) of pipeline p50 have no measured control" in sentences
    assert "32 of 32 control trials failed" in sentences


def test_the_table_holds_dense_and_compressed_models_with_their_features(sweep):
    sweep.pipelines = {"int4": lambda N, D, M: 0.1, "p50": lambda N, D, M: 0.2}
    table = table_from_records(sweep.records(), convention=MATMUL)
    assert len(table) == 3 * 32
    by_pipeline = {
        name: select(table, table.features["pipeline"] == name).features for name in ("dense", "int4", "p50")
    }
    assert {name: set(f["bits"]) for name, f in by_pipeline.items()} == {"dense": {32.0}, "int4": {4.0}, "p50": {32.0}}
    assert set(by_pipeline["p50"]["sparsity"]) == {0.5}
    assert set(by_pipeline["int4"]["effective_bits"]) == {5.0}


def test_a_column_that_was_not_measured_everywhere_is_left_out(sweep):
    records = sweep.records()
    bare = records[1].status.metrics.model_copy(update={"stored_bytes": None})
    records[1] = records[1].model_copy(update={"status": records[1].status.model_copy(update={"metrics": bare})})
    features = points_from_records(records, convention=MATMUL, treatment="clean").features
    assert "stored_bytes" not in features
    assert all(np.isfinite(c).all() for c in features.values() if c.dtype.kind == "f")


def test_unfinished_and_failed_trials_are_counted_by_level(sweep):
    records = lose(sweep.records(), lambda r: is_dense(r) and r.spec.tokens == 2_000_000, TrialState.PENDING)
    (sentence,) = exclusions(records, treatment="clean")
    assert sentence.startswith("8 of 32 dense trials have not started and are in no fit")
    assert "D = 2,000,000 (8 of 8)" in sentence
    assert missingness(records, treatment="clean") == ()


def test_other_treatments_are_kept_apart_and_said_so(sweep):
    clean = sweep.records()
    sweep.treatment = "noisy"
    records = clean + sweep.records()
    assert len(points_from_records(records, convention=MATMUL, treatment="clean")) == 32
    assert "32 dense point(s) of treatment noisy are kept out" in " ".join(exclusions(records, treatment="clean"))


def test_diverged_trials_are_informative(sweep):
    records = lose(sweep.records(), lambda r: is_dense(r) and r.spec.model.width == 64, TrialState.DIVERGED)
    (finding,) = missingness(records, treatment="clean")
    assert finding.code is FindingCode.INFORMATIVE_MISSINGNESS
    assert "8 of 32 dense trials diverged" in finding.message


@pytest.mark.parametrize(("chosen", "found"), [
    (lambda r: r.spec.model.width == 64 and r.spec.seed == 0, True),
    (lambda r: r.spec.tokens == 800_000 and r.spec.seed == 0 and r.spec.model.width in {16, 64}, False),
])  # fmt: skip
def test_failed_trials_are_informative_only_where_they_gather(sweep, chosen, found):
    records = lose(sweep.records(), lambda r: is_dense(r) and chosen(r), TrialState.FAILED)
    assert bool(missingness(records, treatment="clean")) is found
