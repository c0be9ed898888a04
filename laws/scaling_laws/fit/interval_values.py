"""What intervals of a fitted form are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.law import IntervalMethod
from scaling_laws.points import FloatArray, Points


@dataclass(frozen=True)
class Intervals:
    """Of all coefficients, in natural units and the form's order; NaN where there is none."""

    method: IntervalMethod
    standard_errors: FloatArray | None = None
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    draws: FloatArray | None = None
    details: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def cluster_members(points: Points) -> NDArray[np.int64]:
    """Return each point's cluster as 0 to G-1."""
    return np.unique(np.asarray(points.clusters), return_inverse=True)[1].astype(np.int64)


def quantiles_of(
    draws: FloatArray, level: float, *, method: Literal["linear", "weibull"]
) -> tuple[FloatArray, FloatArray]:
    """Return the limits that hold the middle `level` of the draws (draws, coefficients)."""
    tail = 0.5 - level / 2
    with np.errstate(invalid="ignore"):  # between two amplitudes that overflowed
        lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0, method=method)
    return lower, upper


def spread_of(draws: FloatArray) -> FloatArray:
    """Return the standard deviation of the draws (draws, coefficients); NaN of a single one."""
    with np.errstate(over="ignore", invalid="ignore"):
        return draws.std(axis=0, ddof=1) if len(draws) > 1 else np.full(draws.shape[1], np.nan)


def natural_errors(optimum: FittedCurve, errors: FloatArray) -> FloatArray:
    """Return standard errors of the coefficients for small errors (P,) on the interval scale; NaN for fixed ones."""
    model = optimum.model
    estimate = model.to_interval_scale(optimum.p)
    step = 1e-3 * errors
    ahead, behind = model.limit_to_natural(estimate + step), model.limit_to_natural(estimate - step)
    with np.errstate(invalid="ignore"):
        return np.abs(ahead - behind) / 2e-3
