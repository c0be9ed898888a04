import numpy as np
import pytest

from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_laws.answers import surface_of
from scaling_laws.law import FindingCode
from scaling_laws.penalties import Sizes, fit_pipeline, fit_pipelines, hybrid_findings, penalty_at, penalty_draws
from scaling_laws.records import PipelinePoint, pipeline_points


@pytest.fixture
def dense(make_law, truth):
    return surface_of(make_law(truth))


def fitted(sweep, dense, penalty, **changes):
    sweep.pipelines = {"int3": penalty}
    for name, value in changes.items():
        setattr(sweep, name, value)
    points = pipeline_points(sweep.records(), convention=ParameterConvention.MATMUL)
    return fit_pipeline("int3", points, dense=dense)


def candidate(law, form):
    return next(fit for fit in law.candidates if fit.form == form)


def multiplied(truth, e):
    def penalty(N, D, M):
        left = N - (1 - (e(D / N) if callable(e) else e)) * M
        return truth["A"] * (left ** -truth["alpha"] - N ** -truth["alpha"])

    return penalty


def test_a_constant_multiplier_is_recovered_and_chosen(sweep, dense, truth):
    law = fitted(sweep, dense, multiplied(truth, 0.6), penalty_noise=0.001)
    fit = candidate(law, "ConstantMultiplier")
    (_, e, error), = fit.coefficients  # fmt: skip
    assert e == pytest.approx(0.6, abs=4 * error)
    assert 0 < error < 0.02
    assert fit.backtest_error < candidate(law, "ConstantOffset").backtest_error
    assert not any(f.code is FindingCode.MULTIPLIER_NOT_CONSTANT for f in law.findings)


def test_a_multiplier_that_falls_with_tokens_per_parameter_is_recovered_and_told(sweep, dense, truth):
    law = fitted(sweep, dense, multiplied(truth, lambda r: np.exp(-0.5 * (r / 40) ** 0.8)), penalty_noise=0.001)
    assert law.chosen.form == "MultiplierOfDN"
    assert law.chosen["g"] == pytest.approx(0.8, abs=0.08)
    k_at_40 = law.chosen["k"] * (40 / law.chosen["r0"]) ** law.chosen["g"]
    assert k_at_40 == pytest.approx(0.5, rel=0.1)
    (finding,) = [f for f in law.findings if f.code is FindingCode.MULTIPLIER_NOT_CONSTANT]
    assert "int3" in finding.message


def test_an_additive_penalty_is_recovered_at_larger_d(sweep, dense):
    law = fitted(sweep, dense, lambda N, D, M: 0.1 * (D / 1e6) ** 0.8 * (N / 3e4) ** -0.3)
    assert law.chosen.form == "Additive"
    assert law.chosen["g"] == pytest.approx(0.8, abs=0.1)
    assert law.chosen["h"] == pytest.approx(0.3, abs=0.1)
    ahead = Sizes(np.array([3e4]), np.array([4e6]), np.array([2.4e4]))
    assert penalty_at(law.chosen, ahead, dense)[0] == pytest.approx(0.1 * 4**0.8, rel=0.1)


def test_the_back_test_decides_and_not_the_fit(sweep, dense):
    """An outlier that only the flexible form can follow, at small D, must not make it win."""
    law = fitted(sweep, dense, lambda N, D, M: 0.05 + (0.3 if (N < 12_000 and D < 600_000) else 0.0))
    in_sample = min(law.candidates, key=lambda fit: fit.in_sample_error)
    assert law.chosen.backtest_error == min(fit.backtest_error for fit in law.candidates)
    assert in_sample.form != law.chosen.form


def test_negative_penalties_from_noise_are_fitted_as_they_are(sweep, dense):
    law = fitted(sweep, dense, lambda N, D, M: -0.002, penalty_noise=0.002)
    assert law.mean_penalty == pytest.approx(-0.002, abs=4 * law.mean_penalty_standard_error)
    assert candidate(law, "ConstantMultiplier")["e"] > 1
    for fit in law.candidates:
        assert np.isfinite([value for _, value, _ in fit.coefficients]).all()
        assert fit.in_sample_error < 0.01


@pytest.mark.parametrize("penalty", [0.0, 2.5])
def test_constant_penalties_without_noise_break_nothing(sweep, dense, penalty):
    law = fitted(sweep, dense, lambda N, D, M: penalty, penalty_noise=0.0)
    assert law.mean_penalty == pytest.approx(penalty)
    assert law.chosen.backtest_error == pytest.approx(0.0, abs=1e-6)
    assert law.chosen.form in ({"NoPenalty"} if penalty == 0 else {"ConstantOffset", "Additive"})


def test_two_token_counts_leave_the_mean_and_say_so(sweep, dense):
    law = fitted(sweep, dense, lambda N, D, M: 0.1, tokens=(500_000, 1_000_000))
    assert law.chosen is None
    assert law.used.form == "ConstantOffset"
    (finding,) = [f for f in law.findings if f.code is FindingCode.TOO_FEW_LEVELS]
    assert "2 level(s) of D" in finding.message


def test_one_pair_gives_its_penalty_without_an_error(sweep, dense):
    law = fitted(sweep, dense, lambda N, D, M: 0.1, tokens=(500_000,), widths=(16,), seeds=1, penalty_noise=0.0)
    assert law.mean_penalty == pytest.approx(0.1)
    assert law.mean_penalty_standard_error is None
    assert law.used["c"] == pytest.approx(0.1)
    assert any(f.code is FindingCode.TOO_FEW_CLUSTERS for f in law.findings)


def test_without_a_dense_law_the_formulas_that_need_none_remain(sweep):
    law = fitted(sweep, None, lambda N, D, M: 0.1)
    assert {fit.form for fit in law.candidates} == {"NoPenalty", "ConstantOffset", "Additive"}
    assert law.chosen is not None


def test_candidates_that_predict_alike_are_told(sweep, dense):
    law = fitted(sweep, dense, lambda N, D, M: 0.0)
    assert any(f.code is FindingCode.WEAKLY_IDENTIFIED for f in law.findings)


def test_standard_errors_are_clustered_by_trajectory(sweep, dense):
    """Noise that the four points of a trajectory share widens the error by about the root of four."""
    by_size = dict(zip((24 * w**2 + 256 * w for w in sweep.widths), (0.02, -0.01, -0.02, 0.01), strict=True))
    law = fitted(sweep, dense, lambda N, D, M: 0.1 + by_size[N], penalty_noise=0.0)
    naive = np.std(list(by_size.values())) / np.sqrt(32)
    assert law.mean_penalty_standard_error > 1.5 * naive


def test_draws_of_a_penalty_centre_on_it_and_scatter_by_its_covariance(sweep, dense, make_law, truth):
    law = fitted(sweep, dense, lambda N, D, M: 0.1 * (D / 1e6) ** 0.8)
    at = Sizes(np.array([3e4]), np.array([1e6]), np.array([2.4e4]))
    normal = np.random.default_rng(0).standard_normal((4000, 3))
    draws = penalty_draws(candidate(law, "Additive"), at, dense, normal=normal)[:, 0]
    assert draws.mean() == pytest.approx(penalty_at(candidate(law, "Additive"), at, dense)[0], rel=0.02)
    assert 1e-4 < draws.std() < 0.01


def test_pipelines_come_in_the_order_of_their_names(sweep, dense):
    sweep.pipelines = {"p50": lambda N, D, M: 0.2, "int4": lambda N, D, M: 0.1}
    points = pipeline_points(sweep.records(), convention=ParameterConvention.MATMUL)
    assert [law.pipeline for law in fit_pipelines(points, dense=dense)] == ["int4", "p50"]
    assert fit_pipelines([], dense=dense) == ()


HYBRID = [{"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.1}}, {"quantize": {"weightBits": 4}}]


def hybrid_points(truth, interaction):
    """Pairs of a pruned, a quantized and a hybrid pipeline whose multipliers are .8, .7 and .8*.7*interaction."""
    rng = np.random.default_rng(4)
    points = []
    for cluster, N in enumerate((1e4, 2e4, 4e4, 8e4, 1.6e5, 3e5)):
        for D in (5e5, 1e6, 2e6):
            for name, e, extra in (("p50", 0.8, 1.1), ("int4", 0.7, 1.0), ("both", 0.56 * interaction, 1.1)):
                penalty = multiplied(truth, e * np.exp(0.01 * rng.standard_normal()))(N, D, 0.9 * N)
                points.append(
                    PipelinePoint(
                        trial=name, pipeline=name, treatment="clean", seed=0, N=N, D=extra * D, cluster=cluster,
                        loss=2.0, control_loss=2.0 - penalty, penalty=penalty, stored_bytes=np.nan,
                        effective_bits=np.nan,
                        inference_flops=np.nan, compressible=0.9 * N,
                    )
                )  # fmt: skip
    return points


@pytest.mark.parametrize("interaction", [1.0, 0.8])
def test_multipliers_of_hybrids_are_held_against_their_parts(truth, dense, interaction):
    stages = {"dense": [], "p50": HYBRID[:2], "int4": HYBRID[2:], "both": HYBRID}
    pipelines = [Pipeline.model_validate({"name": name, "stages": own}) for name, own in stages.items()]
    found = hybrid_findings(pipelines, hybrid_points(truth, interaction), dense)
    assert set(found) == {"both"}
    expected = FindingCode.CHOSEN if interaction == 1.0 else FindingCode.MULTIPLIER_NOT_CONSTANT
    assert found["both"].code is expected
    assert "over 18 checkpoints" in found["both"].message
    assert hybrid_findings(pipelines[:3], hybrid_points(truth, interaction), dense) == {}
    assert hybrid_findings(pipelines, hybrid_points(truth, interaction), None) == {}
