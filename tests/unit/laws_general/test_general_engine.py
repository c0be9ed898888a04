"""Users' own forms through `fit_law`: optimum, properties, intervals, findings, refusals, speed of import."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict, predict_draws
from scaling_laws.forms import Coefficient, ExpressionForm
from scaling_laws.law import FindingCode, IntervalMethod, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

CHINCHILLA = "loss = E + A*N^-alpha + B*D^-beta"
NO_INTERVALS = IntervalOptions(draws=0)
LOSSES = ["log-huber", "huber", "log-mse", "mse"]


def sweep(noise: float = 0.01, seed: int = 0) -> Points:
    rng = np.random.default_rng(seed)
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e10, 7), np.geomspace(1e9, 1e12, 6), indexing="ij"))
    loss = 1.8 + 480 / N**0.35 + 2100 / D**0.37
    trunk = np.repeat(rng.standard_normal(7), 6)
    scatter = noise * (0.7 * trunk + 0.7 * rng.standard_normal(42))
    return Points(N, D, loss * np.exp(scatter), clusters=np.repeat(np.arange(7), 6))


def columns(**features: FloatArray) -> Points:
    ones = np.ones(len(next(iter(features.values()))))
    return Points(ones, ones, ones, features=features)


def values(law: Law) -> dict[str, float]:
    return {c.name: c.value for c in law.coefficients}


@pytest.mark.parametrize("loss", LOSSES)
def test_an_expression_ends_where_the_engine_of_power_sums_ends(loss: str) -> None:
    points, objective = sweep(), Objective(loss)
    own = fit_law(points, CHINCHILLA, objective=objective, intervals=NO_INTERVALS)
    known = fit_law(points, "Chinchilla", objective=objective, intervals=NO_INTERVALS)
    assert values(own) == pytest.approx(values(known), rel=1e-6)
    assert own.objective == pytest.approx(known.objective, rel=1e-10)
    assert own.goodness["r2"] == pytest.approx(known.goodness["r2"], rel=1e-8)
    assert own.fitted == pytest.approx(known.fitted, rel=1e-7)
    assert own.has(FindingCode.CONVERGED)


def test_intervals_agree_with_those_of_the_engine_of_power_sums() -> None:
    points = sweep()
    for method in (IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS, IntervalMethod.CV3):
        options = IntervalOptions(draws=200, method=method)
        own, known = (fit_law(points, form, intervals=options) for form in (CHINCHILLA, "Chinchilla"))
        for name in ("E", "alpha", "beta"):
            one, other = (next(c for c in law.coefficients if c.name == name) for law in (own, known))
            assert one.standard_error == pytest.approx(other.standard_error, rel=2e-2)
            assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), rel=2e-2)


def test_the_default_method_follows_trajectories() -> None:
    form = "loss = exp(e) + exp(a - alpha*log(N)) + exp(b - beta*log(D))"
    law = fit_law(sweep(), form, intervals=IntervalOptions(draws=200))
    assert law.interval_method == IntervalMethod.WILD_CLUSTER_T
    alpha = next(c for c in law.coefficients if c.name == "alpha")
    assert alpha.lower is not None
    assert alpha.upper is not None
    assert alpha.lower < 0.35 < alpha.upper
    assert predict_draws(law, 1e11, 1e13).shape == (200,)
    again = fit_law(sweep(), form, intervals=IntervalOptions(draws=200))
    assert again.coefficients == law.coefficients
    assert fit_law(replace(sweep(), clusters=None), form, intervals=IntervalOptions(draws=50)).interval_method == (
        IntervalMethod.PAIRS
    )


@given(st.floats(-12, 12), st.floats(-12, 12), st.floats(-6, 6), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_units_and_order_of_rows_do_not_matter(n: float, d: float, loss: float, seed: int) -> None:
    points, order = sweep(), np.random.default_rng(seed).permutation(42)
    other = Points(points.N[order] * 10**n, points.D[order] * 10**d, points.loss[order] * 10**loss)
    one = fit_law(points, CHINCHILLA, objective=Objective("log-mse"), intervals=NO_INTERVALS)
    two = fit_law(other, CHINCHILLA, objective=Objective("log-mse"), intervals=NO_INTERVALS)
    assert two.objective == pytest.approx(one.objective, rel=1e-10)
    assert (two["alpha"], two["beta"]) == pytest.approx((one["alpha"], one["beta"]), rel=1e-6)
    assert two["E"] == pytest.approx(one["E"] * 10**loss, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_count_as_copies(loss: str) -> None:
    points = sweep()
    twice = Points(*(np.concatenate([x, x[:10]]) for x in (points.N, points.D, points.loss)))
    weights = np.where(np.arange(42) < 10, 2.0, 1.0)
    copied = fit_law(twice, CHINCHILLA, objective=Objective(loss), intervals=NO_INTERVALS)
    weighted = fit_law(replace(points, weights=weights), CHINCHILLA, objective=Objective(loss), intervals=NO_INTERVALS)
    assert values(weighted) == pytest.approx(values(copied), rel=1e-7)


def test_any_column_may_be_the_response_and_zero_or_negative() -> None:
    x = np.linspace(-3, 3, 40)
    y = -2.0 + 1.5 * np.tanh(0.8 * (x - 0.4))
    law = fit_law(columns(x=x, y=y), "y = a + b*tanh(c*(x - x0))", objective=Objective("mse"), intervals=NO_INTERVALS)
    found = values(law)
    assert (found["a"], found["x0"]) == pytest.approx((-2.0, 0.4), rel=1e-9)
    assert found["b"] * found["c"] == pytest.approx(1.2, rel=1e-9)
    assert predict(law, 1.0, 1.0, features={"x": np.array([0.4, 100.0])}) == pytest.approx([-2.0, -0.5], rel=1e-9)
    with pytest.raises(ValueError, match="also depends on x"):
        predict(law, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"takes the logarithm of y, which is -3\.48"):
        fit_law(columns(x=x, y=y), "y = a + b*x")


def test_a_linear_expression_is_least_squares() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal(30), rng.standard_normal(30)
    law = fit_law(
        columns(x=x, y=y), "y = a + b*x + c*x^2", objective=Objective("mse"),
        intervals=IntervalOptions(method=IntervalMethod.LEAST_SQUARES),
    )  # fmt: skip
    matrix = np.column_stack([np.ones(30), x, x**2])
    expected, squares, *_ = np.linalg.lstsq(matrix, y)
    errors = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)) * squares[0] / 27)
    assert [c.value for c in law.coefficients] == pytest.approx(expected.tolist(), rel=1e-10)
    assert [c.standard_error for c in law.coefficients] == pytest.approx(errors.tolist(), rel=1e-10)
    assert law.has(FindingCode.CONVERGED)


def test_fixed_and_bounded_coefficients() -> None:
    form = ExpressionForm("Own", CHINCHILLA, fixed={"alpha": 0.35}, declared=(Coefficient("E", lower=2.0),))
    law = fit_law(sweep(), form, intervals=IntervalOptions(draws=20))
    assert law["alpha"] == 0.35
    assert next(c for c in law.coefficients if c.name == "alpha").standard_error is None
    assert law["E"] == pytest.approx(2.0)
    assert law.certificate is not None
    assert law.certificate.active_bounds == ("E",)
    assert "E lies on its lower bound of 2" in next(f.message for f in law.findings if f.code == FindingCode.BOUND_HIT)


def test_coefficients_that_cannot_be_told_apart_are_weakly_identified() -> None:
    twins = fit_law(sweep(), "loss = E + A*N^-(alpha*beta)", intervals=NO_INTERVALS)
    assert twins.has(FindingCode.WEAKLY_IDENTIFIED)
    assert not twins.has(FindingCode.CONVERGED)
    clear = fit_law(sweep(0.001), "loss = E + A*N^-alpha + B*D^-beta", intervals=NO_INTERVALS)
    assert not clear.has(FindingCode.WEAKLY_IDENTIFIED)


def test_lack_of_fit_is_seen_between_replicates() -> None:
    points = sweep(0.0)
    doubled = Points(*(np.concatenate([x, x]) for x in (points.N, points.D, points.loss)))
    noisy = replace(doubled, loss=doubled.loss * np.exp(1e-3 * np.random.default_rng(0).standard_normal(84)))
    assert fit_law(noisy, "loss = E + A*N^-alpha", intervals=NO_INTERVALS).has(FindingCode.LACK_OF_FIT)
    assert not fit_law(noisy, CHINCHILLA, intervals=NO_INTERVALS).has(FindingCode.LACK_OF_FIT)


def test_too_few_points_and_steps_and_levels() -> None:
    points = sweep()
    few = Points(points.N[:7], points.D[:7], points.loss[:7])
    with pytest.raises(LawRefusedError, match="5 coefficients and there are 7 points") as caught:
        fit_law(few, CHINCHILLA)
    assert caught.value.finding.code == FindingCode.TOO_FEW_POINTS
    with pytest.raises(LawRefusedError, match="the same D"):
        fit_law(replace(points, D=np.full(42, 1e9)), CHINCHILLA)
    short = fit_law(replace(points, steps=np.full(42, 500.0)), CHINCHILLA, intervals=NO_INTERVALS)
    assert short.has(FindingCode.STEP_LIMITED)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("loss = E + ", "found the end at position 12"),
        ("loss = N + D", "has no coefficient to fit"),
        ("y = a*N", "no feature named 'y'"),
        ("loss = a*kind", "does not hold numbers but text such as 'dense'"),
        ("loss = " + " + ".join(f"a{i}*N^b{i}" for i in range(13)), "at most 24 can be fitted"),
        ("N = a*N^b", "predicts N from itself"),
    ],
)
def test_unusable_forms_are_refused_with_the_reason(form: str, message: str) -> None:
    points = replace(sweep(), features={"kind": np.array(["dense", "int4"] * 21)})
    with pytest.raises(ValueError, match=message):
        fit_law(points, form)


def test_a_form_without_a_value_anywhere_is_refused() -> None:
    with pytest.raises(LawRefusedError, match="no finite value"):
        fit_law(sweep(), "loss = a + log(-N)*b", intervals=NO_INTERVALS)


def test_an_absurd_form_ends_in_seconds_without_a_certificate() -> None:
    names = [f"a{i}" for i in range(24)]
    factors = (
        f"(1 + exp({names[i % 24]}*log(N)*{names[(7 * i + 3) % 24]})^{names[(5 * i + 1) % 24]})" for i in range(60)
    )
    law = fit_law(sweep(), "loss = " + "*".join(factors), intervals=NO_INTERVALS)
    assert law.has(FindingCode.NOT_CONVERGED)
    assert law.has(FindingCode.WEAKLY_IDENTIFIED)


def test_intervals_that_do_not_suit_are_refused() -> None:
    with pytest.raises(ValueError, match="LeastSquares intervals are for mse and log-mse"):
        fit_law(sweep(), CHINCHILLA, intervals=IntervalOptions(method=IntervalMethod.LEAST_SQUARES))
    with pytest.raises(ValueError, match="at least two trajectories"):
        fit_law(
            replace(sweep(), clusters=None), CHINCHILLA, intervals=IntervalOptions(method=IntervalMethod.WILD_CLUSTER_T)
        )


def test_starts_must_be_complete_and_bounds_in_order() -> None:
    with pytest.raises(ValueError, match="no value for E"):
        fit_law(sweep(), ExpressionForm("Own", CHINCHILLA, starts=({"A": 1.0},)))
    with pytest.raises(ValueError, match="lower bound of a must be below"):
        Coefficient("a", lower=2.0, upper=1.0)
    with pytest.raises(ValueError, match="no coefficient 'Z'"):
        fit_law(sweep(), ExpressionForm("Own", CHINCHILLA, fixed={"Z": 1.0}))


def test_a_large_table_is_searched_in_part_and_fitted_in_full() -> None:
    rng = np.random.default_rng(5)
    N, D = np.exp(rng.uniform(16, 23, 60_000)), np.exp(rng.uniform(20, 27, 60_000))
    points = Points(N, D, (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.01 * rng.standard_normal(60_000)))
    own, known = (fit_law(points, form, intervals=NO_INTERVALS) for form in (CHINCHILLA, "Chinchilla"))
    assert own.objective == pytest.approx(known.objective, rel=1e-12)
    assert own.has(FindingCode.CONVERGED)


def test_importing_the_fitter_stays_light() -> None:
    code = "import sys, numpy; import scaling_laws.fit; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
