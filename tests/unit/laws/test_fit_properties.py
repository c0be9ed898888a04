"""What must hold for any table: units, order, weights, seeds."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict, predict_draws
from scaling_laws.law import Law
from scaling_laws.points import Points

NO_INTERVALS = IntervalOptions(draws=0)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def sweeps(draw: st.DrawFn) -> Points:
    """A grid that obeys a law up to noise, of any scale that the field has seen."""
    alpha, beta = draw(st.floats(0.2, 0.8)), draw(st.floats(0.2, 0.8))
    n0, d0 = 10 ** draw(st.floats(3, 8)), 10 ** draw(st.floats(4, 10))
    scale = 10 ** draw(st.floats(-3, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    N, D = (x.ravel() for x in np.meshgrid(n0 * np.geomspace(1, 3e3, 6), d0 * np.geomspace(1, 3e3, 5)))
    loss = scale * (1 + 2 * (N / n0) ** -alpha + 3 * (D / d0) ** -beta) * np.exp(0.003 * rng.normal(size=30))
    return Points(N, D, loss)


def values(law: Law) -> np.ndarray:
    return np.array([c.value for c in law.coefficients])


@FEW
@given(points=sweeps(), loss=st.sampled_from(["log-huber", "log-mse", "mse"]))
def test_units_change_amplitudes_and_nothing_else(points: Points, loss: str) -> None:
    law = fit_law(points, objective=Objective(loss), intervals=NO_INTERVALS)
    other = fit_law(
        Points(points.N / 1e6, points.D * 512, points.loss / np.log(2)),
        objective=Objective(loss),
        intervals=NO_INTERVALS,
    )
    E, A, B, alpha, beta = values(law)
    expected = [E / np.log(2), A / 1e6**alpha / np.log(2), B * 512**beta / np.log(2), alpha, beta]
    assert values(other) == pytest.approx(expected, rel=1e-6)
    factor = 1.0 if loss.startswith("log") else np.log(2) ** -2
    assert other.objective == pytest.approx(law.objective * factor, rel=1e-10)


@FEW
@given(points=sweeps(), seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(points: Points, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(points))
    law = fit_law(points, intervals=NO_INTERVALS)
    other = fit_law(Points(points.N[order], points.D[order], points.loss[order]), intervals=NO_INTERVALS)
    assert values(other) == pytest.approx(values(law), rel=1e-7)
    assert other.objective == pytest.approx(law.objective, rel=1e-12)


@FEW
@given(points=sweeps(), copies=st.lists(st.integers(1, 3), min_size=30, max_size=30))
def test_repeated_rows_equal_weights(points: Points, copies: list[int]) -> None:
    rows = np.repeat(np.arange(30), copies)
    law = fit_law(replace(points, weights=np.array(copies, dtype=float)), intervals=NO_INTERVALS)
    other = fit_law(Points(points.N[rows], points.D[rows], points.loss[rows]), intervals=NO_INTERVALS)
    assert other.objective == pytest.approx(law.objective, rel=1e-12)
    assert values(other) == pytest.approx(values(law), rel=1e-7)


@FEW
@given(points=sweeps())
def test_another_exact_point_far_away_never_worsens_the_optimum(points: Points) -> None:
    law = fit_law(points, intervals=NO_INTERVALS)
    N, D = np.append(points.N, 1e3 * points.N.max()), np.append(points.D, 1e3 * points.D.max())
    more = fit_law(Points(N, D, np.append(points.loss, predict(law, N[-1], D[-1]))), intervals=NO_INTERVALS)
    assert more.objective <= law.objective * (1 + 1e-12)


@FEW
@given(points=sweeps())
def test_no_other_coefficients_do_better(points: Points) -> None:
    law = fit_law(points, intervals=NO_INTERVALS)
    rng = np.random.default_rng(0)
    for spread in (1e-3, 0.1):
        E, A, B, alpha, beta = (values(law) * np.exp(spread * rng.normal(size=(200, 5)))).T[:, :, None]
        r = np.log(E + A / points.N**alpha + B / points.D**beta) - np.log(points.loss)
        clipped = np.clip(r, -1e-3, 1e-3)
        assert np.sum(clipped * (r - clipped / 2), axis=1).min() >= law.objective


def noiseless() -> Points:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e3, 1e12, 7), np.geomspace(1e4, 1e14, 7)))
    return Points(N, D, 0.5 + 12 / N**0.25 + 40 / D**0.31)


@pytest.mark.parametrize("loss", ["log-huber", "huber", "log-mse", "mse"])
def test_exact_points_give_back_the_coefficients(loss: str) -> None:
    law = fit_law(noiseless(), objective=Objective(loss), intervals=NO_INTERVALS)
    assert values(law) == pytest.approx([0.5, 12, 40, 0.25, 0.31], rel=1e-6)
    assert law.certificate is not None
    assert law.certificate.is_certified


def test_integers_of_any_size_are_taken_as_numbers() -> None:
    points = noiseless()
    whole = Points(points.N.astype(np.int64), points.D.astype(np.int64), points.loss)
    assert values(fit_law(whole, intervals=NO_INTERVALS)) == pytest.approx([0.5, 12, 40, 0.25, 0.31], rel=1e-3)


def test_predictions_follow_the_formula_and_broadcast() -> None:
    law = fit_law(noiseless(), intervals=IntervalOptions(draws=20))
    assert predict(law, [[1e6], [1e9]], [1e9, 1e10, 1e11]).shape == (2, 3)
    assert predict_draws(law, [[1e6], [1e9]], [1e9, 1e10, 1e11]).shape == (20, 2, 3)
    assert predict(law, 1e6, 1e9) == pytest.approx(0.5 + 12 / 1e6**0.25 + 40 / 1e9**0.31)


PROGRAM = """
import numpy as np
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.points import Points
rng = np.random.default_rng(0)
N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 1e9, 8), np.geomspace(1e8, 1e11, 6)))
loss = (1.7 + 400 / N**.34 + 2000 / D**.37) * np.exp(.01 * rng.normal(size=48))
for clusters in (None, np.arange(48) % 8):
    law = fit_law(Points(N, D, loss, clusters=clusters), intervals=IntervalOptions(draws=200, seed=7))
    print(*(x.hex() for c in law.coefficients for x in (c.value, c.standard_error, c.lower, c.upper)))
"""


def test_the_same_seed_gives_the_same_law_with_any_number_of_threads() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "4")
    }
    assert len(outputs) == 1


def test_another_seed_gives_other_intervals_and_the_same_coefficients() -> None:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 1e9, 8), np.geomspace(1e8, 1e11, 6)))
    loss = (1.7 + 400 / N**0.34 + 2000 / D**0.37) * np.exp(0.01 * np.random.default_rng(0).normal(size=48))
    one, other = (fit_law(Points(N, D, loss), intervals=IntervalOptions(draws=200, seed=seed)) for seed in (1, 2))
    assert np.array_equal(values(one), values(other))
    assert one.coefficients[0].lower != other.coefficients[0].lower


def test_importing_the_engine_does_not_import_scipy() -> None:
    program = "import sys, scaling_laws.fit; sys.exit(any(m.split('.')[0] == 'scipy' for m in sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
