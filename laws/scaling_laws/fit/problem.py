"""The log-sum-exp problem: objective, gradient and Hessian in closed form, for many parameter vectors at once.

For point i and term k let u_ik = o_ik + X_ik . p; then log L_i = logsumexp_k u_ik has the gradient
J_i = sum_k w_ik X_ik and the Hessian sum_k w_ik X_ik X_ik' - J_i J_i', with w the softmax of u over k.
The objective is sum_i v_i rho(r_i), with r_i = log L_i - y_i, or r_i = L_i - exp(y_i) for losses of raw residuals.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scaling_laws.points import FloatArray

BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Rho:
    """What a residual costs: 1/2 r^2, and beyond delta a line (delta infinite: never)."""

    delta: float
    is_log: bool
    """Residuals are of log loss."""
    is_density: ClassVar[bool] = False
    """Whether it is the negative log density of residuals, with a scale that is known."""

    def cost(self, r: FloatArray) -> FloatArray:
        """Return rho(r)."""
        if np.isinf(self.delta):
            return 0.5 * r * r
        clipped = np.clip(r, -self.delta, self.delta)
        return clipped * (r - 0.5 * clipped)

    def slope(self, r: FloatArray) -> FloatArray:
        """Return rho'(r)."""
        return np.clip(r, -self.delta, self.delta)

    def curvature(self, r: FloatArray) -> FloatArray:
        """Return rho''(r)."""
        return (np.abs(r) <= self.delta).astype(np.float64)

    def majorant(self, r: FloatArray) -> FloatArray:
        """Return rho'(r)/r, the curvature of the parabola that touches rho at r and lies above it."""
        return self.delta / np.maximum(np.abs(r), self.delta) if np.isfinite(self.delta) else np.ones_like(r)


@dataclass(frozen=True)
class Forward:
    """The model at a batch of parameter vectors."""

    residuals: FloatArray
    """(batch, n)"""
    predicted: FloatArray
    """(batch, n), on the scale of the observed values."""
    inner: FloatArray
    """What derivatives start from: here each term's share of the loss, (batch, terms, n)."""
    objective: FloatArray
    """(batch,)"""

    def rows(self, index: BoolArray) -> "Forward":
        """Return the chosen rows of the batch."""
        return Forward(self.residuals[index], self.predicted[index], self.inner[index], self.objective[index])


@dataclass(frozen=True)
class _Part:
    """The entries of X for one parameter in one term."""

    row: int
    values: FloatArray | None
    """(n,); None: all one."""

    def times(self, other: "_Part") -> FloatArray | None:
        """Return the product of the entries."""
        if self.values is None:
            return other.values
        return self.values if other.values is None else self.values * other.values


@dataclass(frozen=True)
class Problem:
    """A log-sum-exp model and the points it is fitted on."""

    design: FloatArray
    """X, shape (parameters, terms, n)."""
    offset: FloatArray
    """o, shape (terms, n)."""
    observed: FloatArray
    """y, shape (n,): log of the observed loss."""
    rho: Rho
    lower: FloatArray
    upper: FloatArray
    """Bounds, shape (parameters,)."""

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.lower)

    @cached_property
    def _parts(self) -> tuple[tuple[_Part, ...], ...]:
        """The non-zero entries of X, by term."""
        return tuple(
            tuple(
                _Part(j, None if np.all(column == 1.0) else column)
                for j, column in enumerate(self.design[:, k])
                if np.any(column != 0.0)
            )
            for k in range(self.design.shape[1])
        )

    @cached_property
    def _pairs(self) -> tuple[tuple[int, int, int, FloatArray | None], ...]:
        """The non-zero entries of X_k X_k' on and above the diagonal: term, row, column, values (None: all one)."""
        return tuple(
            (k, one.row, other.row, one.times(other))
            for k, parts in enumerate(self._parts)
            for i, one in enumerate(parts)
            for other in parts[i:]
        )

    def forward(self, p: FloatArray, weights: FloatArray, observed: FloatArray | None = None) -> Forward:
        """Evaluate the model at parameters (batch, P) with weights and, where given, other losses (batch, n)."""
        y = self.observed if observed is None else observed
        u = np.empty((len(p), *self.offset.shape))
        for k, parts in enumerate(self._parts):
            u[:, k] = self.offset[k]
            for part in parts:
                u[:, k] += p[:, part.row, None] if part.values is None else p[:, part.row, None] * part.values
        top = u.max(axis=1)
        u -= top[:, None, :]
        np.exp(u, out=u)
        total = u.sum(axis=1)
        u /= total[:, None, :]
        predicted = np.log(total)
        predicted += top
        with np.errstate(over="ignore"):
            r = predicted - y if self.rho.is_log else np.exp(predicted) - np.exp(y)
            objective = np.einsum("bn,bn->b", np.broadcast_to(weights, r.shape), self.rho.cost(r))
        return Forward(r, predicted, u, objective)

    def jacobian(self, at: Forward) -> FloatArray:
        """Return d log L / dp, shape (batch, P, n)."""
        out = np.zeros((len(at.residuals), self.size, at.residuals.shape[1]))
        for k, parts in enumerate(self._parts):
            for part in parts:
                out[:, part.row] += at.inner[:, k] if part.values is None else at.inner[:, k] * part.values
        return out

    def derivatives(self, at: Forward, weights: FloatArray, newton: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient (batch, P) and curvature matrix (batch, P, P).

        Rows where `newton` is true get the exact Hessian; the others the Gauss-Newton matrix of the parabolas that
        majorise rho, which is never indefinite.
        """
        jacobian = self.jacobian(at)
        with np.errstate(over="ignore", invalid="ignore"):  # of raw losses far off; the row is then damped
            scale = 1.0 if self.rho.is_log else np.exp(at.predicted)
            slope = weights * self.rho.slope(at.residuals) * scale
            gradient = np.matmul(jacobian, slope[:, :, None])[:, :, 0]
            exact = weights * self.rho.curvature(at.residuals) * scale**2 - (slope if self.rho.is_log else 0.0)
            convex = weights * self.rho.majorant(at.residuals) * scale**2
            inner = np.where(newton[:, None], exact, convex)
            matrix = np.matmul(jacobian * inner[:, None, :], jacobian.transpose(0, 2, 1))
            if newton.any():
                self._add_second_order(matrix, at.inner, slope * newton[:, None])
        return gradient, matrix

    def with_rho(self, rho: Rho) -> "Problem":
        """Return the problem with another cost of residuals, of the same kind (logs or not)."""
        return replace(self, rho=rho)

    def part(self, rows: NDArray[np.int64]) -> "Problem":
        """Return the problem on some of the points."""
        return replace(self, design=self.design[:, :, rows], offset=self.offset[:, rows], observed=self.observed[rows])

    def _add_second_order(self, matrix: FloatArray, shares: FloatArray, slope: FloatArray) -> None:
        """Add sum_ik slope_i w_ik X_ik X_ik' in place, entry by entry.

        Not one matrix product: the linear-algebra library would spread it over threads that wait for each other, five
        times slower on a busy machine, and its sums would depend on how many there are.
        """
        weighted = shares * slope[:, None, :]
        for k, row, column, values in self._pairs:
            entry = weighted[:, k].sum(axis=1) if values is None else np.einsum("bn,n->b", weighted[:, k], values)
            matrix[:, row, column] += entry
            if row != column:
                matrix[:, column, row] += entry
