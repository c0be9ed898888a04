"""Own forms on tables of every kind end in numbers: finite objectives, residuals and sentences."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scaling_laws.fit import IntervalOptions, Objective, fit_law
from scaling_laws.fit.options import Loss
from scaling_laws.law import FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

FORMS = (
    "y = f + g*x^-b", "y = f + g/x^b", "y = f + g*exp(-b*x)", "y = f + g/(1 + x/h)^b", "y = f + g*log(1 + x/h)",
    "y = min(f, g*x^-b)", "y = (f + g*x)^b", "y = f*x^b", "y = f + g*tanh(b*x)", "y = f/(1 + exp(-b*(log(x) - h)))",
)  # fmt: skip
LOSSES: tuple[Loss, ...] = ("log-huber", "huber", "log-mse", "mse", "log-t", "t", "log-huber-density")
NO_INTERVALS = IntervalOptions(draws=0)


def table(x: FloatArray, y: FloatArray) -> Points:
    ones = np.ones(len(x))
    return Points(ones, ones, ones, features={"x": x, "y": y})


def random_table(seed: int) -> Points:
    """Return few or many points, over half a decade or nine, exact or noisy, in units of any size."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 40))
    x = np.exp(rng.uniform(-3, 3) + rng.uniform(0.1, 9) * rng.random(n))
    curves = (3 + 40 * x ** -rng.uniform(0.1, 2), np.exp(rng.normal(0, 3, n)), np.exp(-x / x.mean()) + 0.1, x**0.7)
    noise = np.exp(rng.choice([0, 0.02, 0.3]) * rng.normal(size=n))
    return table(x, curves[rng.integers(4)] * noise * 10 ** rng.uniform(-6, 6))


def two_models(loss: Loss) -> Law:
    """Fit word error rates of two models, mixed, over hours of speech."""
    hours = np.tile(np.repeat([10.0, 30, 100, 300, 960, 3000, 10000], 3), 2)
    gain = np.repeat([48.0, 36.0], 21)
    scatter = np.exp(0.02 * np.random.default_rng(9).standard_normal(42))
    rates = np.round((3.2 + gain * (hours / 10) ** -0.42) * scatter, 2)
    return fit_law(table(hours, rates), FORMS[0], objective=Objective(loss), intervals=NO_INTERVALS)


def law_of(points: Points, form: str, loss: Loss) -> Law | None:
    """Return the law, or None where there is none: curves without scatter have no likelihood."""
    try:
        return fit_law(points, form, objective=Objective(loss), intervals=NO_INTERVALS)
    except LawRefusedError:
        return None
    except ValueError as refusal:
        if "passes through the points exactly" in str(refusal):
            return None
        raise


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(FORMS), st.sampled_from(LOSSES), st.integers(0, 10_000))
@example(FORMS[6], "log-huber", 4)
@example(FORMS[6], "log-huber", 5)
@example(FORMS[6], "log-huber", 13)
def test_no_optimum_is_beyond_numbers(form: str, loss: Loss, seed: int) -> None:
    law = law_of(random_table(seed), form, loss)
    if law is None:
        return
    assert np.isfinite(law.objective)
    assert np.isfinite(law.fitted).all()
    assert np.isfinite([c.value for c in law.coefficients]).all()
    assert not any(" nan" in finding.message for finding in law.findings)


@pytest.mark.parametrize("loss", ["log-huber", "log-mse", "huber", "log-t"])
def test_two_models_in_one_table_lead_to_the_curve_between_them(loss: Loss) -> None:
    law = two_models(loss)
    assert law["b"] == pytest.approx(0.42, abs=0.05)
    assert law.goodness["r2"] > 0.9


def test_coefficients_that_no_point_tells_are_named_without_a_senseless_number() -> None:
    x = np.geomspace(1.0, 100.0, 30)
    scatter = np.exp(0.01 * np.random.default_rng(3).standard_normal(30))
    law = fit_law(table(x, 3 * x**-0.4 * scatter), "y = a*(x/h)^-b", objective=Objective("log-mse"))
    told = next(f.message for f in law.findings if f.code == FindingCode.WEAKLY_IDENTIFIED)
    assert "the points do not identify a and h" in told
    assert "e+" not in told.split("do not identify")[1]
