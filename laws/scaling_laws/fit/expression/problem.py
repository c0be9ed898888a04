"""The problem of a general form: objective, gradient and Hessian from its expression's exact derivatives.

With f the expression and c(p) its coefficients, a residual is f/s - y, or log f - y. Fitted parameters p are logarithms
of positive coefficients and multiples of a unit of the others, so that the chain rule through c(p) is diagonal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scaling_laws.expressions.evaluate import Tape, make_tape
from scaling_laws.fit.expression.derivatives import Derivatives
from scaling_laws.fit.problem import BoolArray, Forward, Rho
from scaling_laws.points import FloatArray


@dataclass(frozen=True)
class ExpressionProblem:
    """An expression, the points it is fitted on, and what a residual costs."""

    derivatives_of: Derivatives
    columns: Mapping[str, FloatArray]
    """Variables (n,) and fixed coefficients ()."""
    names: tuple[str, ...]
    """Of the fitted coefficients."""
    is_log: BoolArray
    """Which parameters are logarithms, (P,)."""
    unit: FloatArray
    """Coefficient per parameter, (P,), for those that are not."""
    observed: FloatArray
    """y, (n,): log of the response, or the response in units of `scale`."""
    scale: float
    rho: Rho
    lower: FloatArray
    upper: FloatArray

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.names)

    def coefficients(self, p: FloatArray) -> FloatArray:
        """Return c(p), in the shape of p (..., P)."""
        with np.errstate(over="ignore"):
            return np.where(self.is_log, np.exp(np.where(self.is_log, p, 0.0)), p * self.unit)

    def forward(self, p: FloatArray, weights: FloatArray, observed: FloatArray | None = None) -> Forward:
        """Evaluate at parameters (batch, P); where the expression has no value the objective is infinite."""
        y = self.observed if observed is None else observed
        (f,) = self._run(self._value, p)
        with np.errstate(all="ignore"):
            predicted = np.log(f) if self.rho.is_log else f / self.scale
            r = predicted - y
            objective = np.einsum("bn,bn->b", np.broadcast_to(weights, r.shape), self.rho.cost(r))
        return Forward(r, predicted, p[:, :, None].copy(), np.where(np.isfinite(objective), objective, np.inf))

    def jacobian(self, at: Forward) -> FloatArray:
        """Return d predicted / d p, shape (batch, P, n)."""
        p = at.inner[:, :, 0]
        f, *first = self._run(self._slopes, p)
        with np.errstate(all="ignore"):
            out = np.stack(first, axis=1) * self._inner_slope(p)[:, :, None]
            return np.asarray(out / (f[:, None] if self.rho.is_log else self.scale), dtype=np.float64)

    def derivatives(self, at: Forward, weights: FloatArray, newton: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient (batch, P) and Hessian (batch, P, P); rows without `newton` get the convex majorant's."""
        with np.errstate(all="ignore"):
            jacobian = self.jacobian(at)
            slope = weights * self.rho.slope(at.residuals)
            gradient = np.matmul(jacobian, slope[:, :, None])[:, :, 0]
            exact = weights * self.rho.curvature(at.residuals) - (slope if self.rho.is_log else 0.0)
            inner = np.where(newton[:, None], exact, weights * self.rho.majorant(at.residuals))
            matrix = np.matmul(jacobian * inner[:, None, :], jacobian.transpose(0, 2, 1))
            if newton.any():
                matrix[newton] += self._second_order(at.rows(newton), slope[newton], gradient[newton])
        return gradient, matrix

    def with_rho(self, rho: Rho) -> "ExpressionProblem":
        """Return the problem with another cost of residuals, of the same kind (logs or not)."""
        return replace(self, rho=rho)

    def part(self, rows: NDArray[np.int64]) -> "ExpressionProblem":
        """Return the problem on some of the points."""
        columns = {name: x[rows] if x.ndim else x for name, x in self.columns.items()}
        return replace(self, columns=columns, observed=self.observed[rows])

    def _second_order(self, at: Forward, slope: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return sum_i slope_i d2 predicted_i / dp dp, without the part of the logarithm that `exact` holds."""
        p = at.inner[:, :, 0]
        f, *second = self._run(self._curvatures, p)
        weighted = slope / (f if self.rho.is_log else self.scale)
        change = self._inner_slope(p)
        out = np.zeros((len(p), self.size, self.size))
        for (i, j), values in zip(self.derivatives_of.second, second, strict=True):
            out[:, i, j] = out[:, j, i] = np.einsum("bn,bn->b", weighted, values) * change[:, i] * change[:, j]
        diagonal = np.arange(self.size)
        out[:, diagonal, diagonal] += np.where(self.is_log, gradient, 0.0)
        return out

    def _inner_slope(self, p: FloatArray) -> FloatArray:
        """Return dc/dp, (batch, P)."""
        return np.where(self.is_log, self.coefficients(p), self.unit)

    def _run(self, tape: Tape, p: FloatArray) -> list[FloatArray]:
        """Return the tape's outputs, each of shape (batch, n)."""
        values = self.coefficients(p)
        outputs = tape.run({name: values[:, j, None] for j, name in enumerate(self.names)})
        return [np.broadcast_to(x, (len(p), len(self.observed))) for x in outputs]

    @cached_property
    def _value(self) -> Tape:
        return make_tape(self.derivatives_of.graph, [self.derivatives_of.root], self.columns)

    @cached_property
    def _slopes(self) -> Tape:
        own = self.derivatives_of
        return make_tape(own.graph, [own.root, *own.first], self.columns)

    @cached_property
    def _curvatures(self) -> Tape:
        own = self.derivatives_of
        return make_tape(own.graph, [own.root, *own.second.values()], self.columns)
