"""Likelihoods: densities whose scale the points decide, intervals by curvature and profile, criteria that compare."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import fdtrc, stdtrit

from scaling_laws.fit import IntervalOptions, Objective, fit_law
from scaling_laws.fit.quantiles import f_tail, normal_quantile, t_quantile, t_tail
from scaling_laws.law import IntervalMethod, Law
from scaling_laws.points import Documents, FloatArray, Points

DATA = Path(os.environ.get("SCALING_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
NONE = IntervalOptions(draws=0)
TEXT = "L = E + A/N^alpha + B/D^beta"


def table(seed: int = 0, *, noise: float = 0.006, clusters: int | None = None, count: int = 60) -> Points:
    rng = np.random.default_rng(seed)
    N, D = np.exp(rng.uniform(15, 21, count)), np.exp(rng.uniform(20, 26, count))
    scatter = noise * rng.standard_t(3, count)
    members = None
    if clusters is not None:
        members = np.arange(count) % clusters
        scatter = scatter + noise * rng.standard_normal(clusters)[members]
    return Points(N, D, (1.7 + 400 / N**0.34 + 2000 / D**0.37) * np.exp(scatter), clusters=members)


def epoch() -> Points:
    path = DATA / "epoch_chinchilla" / "svg_extracted_data.csv"
    if not path.exists():
        pytest.skip(f"no published data: {path} does not exist (set SCALING_DATA)")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    N, C, loss = (np.array([float(row[key]) for row in rows]) for key in ("Model Size", "Training FLOP", "loss"))
    kept = loss < np.sort(loss)[-5]
    return Points(N[kept], (C / (6 * N))[kept], loss[kept])


def log_likelihood(law: Law, points: Points) -> float:
    """Work the likelihood of the loss out with scipy's own density."""
    words = law.objective_name.replace(",", "").replace(")", "").split()
    shape, scale = float(words[words.index("degrees") - 1]), float(words[-1])
    return float(np.sum(stats.t.logpdf(law.residuals, shape, scale=scale) - np.log(points.loss)))


def test_student_s_t_is_the_most_probable_density() -> None:
    points = epoch()
    law = fit_law(points, objective=Objective("log-t"), intervals=NONE)
    assert law.goodness["log_likelihood"] == pytest.approx(log_likelihood(law, points), abs=0.01)
    reached = -law.objective

    def joint(x: FloatArray) -> float:
        shape, scale, *theta = np.exp(x)
        E, A, B, alpha, beta = theta
        residuals = np.log(points.loss / (E + A / points.N**alpha + B / points.D**beta))
        return -float(np.sum(stats.t.logpdf(residuals, shape, scale=scale)))

    start = np.log([2.6, 0.004, law["E"], law["A"], law["B"], law["alpha"], law["beta"]])
    peer = minimize(joint, start, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-9, "xatol": 1e-9})
    assert reached >= -peer.fun - 1e-5


def huber_log_density(residuals: FloatArray, k: float, scale: float) -> FloatArray:
    """Return the log of Huber's density, its constant by quadrature."""
    u = np.abs(residuals / scale)
    whole = 2 * quad(lambda x: np.exp(-(x * x / 2 if x <= k else k * x - k * k / 2)), 0, np.inf, limit=200)[0]
    return -np.where(u <= k, u * u / 2, k * u - k * k / 2) - np.log(scale * whole)


@pytest.mark.parametrize("seed", [0, 1])
def test_huber_s_density_has_the_most_probable_scale(seed: int) -> None:
    points = epoch() if seed == 0 else table(seed, count=100)
    law = fit_law(points, objective=Objective("log-huber-density"), intervals=NONE)
    words = law.objective_name.replace(",", "").replace(")", "").split()
    k, scale = float(words[words.index("=") + 1]), float(words[-1])
    own = float(np.sum(huber_log_density(law.residuals, k, scale)))
    assert -law.objective == pytest.approx(own, abs=0.01)
    assert law.goodness["log_likelihood"] == pytest.approx(own - np.sum(np.log(points.loss)), abs=0.01)
    assert law.goodness["aic"] == pytest.approx(2 * 6 - 2 * law.goodness["log_likelihood"])
    assert law.certificate is not None
    assert law.certificate.is_certified

    def joint(x: FloatArray) -> float:
        scale, E, A, B, alpha, beta = np.exp(x)
        residuals = np.log(points.loss / (E + A / points.N**alpha + B / points.D**beta))
        return -float(np.sum(huber_log_density(residuals, k, scale)))

    start = np.log([scale, law["E"], law["A"], law["B"], law["alpha"], law["beta"]])
    peer = minimize(joint, start, method="Nelder-Mead", options={"maxiter": 1500, "fatol": 1e-9, "xatol": 1e-9})
    assert -law.objective >= -peer.fun - 1e-4


def test_a_given_scale_and_shape_of_huber_s_density_stay() -> None:
    points = table()
    law = fit_law(points, objective=Objective("log-huber-density", scale=0.01, shape=1.5), intervals=NONE)
    plain = fit_law(points, objective=Objective("log-huber", delta=0.015), intervals=NONE)
    for name in ("E", "A", "B", "alpha", "beta"):
        assert law[name] == pytest.approx(plain[name], rel=1e-6)
    assert {"aic", "bic"} <= set(law.goodness)
    assert not {"aic", "bic"} & set(plain.goodness)


@pytest.mark.parametrize("loss", ["log-t", "t", "log-mse", "mse", "log-huber-density", "huber-density"])
def test_both_engines_find_the_same_likelihood_and_intervals(loss: str) -> None:
    points = table()
    for method in (IntervalMethod.HESSIAN, IntervalMethod.SANDWICH, IntervalMethod.PROFILE):
        options = IntervalOptions(method=method)
        one, other = (
            fit_law(points, form, objective=Objective(loss), intervals=options) for form in ("Chinchilla", TEXT)
        )
        assert one.goodness["aic"] == pytest.approx(other.goodness["aic"], abs=1e-5)
        for name in ("E", "A", "B", "alpha", "beta"):
            a, b = (next(c for c in law.coefficients if c.name == name) for law in (one, other))
            assert (a.lower, a.upper) == pytest.approx((b.lower, b.upper), rel=2e-4)
            assert a.lower < a.value < a.upper


def test_hessian_errors_are_those_of_least_squares() -> None:
    points = table()
    hessian = fit_law(
        points, TEXT, objective=Objective("mse"), intervals=IntervalOptions(method=IntervalMethod.HESSIAN)
    )
    classic = fit_law(
        points, TEXT, objective=Objective("mse"), intervals=IntervalOptions(method=IntervalMethod.LEAST_SQUARES)
    )
    for a, b in zip(hessian.coefficients, classic.coefficients, strict=True):
        assert a.standard_error == pytest.approx(b.standard_error, rel=0.2)


def test_profile_limits_have_the_likelihood_that_the_level_asks_for() -> None:
    points = table()
    law = fit_law(points, objective=Objective("log-mse"), intervals=IntervalOptions(method=IntervalMethod.PROFILE))
    for c in law.coefficients:
        for limit in (c.lower, c.upper):
            held = fit_law(points, objective=Objective("log-mse"), intervals=NONE, fixed={c.name: limit})
            ratio = len(points) * np.log(held.objective / law.objective)
            assert ratio == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-4)


def test_clusters_widen_sandwich_and_profile_but_not_the_hessian() -> None:
    points = table(clusters=12)
    alone = replace(points, clusters=None)
    widths = {}
    for method in (IntervalMethod.HESSIAN, IntervalMethod.SANDWICH, IntervalMethod.PROFILE):
        laws = [
            fit_law(p, objective=Objective("log-t"), intervals=IntervalOptions(method=method)) for p in (points, alone)
        ]
        widths[method] = [law.coefficients[3].upper - law.coefficients[3].lower for law in laws]
    assert widths[IntervalMethod.HESSIAN][0] == widths[IntervalMethod.HESSIAN][1]
    assert widths[IntervalMethod.SANDWICH][0] != widths[IntervalMethod.SANDWICH][1]
    assert widths[IntervalMethod.PROFILE][0] != widths[IntervalMethod.PROFILE][1]


@pytest.mark.parametrize("method", ["Hessian", "Sandwich", "Profile"])
@pytest.mark.parametrize("form", ["Chinchilla", TEXT])
def test_curvature_of_a_huber_sum_is_refused(method: str, form: str) -> None:
    with pytest.raises(ValueError, match="need a likelihood, and log-huber"):
        fit_law(table(), form, intervals=IntervalOptions(method=IntervalMethod(method)))
    assert "aic" not in fit_law(table(), form, intervals=NONE).goodness


def test_points_without_scatter_have_no_likelihood_to_maximise() -> None:
    points = table(noise=0.0)
    with pytest.raises(ValueError, match="passes through the points exactly"):
        fit_law(points, objective=Objective("log-t"), intervals=NONE)


def test_criteria_prefer_the_form_that_made_the_points() -> None:
    points = table(count=120)
    laws = {
        form: fit_law(points, form, objective=Objective("log-t"), intervals=NONE) for form in ("Chinchilla", "KaplanN")
    }
    assert laws["Chinchilla"].goodness["bic"] < laws["KaplanN"].goodness["bic"] - 100


def test_bca_limits_differ_from_percentiles_and_hold_the_estimate() -> None:
    points = table(clusters=12)
    for p in (points, replace(points, clusters=None)):
        options = IntervalOptions(method=IntervalMethod.BCA, draws=300)
        law = fit_law(p, objective=Objective("log-mse"), intervals=options)
        plain = fit_law(
            p,
            objective=Objective("log-mse"),
            intervals=replace(
                options, method=IntervalMethod.PAIRS if p.clusters is None else IntervalMethod.CLUSTER_PAIRS
            ),
        )
        assert np.array_equal(law.draws, plain.draws)
        assert any(a.lower != b.lower for a, b in zip(law.coefficients, plain.coefficients, strict=True))
        assert all(c.lower <= c.value <= c.upper for c in law.coefficients)


@pytest.mark.parametrize("method", [None, IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS, IntervalMethod.BCA])
@pytest.mark.parametrize("form", ["Chinchilla", TEXT])
def test_held_out_documents_are_a_second_level(form: str, method: IntervalMethod | None) -> None:
    points = table(clusters=12)
    rng = np.random.default_rng(5)
    tokens = rng.integers(50, 150, 40).astype(np.float64)
    shared = 1 + 0.3 * rng.standard_normal(40)  # hard documents are hard for all models
    loss = points.loss[:, None] * tokens * (shared / np.average(shared, weights=tokens))
    known = replace(points, documents=Documents(loss, tokens))
    options = IntervalOptions(method=method, draws=200)
    without, within = (fit_law(p, form, intervals=options) for p in (points, known))
    errors = [next(c.standard_error for c in law.coefficients if c.name == "E") for law in (without, within)]
    assert errors[1] > 1.3 * errors[0]
    few = replace(points, documents=Documents(loss[:, :1], tokens[:1]))
    assert fit_law(few, form, intervals=options).draws == pytest.approx(without.draws)


def test_documents_are_checked() -> None:
    points = table()
    with pytest.raises(ValueError, match="Losses by document have the shape"):
        fit_law(replace(points, documents=Documents(np.ones((3, 4)), np.ones(4))))
    with pytest.raises(ValueError, match="every document needs a token"):
        fit_law(replace(points, documents=Documents(np.ones((60, 4)), np.zeros(4))))


@pytest.mark.parametrize("freedom", [1, 3, 7, 39, 500])
def test_quantiles_are_scipy_s(freedom: float) -> None:
    for p in (0.5, 0.6, 0.9, 0.975, 0.9999):
        assert t_quantile(freedom, p) == pytest.approx(stdtrit(freedom, p), rel=1e-9, abs=1e-12)
        assert t_quantile(freedom, 1 - p) == pytest.approx(-stdtrit(freedom, p), rel=1e-9, abs=1e-12)
        assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=1e-12)
    for f in (0.1, 1.0, 8.0, 200.0):
        assert f_tail(3, freedom, f) == pytest.approx(fdtrc(3, freedom, f), rel=1e-9)
    assert t_tail(freedom, 2.5) == pytest.approx(stats.t.sf(2.5, freedom), rel=1e-10)
