"""Small symmetric systems, many at once."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scaling_laws.points import FloatArray


def solve_positive(matrices: FloatArray, right: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Solve a batch of small positive definite systems by L D L'.

    Loops run over the few rows and columns, each step over the whole batch at once, so that thousands of 5 x 5 systems
    cost some fifty array operations; and each system says by itself whether it is positive definite.

    Args:
        matrices: (batch, P, P), symmetric.
        right: (batch, P).

    Returns:
        Solutions (batch, P), zero where the matrix is not positive definite, and whether it is, (batch,).
    """
    a = np.ascontiguousarray(matrices.transpose(1, 2, 0))
    x = np.ascontiguousarray(right.T)
    size = len(x)
    floor = 1e-14 * np.abs(a[np.arange(size), np.arange(size)])
    good = np.ones(a.shape[2], dtype=bool)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # rows that overflow are not good
        for j in range(size):
            good &= (a[j, j] > floor[j]) & np.isfinite(a[j, j])
            a[j, j] = np.where(good, a[j, j], 1.0)
            for i in range(j + 1, size):
                factor = a[i, j] / a[j, j]
                a[i, j + 1 :] -= factor * a[j, j + 1 :]
                x[i] -= factor * x[j]
        for j in reversed(range(size)):
            for i in range(j + 1, size):
                x[j] -= a[j, i] * x[i]
            x[j] /= a[j, j]
    good &= np.isfinite(x).all(axis=0)
    return np.where(good, x, 0.0).T, good


def solve_signed(
    gram: FloatArray, right: FloatArray, base: FloatArray, *, is_signed: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Solve a batch of small least-squares problems in which some unknowns may not be negative.

    Every subset of those unknowns is solved without bounds; the best in which they are all positive is the answer.

    Args:
        gram: X'X, (batch, K, K).
        right: X'y, (batch, K).
        base: y'y, (batch,).
        is_signed: which unknowns may be negative, (K,).

    Returns:
        Solutions (batch, K), zero for unknowns left out, and the sums of squares that remain, (batch,).
    """
    always, optional = np.flatnonzero(is_signed).tolist(), np.flatnonzero(~is_signed).tolist()
    best, cost = np.zeros_like(right), base.copy()
    for size in range(len(optional) + 1):
        for subset in ([*always, *some] for some in combinations(optional, size)):
            if not subset:
                continue
            solution, good = solve_positive(gram[:, subset][:, :, subset], right[:, subset])
            trial = base - np.einsum("bk,bk->b", solution, right[:, subset])
            better = good & (solution[:, len(always) :] > 0).all(axis=1) & (trial < cost)
            cost[better] = trial[better]
            best[better] = 0.0
            best[np.ix_(better, subset)] = solution[better]
    return best, cost
