"""Epoch's 240 points of Chinchilla (Besiroglu et al. 2024, arXiv:2404.10102): the frontier and the back-test."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from scaling_laws.answers import backtest, backtests, compute_optimal, reach_of
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.law import IntervalMethod
from scaling_laws.points import Points

DATA = Path(os.environ.get("SCALING_DATA", Path(__file__).parents[4] / "shared" / "data"))
TABLE = DATA / "epoch_chinchilla" / "svg_extracted_data.csv"
pytestmark = pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is not there; set SCALING_DATA to its folder")


@pytest.fixture(scope="module")
def points():
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    N, C, loss = (np.array([float(row[k]) for row in rows]) for k in ("Model Size", "Training FLOP", "loss"))
    kept = loss < np.sort(loss)[-5]
    return Points(N[kept], (C / (6 * N))[kept], loss[kept])


def test_the_frontier_at_chinchillas_budget(points):
    law = fit_law(points, intervals=IntervalOptions(method=IntervalMethod.PAIRS, draws=4000))
    answer, narrow = (compute_optimal(law, 5.76e23, level=level) for level in (0.95, 0.8))
    assert answer.parameters.value == pytest.approx(7.32e10, rel=2e-3)
    assert answer.tokens.value == pytest.approx(1.31e12, rel=5e-3)
    assert answer.tokens_per_parameter.value == pytest.approx(17.9, rel=3e-3)
    assert (narrow.tokens_per_parameter.lower, narrow.tokens_per_parameter.upper) == pytest.approx(
        (9.9, 29.0), rel=0.05
    )


def test_the_back_test_above_1e21(points):
    held = 6 * points.N * points.D >= 1e21
    result = backtest(points, held, fit_law, label="C above 1e21")
    assert (result.fitted_points, result.held_out_points) == (217, 23)
    assert result.law_error == pytest.approx(0.0105, abs=3e-4)
    assert result.law_largest_error == pytest.approx(0.028, abs=1e-3)
    assert result.is_passed


def test_answers_beyond_the_points_carry_the_back_test(points):
    law = fit_law(points, intervals=IntervalOptions(draws=200))
    reach = reach_of(points, backtests(points, lambda part: fit_law(part, intervals=IntervalOptions(draws=100))))
    assert 4 <= reach.factor < 40
    (finding,) = compute_optimal(law, 5.76e23, reach=reach).findings
    assert finding.code == "ExtrapolationUntested"
    assert not compute_optimal(law, 1e21, reach=reach).findings
