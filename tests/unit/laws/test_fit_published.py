"""Published tables and figures that the fitter must reproduce."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict
from scaling_laws.fit.bootstrap_intervals import percentile_intervals
from scaling_laws.fit.descend import find_optimum
from scaling_laws.fit.resample import weights_from_indices
from scaling_laws.forms import FORMS
from scaling_laws.law import IntervalMethod
from scaling_laws.points import Points

REPOSITORY = Path(__file__).resolve().parents[3]
NO_INTERVALS = IntervalOptions(draws=0)


def table(name: str) -> list[dict[str, str]]:
    folder = Path(os.environ.get("SCALING_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / name).exists():
        pytest.skip(f"no published data: {folder / name} does not exist (set SCALING_DATA)")
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def epoch_points() -> Points:
    """The 240 points of Besiroglu et al. 2024 (arXiv:2404.10102)."""
    rows = table("epoch_chinchilla/svg_extracted_data.csv")
    N, C, loss = (np.array([float(row[key]) for row in rows]) for key in ("Model Size", "Training FLOP", "loss"))
    kept = loss < np.sort(loss)[-5]
    return Points(N[kept], (C / (6 * N))[kept], loss[kept])


def below(points: Points, flops: float) -> Points:
    kept = flops > 6 * points.N * points.D
    return Points(points.N[kept], points.D[kept], points.loss[kept])


def test_the_240_points_reach_the_optimum_that_six_solvers_agree_on() -> None:
    law = fit_law(epoch_points(), intervals=NO_INTERVALS)
    assert law.points == 240
    assert abs(law.objective - 0.0010182740178006002) <= 1e-15
    expected = {"E": 1.8172180990, "A": 477.8258682, "B": 2143.41736, "alpha": 0.34731049888, "beta": 0.36717243263}
    assert {name: law[name] for name in expected} == pytest.approx(expected, rel=1e-8)
    assert law.certificate is not None
    assert law.certificate.is_certified
    assert law.certificate.gradient_norm < 1e-9
    assert law.certificate.starts_agreeing == law.certificate.starts


def test_4000_case_resamples_give_the_published_errors_and_intervals() -> None:
    points = epoch_points()
    optimum = find_optimum(FORMS["Chinchilla"], points, objective=Objective())
    state = np.random.RandomState(42)
    indices = np.array([state.choice(np.arange(240), 240, True) for _ in range(4000)])
    made = percentile_intervals(optimum, weights_from_indices(indices, 240))
    order = ("E", "A", "B", "alpha", "beta")
    errors = {"A": 124.49363932, "B": 1293.16906348, "E": 0.02565704319, "alpha": 0.01539747493, "beta": 0.02059416917}
    assert dict(zip(order, made.standard_errors, strict=True)) == pytest.approx(errors, rel=2e-6)
    lower = {"A": 286.0854636, "B": 1042.36607, "E": 1.76935045831, "alpha": 0.31682328886, "beta": 0.33126131637}
    upper = {"A": 743.6098452, "B": 5810.35894, "E": 1.87122804203, "alpha": 0.37328269498, "beta": 0.41537485574}
    assert dict(zip(order, made.lower, strict=True)) == pytest.approx(lower, rel=2e-6)
    assert dict(zip(order, made.upper, strict=True)) == pytest.approx(upper, rel=2e-6)
    share = made.draws[:, 4] / (made.draws[:, 3] + made.draws[:, 4])
    assert share.std() == pytest.approx(0.01997, abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", {"E": 1.90509227, "A": 4.00052229, "B": 1.05094768, "alpha": 0.35105819, "beta": 0.4587418}),
        ("log-mse", {"E": 1.89259271, "A": 4.01455734, "B": 1.05706978, "alpha": 0.35223506, "beta": 0.44297008}),
    ],
)
def test_the_217_points_below_1e21_flops_give_the_least_squares_fits(loss: str, expected: dict[str, float]) -> None:
    points = below(epoch_points(), 1e21)
    assert len(points) == 217
    law = fit_law(
        Points(points.N / 1e6, points.D / 1e9, points.loss), objective=Objective(loss), intervals=NO_INTERVALS
    )
    assert {name: law[name] for name in expected} == pytest.approx(expected, rel=2e-8)
    if loss == "mse":
        assert law.objective * 217 == pytest.approx(0.062414292883476094, rel=1e-12)


def test_the_23_points_above_1e21_flops_are_predicted_within_three_percent() -> None:
    points = epoch_points()
    law = fit_law(below(points, 1e21), intervals=NO_INTERVALS)
    above = 6 * points.N * points.D >= 1e21
    missed = np.abs(predict(law, points.N[above], points.D[above]) / points.loss[above] - 1)
    assert above.sum() == 23
    assert missed.mean() == pytest.approx(0.0105, abs=5e-4)
    assert missed.max() == pytest.approx(0.028, abs=1e-3)


def test_default_intervals_of_a_table_without_trajectories_are_pairs_percentiles() -> None:
    law = fit_law(epoch_points(), intervals=IntervalOptions(draws=500, seed=3))
    assert law.interval_method == IntervalMethod.PAIRS
    published = {"A": 124.5, "B": 1293.3, "E": 0.0257, "alpha": 0.0154, "beta": 0.0206}
    errors = {c.name: c.standard_error for c in law.coefficients}
    assert errors == pytest.approx(published, rel=0.25)


def test_the_example_of_the_pypi_package_is_fitted_below_its_own_result_under_log_huber() -> None:
    rows = table("kyo_takano_llm/df.csv")
    N, D, loss = (np.array([float(row[key]) for row in rows]) for key in ("N", "D", "loss"))
    law = fit_law(Points(N, D, loss), intervals=NO_INTERVALS)
    theirs = np.log(1.7004437920 + 185.38809 / N**0.28923265 + 1627.00125 / D**0.35560209) - np.log(loss)
    clipped = np.clip(theirs, -1e-3, 1e-3)
    assert law.objective < np.sum(clipped * (theirs - clipped / 2))
    assert law.certificate is not None
    assert law.certificate.is_certified
