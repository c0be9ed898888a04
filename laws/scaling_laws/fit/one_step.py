"""Bootstrap draws of large tables: one Newton step from the optimum, on sums over blocks of points.

Gradient and Hessian at the optimum are linear in the weights, so that a resample of blocks costs one small sum. With
tens of thousands of points a refit differs from its first Newton step by far less than its own error.
"""

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.linear_algebra import solve_positive
from scaling_laws.fit.resample import pairs_weights
from scaling_laws.points import FloatArray

BLOCKS = 1000
"""Points without trajectories are dealt at random into so many blocks, which are then resampled whole."""


def random_blocks(points: int, *, seed: int) -> NDArray[np.int64]:
    """Return the block of each point, 0 to 999, all of the same size up to one."""
    return np.random.default_rng(seed).permutation(points) % BLOCKS


def one_step_draws(optimum: FittedCurve, blocks: NDArray[np.int64], *, draws: int, seed: int) -> FloatArray:
    """Return parameters (draws, P) for resamples of whole blocks."""
    problem = optimum.model.problem
    gradients, hessians = _block_sums(optimum, blocks)
    weights = pairs_weights(len(gradients), draws, seed=seed)
    total = weights @ gradients
    matrices = (weights @ hessians).reshape(draws, problem.size, problem.size)
    free = (optimum.p > problem.lower) & (optimum.p < problem.upper)
    matrices[:, ~free] = matrices[:, :, ~free] = 0.0
    matrices[:, ~free, ~free] = 1.0
    steps, _ = solve_positive(matrices, np.where(free, total, 0.0))
    return np.clip(optimum.p - steps, problem.lower, problem.upper)


def _block_sums(optimum: FittedCurve, blocks: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the gradient (blocks, P) and Hessian (blocks, P*P) of each block's points."""
    order = np.argsort(blocks, kind="stable")
    exact, p = np.array([True]), optimum.p[None]
    gradients, hessians = [], []
    for rows in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
        part, weights = optimum.model.problem.part(rows), optimum.weights[rows][None]
        gradient, hessian = part.derivatives(part.forward(p, weights), weights, exact)
        gradients.append(gradient[0])
        hessians.append(hessian[0].ravel())
    return np.array(gradients), np.array(hessians)
