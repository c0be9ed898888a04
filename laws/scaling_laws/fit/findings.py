"""Findings that every law shares: few steps, few trajectories, residuals beyond the scatter between seeds."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.options import FEWEST_FOR_BOOTSTRAP_T
from scaling_laws.fit.quantiles import f_tail
from scaling_laws.law import Finding, FindingCode, IntervalMethod
from scaling_laws.points import FloatArray, Points

FEWEST_STEPS = 1000
"""Below these a trial's loss is limited by its optimizer's steps; in pilot sweeps the exponents bent by 15 %."""
FEWEST_CLUSTERS = 6
MOST_COINCIDENCES = 0.1
"""Share of rows that may equal another by chance: losses of seeds that are rounded to two digits."""
LACK_OF_FIT_P = 1e-3
"""Chance of so large an F without lack of fit; trajectories correlate residuals, so that 5 % would cry wolf."""


def shared_findings(
    points: Points, residuals: FloatArray, groups: NDArray[np.int64], *, coefficients: int, method: IntervalMethod
) -> Iterator[Finding]:
    """Yield StepLimited, TooFewClusters, CorrelatedPoints of copied rows and LackOfFit where they apply.

    Args:
        points: what was fitted.
        residuals: of the fit, (n,).
        groups: index of the replicates that each point belongs to, (n,): same place in the design.
        coefficients: fitted.
        method: of the intervals.
    """
    yield from _step_limited(points)
    yield from _too_few_clusters(points, method)
    if repeats := repeated_rows(points):
        yield _identical_rows(points, repeats)
    else:
        yield from _lack_of_fit(points, residuals, groups, coefficients)


def _step_limited(points: Points) -> Iterator[Finding]:
    if points.steps is None:
        return
    few = np.asarray(points.steps) < FEWEST_STEPS
    if few.any():
        yield Finding(
            FindingCode.STEP_LIMITED,
            f"{int(few.sum())} of {len(points)} points took fewer than {FEWEST_STEPS:,} optimizer steps (the fewest "
            f"{np.min(points.steps):,.0f}); such losses are limited by steps rather than data and bias the exponents. "
            "Use more tokens or smaller batches there, or leave those points out.",
        )


def _too_few_clusters(points: Points, method: IntervalMethod) -> Iterator[Finding]:
    clusters = 0 if points.clusters is None else len(np.unique(points.clusters))
    if 0 < clusters < FEWEST_CLUSTERS:
        consequence = (
            f"the {method} intervals may cover less than they say"
            if method not in {IntervalMethod.NONE, IntervalMethod.PAIRS, IntervalMethod.LEAST_SQUARES}
            else f"the {method} intervals treat points of one trajectory as independent"
        )
        if 1 < clusters < FEWEST_FOR_BOOTSTRAP_T:
            consequence = f"a cluster bootstrap-t would be noise and {consequence}"
        trajectories = "one trajectory" if clusters == 1 else f"{clusters} independent trajectories"
        yield Finding(
            FindingCode.TOO_FEW_CLUSTERS,
            f"The {len(points)} points come from {trajectories}, fewer than {FEWEST_CLUSTERS}, so "
            f"that {consequence}; train more trunks (other sizes or seeds).",
        )


def repeated_rows(points: Points) -> int:
    """Return how many rows repeat another in every column, or 0 if so few that rounding may have made them alike."""
    most = int(MOST_COINCIDENCES * len(points))
    if len(points) - len(np.unique(points.loss)) <= most:
        return 0
    others = [np.unique(column, return_inverse=True)[1].ravel() for column in points.features.values()]
    repeats = len(points) - len(np.unique(np.column_stack([points.N, points.D, points.loss, *others]), axis=0))
    return repeats if repeats > most else 0


def _identical_rows(points: Points, repeats: int) -> Finding:
    return Finding(
        FindingCode.CORRELATED_POINTS,
        f"{repeats} of {len(points)} rows repeat another row to the last digit: copies of one result are no "
        "replicates, and intervals that take them as independent are too narrow. Keep each result once.",
    )


def _lack_of_fit(
    points: Points, residuals: FloatArray, groups: NDArray[np.int64], coefficients: int
) -> Iterator[Finding]:
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights)
    mass = np.bincount(groups, weights)
    means = np.bincount(groups, weights * residuals) / np.where(mass > 0, mass, 1.0)
    cells = int(np.count_nonzero(mass))
    counted = int(np.count_nonzero(weights))
    between, within = cells - coefficients, counted - cells
    if between <= 0 or within <= 0:
        return
    pure = float(np.sum(weights * (residuals - means[groups]) ** 2)) / within
    lack = float(np.sum(mass * means**2)) / between
    rounding = 1e-24 * max(float(np.average(points.loss, weights=weights)) ** 2, 1.0)
    if lack <= rounding or not _is_significant(lack, max(pure, rounding), between, within):
        return
    yield Finding(
        FindingCode.LACK_OF_FIT,
        f"The residuals' mean square is {lack / max(pure, rounding):.3g} times the scatter between replicates (F with "
        f"{between} and {within} degrees of freedom), so that the form misses structure in the data; look at the "
        "residuals over N and D, narrow the range, or fit another form.",
    )


def _is_significant(lack: float, pure: float, between: int, within: int) -> bool:
    if lack <= pure:
        return False
    return f_tail(between, within, lack / pure) < LACK_OF_FIT_P
