"""Power laws of the best model through minima at several amounts of compute: what approaches 1 and 2 have in common."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.resample import cluster_pairs_weights, pairs_weights
from scaling_laws.law import Estimate, Finding, FindingCode, IntervalMethod, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

NAMES = ("k_N", "a", "k_D", "b")
FORMULA = "N* = k_N*C^a, D* = k_D*C^b"
FEWEST_MINIMA = 3
"""Amounts of compute with a minimum, below which there is no power law to check."""
USABLE_DRAWS = 0.5
"""Share of the draws that must have enough minima for intervals."""
METHODS = {IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS, IntervalMethod.NONE}


@dataclass(frozen=True)
class Minima:
    """The best model at several amounts of compute."""

    C: FloatArray
    N: FloatArray
    D: FloatArray
    loss: FloatArray


FindMinima = Callable[[FloatArray], Minima]
"""Of how often each point counts, (n,)."""


def fit_frontier(
    points: Points, request: CompoundRequest, find: FindMinima, *, units: NDArray[np.int64] | None, unit: str
) -> Law:
    """Return the power laws through the minima, with percentile intervals over resamples.

    Args:
        points: of the table.
        request: what was asked.
        find: gives the minima of a resample.
        units: what is resampled whole, one index a point; None: the points.
        unit: how the finding calls an amount of compute.
    """
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights, dtype=np.float64)
    minima = find(weights)
    _refuse_few(minima, request.form.name, unit)
    method, draws = _draws(points, request, find, units, weights)
    values = coefficients(minima)
    fitted = values[0] * minima.C ** values[1]
    residuals = np.log(minima.N / fitted)
    total = float(np.sum((np.log(minima.N) - np.log(minima.N).mean()) ** 2))
    return Law(
        form=request.form.name,
        formula=FORMULA,
        coefficients=_estimates(values, draws, request.intervals.level),
        objective=float(np.sum(residuals**2)),
        objective_name="sum of squared log residuals of N*",
        points=len(points),
        clusters=None if points.clusters is None else len(np.unique(points.clusters)),
        level=request.intervals.level,
        interval_method=method,
        draws=draws,
        residuals=residuals,
        fitted=fitted,
        goodness={"minima": float(len(minima.C)), "r2": 1 - float(np.sum(residuals**2)) / total if total > 0 else 0.0},
        certificate=None,
        findings=(),
        details={},
    )


def _refuse_few(minima: Minima, form: str, unit: str) -> None:
    if len(minima.C) < FEWEST_MINIMA or np.ptp(np.log(minima.C)) < 0.1:
        message = (
            f"{form} finds the best model inside the sizes of {len(minima.C)} {unit}, and needs at least "
            f"{FEWEST_MINIMA} of different compute; train sizes on both sides of the optimum at more of them."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))


def _estimates(values: FloatArray, draws: FloatArray | None, level: float) -> tuple[Estimate, ...]:
    limits = _limits(draws, level)
    return tuple(
        Estimate(name, float(value), *(None if x is None else float(x[i]) for x in limits))
        for i, (name, value) in enumerate(zip(NAMES, values, strict=True))
    )


def is_frontier(law: Law) -> bool:
    """Whether a law speaks of the best models alone, as approaches 1 and 2 do."""
    return tuple(c.name for c in law.coefficients) == NAMES


def coefficients(minima: Minima) -> FloatArray:
    """Return k_N, a, k_D, b by least squares on logarithms."""
    x = np.log(minima.C)
    out = []
    for column in (minima.N, minima.D):
        y = np.log(column)
        slope = float(np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2))
        out += [float(np.exp(y.mean() - slope * x.mean())), slope]
    return np.array(out)


def _draws(
    points: Points,
    request: CompoundRequest,
    find: FindMinima,
    units: NDArray[np.int64] | None,
    weights: FloatArray,
) -> tuple[IntervalMethod, FloatArray | None]:
    options = request.intervals
    default = IntervalMethod.PAIRS if units is None else IntervalMethod.CLUSTER_PAIRS
    method = options.method or default
    if method not in METHODS:
        raise ValueError(f"{request.form.name} has {default} intervals; {method} needs a law of the loss.")
    if method == IntervalMethod.NONE or options.draws == 0:
        return IntervalMethod.NONE, None
    if units is None or method == IntervalMethod.PAIRS:
        samples = pairs_weights(len(points), options.draws, seed=options.seed)
    else:
        samples = cluster_pairs_weights(units, options.draws, seed=options.seed)
    found = [find(sample * weights) for sample in samples]
    usable = [m for m in found if len(m.C) >= 2 and np.ptp(np.log(m.C)) > 0.1 and np.ptp(np.log(m.N)) > 0]
    if len(usable) < USABLE_DRAWS * len(found):
        return IntervalMethod.NONE, None
    return method, np.array([coefficients(minima) for minima in usable])


def _limits(draws: FloatArray | None, level: float) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
    if draws is None:
        return None, None, None
    lower, upper = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return draws.std(axis=0, ddof=1), lower, upper


def without_intervals_finding(law: Law, draws: int) -> Law:
    """Return the law with a finding where resamples had too few minima for intervals."""
    if law.draws is not None or draws == 0:
        return law
    message = (
        f"Fewer than half of the resamples of {law.form} have minima at two amounts of compute, so that there are no "
        "intervals; train more sizes around each optimum."
    )
    return replace(law, findings=(*law.findings, Finding(FindingCode.WEAKLY_IDENTIFIED, message)))
