"""Candidate formulas of a penalty over N and D, from no penalty at all to one with its own exponents.

A multiplier e says that the compressed model performs as a dense one of fewer parameters would. It acts on the
compressible ones M only (the blocks), so that the effective size is N - (1 - e) M.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scaling_laws.answers.surface import Surface
from scaling_laws.points import FloatArray

STEEPEST = 3.0
"""Largest |exponent| of D, N or D/N in a penalty."""


@dataclass(frozen=True)
class Sizes:
    """Where a penalty is asked for; arrays of one shape."""

    N: FloatArray
    D: FloatArray
    compressible: FloatArray
    """M: parameters that compression acts on."""


@dataclass(frozen=True)
class Centre:
    """Geometric means of the points, at which a formula's amplitude is told, so that it does not depend on units."""

    N: float
    D: float

    @property
    def ratio(self) -> float:
        """D/N at the centre."""
        return self.D / self.N


@dataclass(frozen=True)
class Candidate:
    """One formula."""

    form: str
    formula: str
    names: tuple[str, ...]
    """Of the fitted coefficients."""
    centre_names: tuple[str, ...]
    """What of the centre the formula needs: N0 and D0, or r0 = D0/N0."""
    penalty: Callable[[FloatArray, Sizes, Centre, Surface | None], FloatArray]
    """Of coefficients (..., p) with fields broadcasting as (..., n)."""
    starts: tuple[tuple[float, ...], ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    needs_surface: bool = False
    """Whether it is built on the dense law."""
    varies_with: tuple[str, ...] = ()
    """Axes (N, D, ratio) that need two levels at least."""


def centre_of(sizes: Sizes) -> Centre:
    """Return the geometric mean of the points."""
    return Centre(float(np.exp(np.log(sizes.N).mean())), float(np.exp(np.log(sizes.D).mean())))


def _none(theta: FloatArray, at: Sizes, centre: Centre, dense: Surface | None) -> FloatArray:
    return np.zeros(np.broadcast_shapes((*theta.shape[:-1], 1), at.N.shape))


def _offset(theta: FloatArray, at: Sizes, centre: Centre, dense: Surface | None) -> FloatArray:
    return theta[..., :1] + np.zeros_like(at.N)


def _constant_multiplier(theta: FloatArray, at: Sizes, centre: Centre, dense: Surface | None) -> FloatArray:
    return _effective(theta[..., :1], at, dense)


def _multiplier_of_ratio(theta: FloatArray, at: Sizes, centre: Centre, dense: Surface | None) -> FloatArray:
    k, g = theta[..., :1], theta[..., 1:2]
    decay = k * (at.D / at.N / centre.ratio) ** g
    return _effective(np.exp(-np.clip(decay, -20.0, 500.0)), at, dense)


def _additive(theta: FloatArray, at: Sizes, centre: Centre, dense: Surface | None) -> FloatArray:
    k, g, h = theta[..., :1], theta[..., 1:2], theta[..., 2:3]
    return k * (at.D / centre.D) ** g * (at.N / centre.N) ** -h


def _effective(e: FloatArray, at: Sizes, dense: Surface | None) -> FloatArray:
    """Return what the dense law says a model of N - (1 - e) M parameters loses against one of N."""
    assert dense is not None
    left = at.N - (1.0 - np.maximum(e, 1e-6)) * at.compressible
    return dense.size_term(np.maximum(left, 1e-6 * at.N)) - dense.size_term(at.N)


_MULTIPLIER = "penalty = L(N - (1 - e) M, D) - L(N, D)"
CANDIDATES = (
    Candidate("NoPenalty", "penalty = 0", (), (), _none, ((),), (), ()),
    Candidate("ConstantOffset", "penalty = c", ("c",), (), _offset, ((0.0,),), (-np.inf,), (np.inf,)),
    Candidate(
        "ConstantMultiplier", _MULTIPLIER, ("e",), (), _constant_multiplier, ((0.9,), (0.3,)), (1e-4,), (100.0,),
        needs_surface=True,
    ),
    Candidate(
        "MultiplierOfDN", f"{_MULTIPLIER}, e = exp(-k (D/N / r0)^g)", ("k", "g"), ("r0",), _multiplier_of_ratio,
        ((0.1, 0.0), (0.1, 0.5), (1.0, 0.5), (0.5, 1.0)), (-5.0, -STEEPEST), (100.0, STEEPEST),
        needs_surface=True, varies_with=("ratio",),
    ),
    Candidate(
        "Additive", "penalty = k (D/D0)^g (N/N0)^-h", ("k", "g", "h"), ("D0", "N0"), _additive,
        ((0.01, 0.0, 0.0), (0.1, 0.7, 0.3), (0.1, 0.0, 0.5)), (-np.inf, -STEEPEST, -STEEPEST),
        (np.inf, STEEPEST, STEEPEST), varies_with=("N", "D"),
    ),
)  # fmt: skip
"""From the simplest to the most flexible."""
