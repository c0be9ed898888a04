"""Quantiles and tails of Student's t, F and the normal distribution.

scipy has them all, but takes a fifth of the command's time to import; these are the few that fits need. The incomplete
beta function is its continued fraction by Lentz's method (Abramowitz and Stegun 1964, 26.5.8).
"""

from math import erfc, exp, inf, lgamma, log, log1p, sqrt

import numpy as np

from scaling_laws.points import FloatArray

_TINY = 1e-300
_MOST_TERMS = 500
_HALVINGS = 200


def normal_cdf(x: float) -> float:
    """Return the share of the standard normal distribution below x."""
    return 0.5 * erfc(-x / sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return the point below which a share p of the standard normal distribution lies, by bisection to rounding."""
    if p > 0.5:
        return -normal_quantile(1 - p)
    low, high = -40.0, 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if normal_cdf(middle) < p else (low, middle)
    return 0.5 * (low + high)


def t_tail(freedom: float, t: float) -> float:
    """Return the share of Student's t distribution above t >= 0."""
    return 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_tails(freedom: float, t: FloatArray) -> FloatArray:
    """Return the share beyond |t| on both sides, elementwise."""
    return np.array([2 * t_tail(freedom, abs(float(x))) for x in t])


def t_quantile(freedom: float, p: float) -> float:
    """Return the point below which a share p of Student's t distribution lies, by bisection to rounding."""
    if p < 0.5:
        return -t_quantile(freedom, 1 - p)
    low, high = 0.0, 1.0
    while t_tail(freedom, high) > 1 - p and high < 1e300:
        low, high = high, high * 2
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if middle in {low, high}:
            break
        low, high = (middle, high) if t_tail(freedom, middle) > 1 - p else (low, middle)
    return 0.5 * (low + high)


def f_tail(numerator: float, denominator: float, f: float) -> float:
    """Return the share of the F distribution with these degrees of freedom above f >= 0."""
    return incomplete_beta(denominator / 2, numerator / 2, denominator / (denominator + numerator * f))


def chi_square_quantile(p: float) -> float:
    """Return the point below which a share p of the chi-square distribution with one degree of freedom lies."""
    return normal_quantile(0.5 + p / 2) ** 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    return front * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = inf
        for term in (even, odd):
            d, c = 1.0 / _away(1.0 + term * d), _away(1.0 + term / c)
            change = c * d
            value *= change
        if abs(change - 1.0) < 1e-16:
            break
    return value


def _away(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
