"""Ordinary and weighted least squares with every covariance that a linear law reports."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.points import FloatArray

RANK_TOLERANCE = 1e-11
"""Smallest singular value, relative to the largest and with columns of unit length, of a full-rank matrix."""


@dataclass(frozen=True)
class LeastSquares:
    """A least-squares fit of y on X. Columns are scaled to unit length before the decomposition and back after it."""

    coefficients: FloatArray
    """(k,)"""
    residuals: FloatArray
    """(n,), of y itself, without the weights."""
    leverage: FloatArray
    """(n,), diagonal of the hat matrix."""
    inverse: FloatArray
    """(X'WX)^-1, (k, k)."""
    condition_number: float
    """Largest over smallest singular value of X with columns of unit length (Belsley, Kuh and Welsch 1980)."""
    residual_sum: float
    """Weighted sum of squared residuals."""
    rooted: FloatArray
    """X times the square root of the weights, (n, k)."""
    root: FloatArray
    """Square root of the weights, (n,)."""

    @property
    def freedom(self) -> int:
        """Residual degrees of freedom: points of positive weight minus coefficients."""
        return int(np.count_nonzero(self.root)) - len(self.coefficients)

    @property
    def covariance(self) -> FloatArray:
        """Of the coefficients, when errors are independent and alike."""
        return self.inverse * np.float64(self.residual_sum / self.freedom)

    @property
    def hc3(self) -> FloatArray:
        """Of the coefficients, for errors of unequal spread (MacKinnon and White 1985)."""
        scores = self.rooted * (self.root * self.residuals / _away_from_zero(1 - self.leverage))[:, None]
        return np.asarray(self.inverse @ (scores.T @ scores) @ self.inverse, dtype=np.float64)

    def cr3(self, members: NDArray[np.int64]) -> FloatArray:
        """Of the coefficients, for errors that clusters share: the jackknife over clusters (CV3)."""
        shifts = self.left_out(members) - self.coefficients
        centred = shifts - shifts.mean(axis=0)
        clusters = len(shifts)
        return np.asarray((clusters - 1) / clusters * centred.T @ centred, dtype=np.float64)

    def left_out(self, members: NDArray[np.int64]) -> FloatArray:
        """Return the coefficients (G, k) without each cluster; of least norm where the rest cannot tell them apart."""
        target = self.root * self.residuals
        scale = np.linalg.norm(self.rooted, axis=0)
        shifts = [
            np.linalg.lstsq(self.rooted[members != cluster] / scale, target[members != cluster])[0] / scale
            for cluster in range(int(members.max()) + 1)
        ]
        return np.asarray(self.coefficients + np.array(shifts), dtype=np.float64)


def least_squares(matrix: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> LeastSquares:
    """Fit y (n,) on the columns of matrix (n, k).

    Raises:
        numpy.linalg.LinAlgError: the columns are linearly dependent.
    """
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    rooted = matrix * root[:, None]
    scale = np.linalg.norm(rooted, axis=0)
    left, singular, right = np.linalg.svd(rooted / scale, full_matrices=False)
    if len(singular) < matrix.shape[1] or singular[-1] <= RANK_TOLERANCE * singular[0]:
        raise np.linalg.LinAlgError("The columns are linearly dependent.")
    coefficients = _solve(left, singular, right, root * y) / scale
    # One step of iterative refinement takes back the digits that rounding in the first residual has cost.
    coefficients += _solve(left, singular, right, root * (y - matrix @ coefficients)) / scale
    residuals = y - matrix @ coefficients
    inverse_root = (right.T / singular) / scale[:, None]
    return LeastSquares(
        coefficients=coefficients,
        residuals=residuals,
        leverage=np.einsum("nk,nk->n", left, left),
        inverse=inverse_root @ inverse_root.T,
        condition_number=float(singular[0] / singular[-1]),
        residual_sum=float(np.sum((root * residuals) ** 2)),
        rooted=rooted,
        root=root,
    )


def _solve(left: FloatArray, singular: FloatArray, right: FloatArray, target: FloatArray) -> FloatArray:
    return right.T @ ((left.T @ target) / singular)


def _away_from_zero(x: FloatArray) -> FloatArray:
    """Return x kept above rounding: a point of leverage one has a residual of zero whatever it is divided by."""
    return np.maximum(x, 1e-12)
