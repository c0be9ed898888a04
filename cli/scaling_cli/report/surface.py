"""The dense law as charts need it: loss over (N, D), isoloss lines in closed form, the frontier with its band."""

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np

from scaling_laws.answers.flops import FlopsPerToken, flops_per_token
from scaling_laws.answers.frontier import optimal_log_size
from scaling_laws.answers.surface import Surface, has_surface, surface_draws, surface_of
from scaling_laws.law import Law
from scaling_laws.points import FloatArray, Points

Span: TypeAlias = tuple[float, float]

_DRAWS = 400  # enough for a 95 % band that the eye cannot tell from 4,000's
_BUDGETS = 60


@dataclass(frozen=True)
class DenseLaw:
    """A law over (N, D) with the draws behind its band."""

    surface: Surface
    draws: Surface | None
    level: float
    """Of the band."""

    def loss(self, N: FloatArray | float, D: FloatArray | float) -> FloatArray:
        """Return the expected loss in nats, broadcast over N and D."""
        return np.asarray(self.surface.loss(np.asarray(N), np.asarray(D)), dtype=np.float64)

    def tokens_for(self, loss: float, N: FloatArray) -> FloatArray:
        """Return the D at which models of size N reach a loss; NaN where no amount of data is enough."""
        s = self.surface
        return _inverse(loss - s.E - s.size_term(N), s.B, s.beta)

    def parameters_for(self, loss: float, D: FloatArray) -> FloatArray:
        """Return the N that reaches a loss with D tokens; NaN where no size is enough."""
        s = self.surface
        return _inverse(loss - s.E - s.token_term(D), s.A, s.alpha)


@dataclass(frozen=True)
class Compute:
    """Training FLOPs a token."""

    sizes: FloatArray
    """The sweep's N, ascending."""
    measured: FloatArray
    """FLOPs a token of each."""
    rule: FlopsPerToken
    """At any N."""


@dataclass(frozen=True)
class Frontier:
    """The compute-optimal model for each budget C."""

    C: FloatArray
    N: FloatArray
    D: FloatArray
    loss: FloatArray
    lower: FloatArray | None
    """Lower limit of the optimal loss; None without draws."""
    upper: FloatArray | None


def dense_law(law: Law | None) -> DenseLaw | None:
    """Return the law as a surface over (N, D), or None for forms that are none."""
    if law is None or not has_surface(law) or not all(np.isfinite(c.value) for c in law.coefficients):
        return None
    return DenseLaw(surface_of(law), _thinned(surface_draws(law)), law.level)


def compute_of(dense: Points) -> Compute | None:
    """Return what a token costs at each size of the dense points, or None where there is no point."""
    if not len(dense):
        return None
    rule = flops_per_token(dense)
    a_token = np.asarray(dense.features["C"], dtype=np.float64) / dense.D if "C" in dense.features else rule(dense.N)
    sizes = np.unique(dense.N)
    return Compute(sizes, np.array([float(np.median(a_token[dense.N == N])) for N in sizes]), rule)


def frontier(law: DenseLaw, compute: Compute, span: Span) -> Frontier | None:
    """Return the frontier over a span of budgets, or None where the law has no optimum inside."""
    C = np.geomspace(*span, _BUDGETS)
    log_N = _optima(law.surface, C, compute.rule)
    if not (np.abs(log_N) < 100).all():
        return None
    N = np.exp(log_N)
    D = C / compute.rule(N)
    loss = law.loss(N, D)
    lower, upper = _band(law, compute.rule, C)
    return Frontier(C, N, D, loss, lower, upper)


def _band(law: DenseLaw, rule: FlopsPerToken, C: FloatArray) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the limits of the optimal loss over the draws, one a budget."""
    if law.draws is None:
        return None, None
    N = np.exp(np.clip(_optima(law.draws, C, rule), -600, 600))
    losses = np.asarray(law.draws.loss(N, C / rule(N)))
    tail = (1 - law.level) / 2
    lower, upper = np.nanquantile(np.where(np.isfinite(losses), losses, np.nan), [tail, 1 - tail], axis=0)
    return (lower, upper) if np.isfinite([lower, upper]).all() else (None, None)


def _optima(surface: Surface, C: FloatArray, rule: FlopsPerToken) -> FloatArray:
    """Return log N* at each budget, budgets along the last axis."""
    columns = [np.atleast_1d(optimal_log_size(surface, float(c), rule)) for c in C]
    return np.stack([column.ravel() for column in columns], axis=-1).squeeze()


def _thinned(draws: Surface | None) -> Surface | None:
    if draws is None:
        return None
    columns = [np.asarray(getattr(draws, f.name)) for f in fields(draws)]
    whole = np.flatnonzero(np.all([np.isfinite(column[:, 0]) for column in columns], axis=0))
    if len(whole) < 20:
        return None
    kept = whole[np.linspace(0, len(whole) - 1, min(len(whole), _DRAWS)).astype(int)]
    return Surface(*(column[kept] for column in columns))


def _inverse(gap: FloatArray, amplitude: FloatArray, exponent: FloatArray) -> FloatArray:
    """Return x with amplitude * x^-exponent = gap; NaN where there is none."""
    with np.errstate(all="ignore"):
        x: FloatArray = (amplitude / np.where(gap > 0, gap, np.nan)) ** (1 / exponent)
    return np.where(np.isfinite(x) & (x > 0), x, np.nan)
