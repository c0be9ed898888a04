"""Runs that no column names are noticed, with one seed or several, in any order of the rows; independent points not."""

import numpy as np
import pytest

from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.law import FindingCode, Law
from scaling_laws.points import Points, select

TABLES = 20


def curves(table: int, *, seeds: int, luck: float, noise: float) -> Points:
    """Return six sizes with seeds of six checkpoints each, run after run."""
    rng = np.random.default_rng([table, seeds])
    sizes, ratios = (4e7, 9e7, 2.1e8, 4.5e8, 1e9, 2.3e9), (4, 8, 16, 32, 64, 128)
    N, _, ratio = np.meshgrid(sizes, np.arange(seeds), ratios, indexing="ij")
    shared = luck * rng.standard_normal((6, seeds, 1))
    loss = (1.69 + 406.4 / N**0.34 + 410.7 / (N * ratio) ** 0.28) * np.exp(shared + noise * rng.normal(size=N.shape))
    return Points(N.ravel(), (N * ratio).ravel(), loss.ravel())


def law_of(points: Points, *, shuffled_by: int | None = None) -> Law:
    if shuffled_by is not None:
        points = select(points, np.random.default_rng(shuffled_by).permutation(len(points)))
    return fit_law(points, intervals=IntervalOptions(draws=0))


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_the_luck_of_runs_is_noticed(seeds: int) -> None:
    tables = [curves(i, seeds=seeds, luck=0.006, noise=0.003) for i in range(TABLES)]
    in_order = sum(law_of(points).has(FindingCode.CORRELATED_POINTS) for points in tables)
    shuffled = sum(law_of(points, shuffled_by=3).has(FindingCode.CORRELATED_POINTS) for points in tables)
    assert in_order >= (0.95 if seeds > 1 else 0.6) * TABLES
    assert shuffled >= 0.5 * TABLES


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_independent_points_are_hardly_ever_taken_for_runs(seeds: int) -> None:
    tables = [curves(i, seeds=seeds, luck=0.0, noise=0.006) for i in range(TABLES)]
    assert sum(law_of(points).has(FindingCode.CORRELATED_POINTS) for points in tables) <= 1


def test_runs_with_tokens_of_their_own_are_told_apart_by_the_rise_of_d() -> None:
    points = curves(1, seeds=3, luck=0.006, noise=0.003)
    run = np.arange(len(points)) // 6
    own = Points(points.N, points.D * (1 + 0.01 * (run % 3)), points.loss)
    told = next(f.message for f in law_of(own).findings if f.code == FindingCode.CORRELATED_POINTS)
    assert "along which D rises agree (correlation 0." in told
    assert "over 18 likely runs" in told
    assert "or the form does not fit" in told
