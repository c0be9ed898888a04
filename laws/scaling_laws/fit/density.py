"""Densities of residuals: Student's t, and Huber's, normal in the middle with exponential tails.

Huber's least favourable density (Huber 1964, doi:10.1214/aoms/1177703732) is exp(-rho_k(r/s)) / (s Z(k)), with
rho_k(u) = u^2/2 up to |u| = k and k |u| - k^2/2 beyond, and Z(k) = sqrt(2 pi) erf(k/sqrt 2) + 2/k exp(-k^2/2). A sum of
Huber's losses is its negative log likelihood for a delta = k s that the points decide, and for no other.
"""

from dataclasses import dataclass
from math import erf, exp, lgamma, log, pi, sqrt
from typing import ClassVar

import numpy as np

from scaling_laws.fit.options import Objective
from scaling_laws.fit.problem import Rho
from scaling_laws.points import FloatArray


@dataclass(frozen=True)
class StudentRho(Rho):
    """The negative log density of Student's t with a known scale, up to a constant; `delta` plays no part."""

    is_density: ClassVar[bool] = True
    scale: float = 1.0
    shape: float = 4.0
    """Degrees of freedom."""

    def cost(self, r: FloatArray) -> FloatArray:
        """Return (shape + 1)/2 log(1 + r^2/(shape scale^2))."""
        return np.asarray(0.5 * (self.shape + 1) * np.log1p(r * r / self._square))

    def slope(self, r: FloatArray) -> FloatArray:
        """Return rho'(r)."""
        return (self.shape + 1) * r / (self._square + r * r)

    def curvature(self, r: FloatArray) -> FloatArray:
        """Return rho''(r), negative for outliers."""
        squares = r * r
        return (self.shape + 1) * (self._square - squares) / (self._square + squares) ** 2

    def majorant(self, r: FloatArray) -> FloatArray:
        """Return rho'(r)/r."""
        return (self.shape + 1) / (self._square + r * r)

    @property
    def _square(self) -> float:
        return self.shape * self.scale**2


@dataclass(frozen=True)
class HuberDensityRho(Rho):
    """The negative log of Huber's density with a known scale, up to a constant; `delta` is k times the scale."""

    is_density: ClassVar[bool] = True
    scale: float = 1.0

    def cost(self, r: FloatArray) -> FloatArray:
        """Return rho_k(r/scale)."""
        return super().cost(r) / self.scale**2

    def slope(self, r: FloatArray) -> FloatArray:
        """Return rho'(r)."""
        return super().slope(r) / self.scale**2

    def curvature(self, r: FloatArray) -> FloatArray:
        """Return rho''(r)."""
        return super().curvature(r) / self.scale**2

    def majorant(self, r: FloatArray) -> FloatArray:
        """Return rho'(r)/r."""
        return super().majorant(r) / self.scale**2


def density_rho(objective: Objective, unit: float) -> StudentRho | HuberDensityRho:
    """Return the cost of residuals counted in a unit, for an objective whose density is known."""
    scale, shape = _known(objective)
    if objective.is_student:
        return StudentRho(np.inf, objective.is_log, scale / unit, shape)
    return HuberDensityRho(shape * scale / unit, objective.is_log, scale / unit)


def log_height(objective: Objective) -> float:
    """Return the log density of a residual of zero."""
    scale, shape = _known(objective)
    if objective.is_student:
        return lgamma((shape + 1) / 2) - lgamma(shape / 2) - 0.5 * log(pi * shape) - log(scale)
    return -log(sqrt(2 * pi) * erf(shape / sqrt(2)) + 2 / shape * exp(-0.5 * shape**2)) - log(scale)


def scale_terms(objective: Objective, squares: FloatArray, shape: float) -> tuple[FloatArray, FloatArray]:
    """Return what each squared residual, in scales, adds to d cost / d log(1/scale), and how fast that grows.

    The first is rho'(u) u, whose mean is one at the most probable scale; the second minus its derivative by the log of
    the squared scale.
    """
    if objective.is_student:
        parts = (shape + 1) * squares / (shape + squares)
        return parts, parts * shape / (shape + squares)
    parts = np.minimum(squares, shape * np.sqrt(squares))
    return parts, np.where(squares <= shape**2, parts, 0.5 * parts)


def _known(objective: Objective) -> tuple[float, float]:
    assert objective.scale is not None
    assert objective.shape is not None
    return objective.scale, objective.shape
