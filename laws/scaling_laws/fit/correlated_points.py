"""Points of one training run that pass for independent: residuals that agree, within a size or within a likely run.

A run's luck shifts all its points alike, so that residuals vary more between runs than within them: Fisher's F of a
one-way analysis of variance, on ranks. Tables that name no runs are looked at in two ways. Means over the replicates of
each N and D are compared between sizes, whose degrees of freedom are those that the law has left; and replicates among
themselves, taken to be of one run as they stand in the table, which no law of N and D can explain.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.findings import repeated_rows
from scaling_laws.fit.quantiles import f_tail
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import FloatArray, Points

AGREEMENT_P = 1e-3
"""Chance of so much agreement between points that are independent."""
FEWEST_WITHIN = 10
"""Degrees of freedom within groups that a verdict needs."""
SAME_SIZE = 1e-6
ROUNDING = 1e-12
"""Residuals of points without noise are rounding, whose pattern says nothing."""


def correlated_points(optimum: FittedCurve, points: Points, residuals: FloatArray) -> Iterator[Finding]:
    """Yield a finding where points of one size, or of one likely run, agree, in tables that name no trajectories.

    Args:
        optimum: of the law.
        points: of the table.
        residuals: of the fit, (n,).
    """
    if points.clusters is not None and len(np.unique(points.clusters)) < len(points):
        return
    if np.sqrt(np.mean(residuals**2)) < ROUNDING or repeated_rows(points):
        return
    scores, layout = _scores(residuals), _layout(points)
    seen = [*_of_sizes(scores, layout, _explained(optimum)), *_of_runs(scores, layout)]
    worst = min(seen, key=lambda agreement: agreement.chance, default=None)
    if worst is None or worst.chance > AGREEMENT_P:
        return
    message = (
        f"Residuals of {worst.what} agree (correlation {worst.correlation:.2f} over {worst.groups} {worst.kind}): they "
        "look like checkpoints or branches of one training run, which share its luck, and intervals that take them as "
        "independent are too narrow; or the form does not fit. Name the column of the run (--columns cluster=...), "
        "keep one point a run, or look at the residuals over N and D."
    )
    yield Finding(FindingCode.CORRELATED_POINTS, message)


@dataclass(frozen=True)
class _Agreement:
    """One analysis of variance."""

    what: str
    kind: str
    groups: int
    f: float
    between: float
    """Degrees of freedom."""
    within: float
    each: float
    """Points in a group, on average."""

    @property
    def chance(self) -> float:
        """Of so large an F between independent points."""
        return f_tail(self.between, self.within, self.f)

    @property
    def correlation(self) -> float:
        """Between points of one group."""
        return (self.f - 1) / (self.f + self.each - 1)


@dataclass(frozen=True)
class _Layout:
    """Where the points stand, each index (n,)."""

    size: NDArray[np.int64]
    """Of N."""
    cell: NDArray[np.int64]
    """Of N and D."""
    run: NDArray[np.int64]
    """That each point is likely of: the first replicate at each D of one size, the second, ...; or, without replicates,
    rows of one size between which D rises."""
    block: NDArray[np.int64]
    """Within which runs differ by their luck alone: cell, or size."""


def _layout(points: Points) -> _Layout:
    size = _index(np.round(np.log(points.N) / SAME_SIZE))
    cell = _index(size * len(points) + _index(points.D))
    place = _place_within(cell)
    if place.any():
        return _Layout(size, cell, _index(size * len(points) + place), cell)
    order = np.argsort(size, kind="stable")
    begins = np.diff(points.D[order], prepend=np.inf) <= 0
    begins |= np.diff(size[order], prepend=-1) > 0
    run = np.empty_like(size)
    run[order] = np.cumsum(begins) - 1
    return _Layout(size, cell, run, size)


def _place_within(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return of each row how many of its group stand above it."""
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    place = np.empty_like(groups)
    place[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place


def _index(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64).ravel()


def _of_sizes(scores: FloatArray, layout: _Layout, explained: FloatArray) -> Iterator[_Agreement]:
    """Yield how the means over replicates agree within sizes, beside what the law has explained of each."""
    cells = np.bincount(layout.cell)
    size = np.zeros(len(cells), dtype=np.int64)
    size[layout.cell] = layout.size
    each = np.bincount(size)
    means, directions = _means(scores[None], layout.cell)[0], _means(explained, layout.cell)
    shifts = np.sqrt(each) * _means(directions, size)
    variance = np.bincount(size, 1 / cells) / each
    lost = np.sum(shifts**2, axis=0)
    between = float(np.sum(1 - lost / variance))
    within = float(np.sum(1 - cells * np.sum(directions**2, axis=0))) - between
    squares = float(np.sum(each * _means(means[None], size)[0] ** 2))
    expected = float(np.sum(variance - lost))
    rest = float(np.sum(1 / cells - np.sum(directions**2, axis=0))) - expected
    if between < 0.5 or within < FEWEST_WITHIN:
        return
    f = squares / expected * rest / max(float(np.sum(means**2)) - squares, 1e-12)
    yield _Agreement("points of one size", "sizes", len(each), f, between, within, float(each.mean()))


def _of_runs(scores: FloatArray, layout: _Layout) -> Iterator[_Agreement]:
    """Yield how points of one likely run agree, beside others at the same place."""
    rows = _complete(layout)
    size, run, block = (_index(x[rows]) for x in (layout.size, layout.run, layout.block))
    if not rows.any():
        return
    shifted = scores[rows] - _means(scores[rows][None], block)[0][block]
    each = np.bincount(run)
    between = len(each) - len(np.unique(size))
    within = len(shifted) - len(np.unique(block)) - between
    if between < 1 or within < FEWEST_WITHIN:
        return
    squares = float(np.sum(each * _means(shifted[None], run)[0] ** 2))
    f = squares / between * within / max(float(np.sum(shifted**2)) - squares, 1e-12)
    what = "replicates that stand in the same order at each D"
    what = what if layout.block is layout.cell else "rows of one size along which D rises"
    yield _Agreement(what, "likely runs", len(each), f, between, within, float(each.mean()))


def _complete(layout: _Layout) -> NDArray[np.bool_]:
    """Return the rows of the cells that have all the replicates of their size, where blocks are cells."""
    if layout.block is not layout.cell:
        return np.ones(len(layout.size), dtype=bool)
    count = np.bincount(layout.cell)[layout.cell]
    most = np.zeros(layout.size.max() + 1, dtype=np.int64)
    np.maximum.at(most, layout.size, count)
    return np.asarray((count == most[layout.size]) & (count > 1), dtype=np.bool_)


def _explained(optimum: FittedCurve) -> FloatArray:
    """Return orthonormal directions (rank, n) of residuals that the free parameters take out."""
    model, problem = optimum.model, optimum.model.problem
    jacobian = model.interval_jacobian(problem.forward(optimum.p[None], optimum.weights))[0]
    jacobian = jacobian[(optimum.p > problem.lower) & (optimum.p < problem.upper)]
    size = np.linalg.norm(jacobian, axis=1)
    scaled = jacobian[(size > 0) & np.isfinite(size)]
    scaled = scaled / np.linalg.norm(scaled, axis=1)[:, None]
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    kept = values > 1e-10
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])).T @ scaled, dtype=np.float64)


def _means(values: FloatArray, groups: NDArray[np.int64]) -> FloatArray:
    """Return the mean of each row (k, n) over groups, (k, groups)."""
    counts = np.bincount(groups)
    return np.array([np.bincount(groups, row) / counts for row in values]).reshape(len(values), len(counts))


def _scores(values: FloatArray) -> FloatArray:
    """Return the values' ranks about their mean, so that no outlier decides."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    return np.asarray((ranks - ranks.mean()) / max(float(ranks.std()), 1.0), dtype=np.float64)
