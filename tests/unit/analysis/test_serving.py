import numpy as np
import pytest

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_laws.answers import compute_optimal, surface_of
from scaling_laws.answers.limits import FlopsLimit, LatencyLimit, MemoryLimit
from scaling_laws.answers.serving import best_within, served_pipelines
from scaling_laws.penalties import fit_pipelines, penalty_at
from scaling_laws.records import pipeline_points

MATMUL = ParameterConvention.MATMUL
C = 6e12


@pytest.fixture
def law(make_law, truth):
    return make_law(truth, spread=0.003)


def menu(sweep, law, **pipelines):
    sweep.pipelines = pipelines
    records = sweep.records()
    laws = fit_pipelines(pipeline_points(records, convention=MATMUL), dense=surface_of(law))
    return served_pipelines(records, laws, convention=MATMUL, treatment="clean")


def test_without_pipelines_the_dense_model_that_fits_is_the_answer(sweep, law):
    served = menu(sweep, law)
    roomy = best_within(law, MemoryLimit(1e9), training_flops=C, served=served)
    optimum = compute_optimal(law, C)
    assert roomy.pipeline == "dense"
    assert roomy.parameters.value == pytest.approx(optimum.parameters.value, rel=1e-3)
    assert roomy.loss.value == pytest.approx(optimum.loss.value, rel=1e-9)
    assert roomy.training_flops == C


def test_a_small_memory_binds_the_size(sweep, law):
    served = menu(sweep, law)
    answer = best_within(law, MemoryLimit(64 * 1024), training_flops=C, served=served)
    N = answer.parameters.value
    assert np.exp(served[0].stored_bytes.largest_log_size(64 * 1024)) == pytest.approx(N, rel=1e-6)
    assert answer.tokens.value == pytest.approx(C / (6 * N), rel=1e-9)
    assert answer.loss.value > compute_optimal(law, C).loss.value


def test_measured_sizes_say_what_fits_and_larger_ones_go_in_proportion(sweep, law):
    (dense,) = menu(sweep, law)
    counts = sweep.records()[-1].spec.parameters
    largest = counts.total * 4
    assert np.exp(dense.stored_bytes.largest_log_size(largest)) == pytest.approx(counts.matmul, rel=1e-9)
    assert np.exp(dense.stored_bytes.largest_log_size(largest * 10)) == pytest.approx(counts.matmul * 10, rel=1e-9)


def test_a_cheap_compression_wins_where_memory_is_short_and_a_costly_one_never(sweep, law):
    served = menu(sweep, law, int4=lambda N, D, M: 0.01, int3=lambda N, D, M: 2.0)
    short = best_within(law, MemoryLimit(40_000), training_flops=C, served=served)
    assert short.pipeline == "int4"
    assert short.loss.lower <= short.loss.value <= short.loss.upper
    roomy = best_within(law, MemoryLimit(1e9), training_flops=C, served=served)
    assert roomy.pipeline == "dense"
    assert roomy.loss.value < short.loss.value


def test_no_pipeline_size_and_spending_of_a_fine_grid_is_better(sweep, law):
    served = menu(sweep, law, int4=lambda N, D, M: 0.05 * (D / 1e6) ** 0.5, int3=lambda N, D, M: 0.2)
    answer = best_within(law, MemoryLimit(60_000), training_flops=C, served=served)
    best = np.inf
    for entry in served:
        N = np.exp(np.linspace(np.log(500), entry.stored_bytes.largest_log_size(60_000), 4001))
        for halvings in range(8):
            D = C / (6 * N) / 2**halvings
            penalty = penalty_at(entry.law.used, entry.sizes(N, D), surface_of(law)) if entry.law else 0.0
            best = min(best, float((surface_of(law).loss(N, D) + penalty).min()))
    assert answer.loss.value == pytest.approx(best, abs=1e-6)


def test_where_tokens_make_compression_dear_a_part_of_the_budget_is_best(sweep, law):
    served = menu(sweep, law, int4=lambda N, D, M: 0.05 * (D / 1e6) ** 0.5)
    answer = best_within(law, MemoryLimit(60_000), training_flops=1e16, served=served[1:])
    assert answer.pipeline == "int4"
    assert answer.training_flops < 1e16
    assert answer.tokens.value == pytest.approx(answer.training_flops / (6 * answer.parameters.value), rel=1e-9)


def test_rivals_that_the_draws_cannot_tell_apart_are_named(sweep, law):
    sweep.penalty_noise = 0.02
    served = menu(sweep, law, int4=lambda N, D, M: 0.02, int3=lambda N, D, M: 0.02 + 0.0 * N)
    twins = (served[0], served[2], served[2])
    answer = best_within(law, MemoryLimit(40_000), training_flops=C, served=twins)
    assert any("of the draws only" in f.message for f in answer.findings)


def test_impossible_questions_are_refused(sweep, law, make_law):
    served = menu(sweep, law)
    assert "Not even" in best_within(law, MemoryLimit(1), training_flops=C, served=served).refused
    assert best_within(law, MemoryLimit(1e6), training_flops=C, served=()).refused
    linear = make_law({"const": 1.0}, form="Linear")
    assert best_within(linear, MemoryLimit(1e6), training_flops=C, served=served).refused


def test_the_same_question_has_the_same_answer(sweep, law):
    served = menu(sweep, law, int4=lambda N, D, M: 0.02)
    first, second = (best_within(law, MemoryLimit(40_000), training_flops=C, served=served, seed=3) for _ in range(2))
    assert first == second


def test_without_draws_there_are_values_and_no_limits(sweep, make_law, truth):
    law = make_law(truth, draws=0)
    answer = best_within(law, MemoryLimit(40_000), training_flops=C, served=menu(sweep, law, int4=lambda N, D, M: 0.02))
    assert answer.pipeline == "int4"
    assert answer.loss.lower is None


def test_flops_a_token_bind_the_size_and_pruning_helps(sweep, law):
    served = menu(sweep, law, int4=lambda N, D, M: 0.001)
    answer = best_within(law, FlopsLimit(2e4), training_flops=C, served=served)
    assert (answer.question, answer.at) == ("inferenceFlops", 2e4)
    assert answer.parameters.value == pytest.approx(1e4, rel=1e-6)  # 2 N FLOPs a token, quantized or not
    assert answer.pipeline == "dense"


def test_the_slower_of_computing_and_reading_decides(sweep, law):
    served = menu(sweep, law, int4=lambda N, D, M: 0.01)
    computing = LatencyLimit(1.0, flops_per_second=2e4, bytes_per_second=1e12)
    reading = LatencyLimit(1.0, flops_per_second=1e15, bytes_per_second=40_000)
    one = best_within(law, computing, training_flops=C, served=served)
    other = best_within(law, reading, training_flops=C, served=served)
    assert one.parameters.value == pytest.approx(1e4, rel=1e-6)
    assert one.pipeline == "dense"
    assert (
        other.parameters.value
        == best_within(law, MemoryLimit(40_000), training_flops=C, served=served).parameters.value
    )
    assert other.pipeline == "int4"  # fewer bytes to read
    impossible = LatencyLimit(1e-9, flops_per_second=1.0, bytes_per_second=1.0)
    assert "1e-09 seconds a token" in best_within(law, impossible, training_flops=C, served=served).refused
