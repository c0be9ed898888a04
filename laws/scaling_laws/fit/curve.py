"""What descent, certificate and intervals need of a form on points; each engine brings its own implementation."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.problem import BoolArray, Forward, Rho
from scaling_laws.points import FloatArray


class NamedCoefficients(Protocol):
    """A form with its coefficients' names."""

    @property
    def coefficients(self) -> tuple[str, ...]:
        """In the order in which a law lists them."""
        ...


class Curve(Protocol):
    """An objective over parameters: sum_i v_i rho(predicted_i - observed_i), for many parameter vectors at once."""

    @property
    def observed(self) -> FloatArray:
        """(n,), on the scale of the predictions."""
        ...

    @property
    def rho(self) -> Rho:
        """What a residual costs."""
        ...

    @property
    def lower(self) -> FloatArray:
        """Lower bounds, (P,)."""
        ...

    @property
    def upper(self) -> FloatArray:
        """Upper bounds, (P,)."""
        ...

    @property
    def size(self) -> int:
        """Number of parameters P."""
        ...

    def forward(self, p: FloatArray, weights: FloatArray, observed: FloatArray | None = None) -> Forward:
        """Evaluate at parameters (batch, P) with weights and, where given, other observed values (batch, n)."""
        ...

    def with_rho(self, rho: Rho) -> "Curve":
        """Return the curve with another cost of residuals, of the same kind (logs or not)."""
        ...

    def part(self, rows: NDArray[np.int64]) -> "Curve":
        """Return the curve on some of the points."""
        ...

    def derivatives(self, at: Forward, weights: FloatArray, newton: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient (batch, P) and Hessian (batch, P, P), or its convex majorant where `newton` is false."""
        ...


class CurveModel(Protocol):
    """A curve with the way from its parameters to the form's coefficients."""

    @property
    def form(self) -> NamedCoefficients:
        """What is fitted."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        ...

    @property
    def residual_unit(self) -> float:
        """What a residual of one is, in logs or in units of the response."""
        ...

    @property
    def problem(self) -> Curve:
        """What is minimised."""
        ...

    def natural(self, p: FloatArray) -> FloatArray:
        """Return all coefficients (..., coefficients) in natural units for parameters (..., P)."""
        ...

    def to_interval_scale(self, p: FloatArray) -> FloatArray:
        """Return parameters (..., P) on the scale on which their errors are nearest to symmetric."""
        ...

    def from_interval_scale(self, q: FloatArray) -> FloatArray:
        """Return parameters (..., P), inside the bounds, for values on the interval scale."""
        ...

    def limit_to_natural(self, q: FloatArray) -> FloatArray:
        """Return coefficients (coefficients,) for limits (P,) on the interval scale; NaN for fixed ones."""
        ...

    def moved(self, changes: FloatArray) -> FloatArray:
        """Return the observed values (draws, n) with the response changed by these logs (draws, n)."""
        ...

    def interval_units(self, p: FloatArray) -> FloatArray:
        """Return d parameter / d parameter of `interval_jacobian`, (P,)."""
        ...

    def interval_jacobian(self, at: Forward) -> FloatArray:
        """Return d residual / d parameter, (batch, P, n), up to the linear map of `interval_shifts`."""
        ...

    def interval_shifts(self, shifts: FloatArray) -> FloatArray:
        """Return small changes (..., P) of the parameters of `interval_jacobian` on the interval scale."""
        ...


class FittedCurve(Protocol):
    """A curve at its optimum."""

    @property
    def model(self) -> CurveModel:
        """What was fitted."""
        ...

    @property
    def p(self) -> FloatArray:
        """(P,)"""
        ...

    @property
    def weights(self) -> FloatArray:
        """(n,)"""
        ...

    @property
    def warm_start(self) -> FloatArray:
        """Where refits begin, (1, P)."""
        ...
