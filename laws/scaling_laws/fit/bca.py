"""Bias-corrected and accelerated limits: Efron 1987 (doi:10.1080/01621459.1987.10478410).

The percentiles that are read off the draws move by how many of them lie below the estimate, and by how fast its error
grows with its value, which the jackknife tells.
"""

import numpy as np

from scaling_laws.fit.quantiles import normal_cdf, normal_quantile
from scaling_laws.points import FloatArray


def bca_limits(
    draws: FloatArray, estimate: FloatArray, left_out: FloatArray, *, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return lower and upper limits (coefficients,).

    Args:
        draws: of a bootstrap, (draws, coefficients).
        estimate: (coefficients,).
        left_out: the estimate without each block of points, (blocks, coefficients).
        level: of the limits.
    """
    pairs = [
        _limits(np.sort(column), float(value), jack, level)
        for column, value, jack in zip(draws.T, estimate, left_out.T, strict=True)
    ]
    return np.array([low for low, _ in pairs]), np.array([high for _, high in pairs])


def _limits(ordered: FloatArray, value: float, left_out: FloatArray, level: float) -> tuple[float, float]:
    count = len(ordered)
    below = float(np.sum(ordered < value) + 0.5 * np.sum(ordered == value)) / count
    bias = normal_quantile(min(max(below, 0.5 / count), 1 - 0.5 / count))
    spread = left_out.mean() - left_out
    largest = float(np.abs(spread).max(initial=0.0))
    shape = spread / largest if 0 < largest < np.inf else np.zeros(len(spread))
    acceleration = float(np.sum(shape**3)) / (6 * max(float(np.sum(shape**2)), 1e-12) ** 1.5)
    tails = [_moved(normal_quantile(tail), bias, acceleration) for tail in (0.5 - level / 2, 0.5 + level / 2)]
    low, high = np.quantile(ordered, [min(max(tail, 0.0), 1.0) for tail in tails], method="weibull")
    return float(low), float(high)


def _moved(z: float, bias: float, acceleration: float) -> float:
    shifted = bias + z
    return normal_cdf(bias + shifted / max(1 - acceleration * shifted, 1e-3))
