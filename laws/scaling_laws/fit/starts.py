"""Where descents begin: a profile grid over the exponents with the amplitudes solved for (variable projection).

For given exponents the law is linear in its amplitudes, so that the best non-negative amplitudes are a small weighted
least-squares problem (Golub and Pereyra 1973, doi:10.1137/0710036). Nobody chooses starting values.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.linear_algebra import solve_signed
from scaling_laws.fit.model import Model
from scaling_laws.points import FloatArray

GRID_POINTS = 400
"""Points that the grid looks at; more are thinned evenly in the order of their loss."""
GRID_NODES = 2000
"""Nodes at most; with many exponents each gets fewer levels."""
FAINT = 0.2
"""Share of the loss that a term starts with when the grid would leave it out."""


def starting_points(model: Model, weights: FloatArray, count: int) -> FloatArray:
    """Return up to `count` starts (count, P): half the best nodes of the profile grid, half from all over it."""
    thin = _thinned(model)
    nodes = _nodes(model)
    z = model.problem.design[:, :, thin]
    powers = np.tensordot(nodes, z[model.exponent_rows], axes=1) + model.problem.offset[:, thin]
    basis = np.exp(np.clip(powers, -600, 600))
    log_loss = model.problem.observed[thin]
    amplitudes, cost = _amplitudes(model, basis, log_loss, weights[thin])
    chosen = _spread_out(cost, _levels(model), count)
    starts = np.zeros((len(chosen), model.problem.size))
    starts[:, model.exponent_rows] = nodes[chosen]
    floor = FAINT * np.exp(log_loss.mean()) / basis[chosen].mean(axis=2)[:, model.amplitude_terms]
    starts[:, model.amplitude_rows] = np.log(np.maximum(amplitudes[chosen], np.minimum(floor, 1e100)))
    return starts


def _thinned(model: Model) -> NDArray[np.int64]:
    order = np.argsort(model.problem.observed, kind="stable")
    return order if len(order) <= GRID_POINTS else order[np.linspace(0, len(order) - 1, GRID_POINTS).astype(np.int64)]


def _levels(model: Model) -> tuple[int, ...]:
    shapes = len(model.exponent_rows)
    most = len(model.form.exponent_starts)
    return (min(most, int(GRID_NODES ** (1 / max(shapes, 1)))),) * shapes


def _nodes(model: Model) -> FloatArray:
    values = np.asarray(model.form.exponent_starts)
    axes = [values[np.linspace(0, len(values) - 1, levels).astype(int)] for levels in _levels(model)]
    return np.array(list(product(*axes)), dtype=np.float64).reshape(-1, len(axes))


def _amplitudes(
    model: Model, basis: FloatArray, log_loss: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return non-negative amplitudes (nodes, amplitudes) that minimise the squared relative error, and that error."""
    root = np.sqrt(weights / weights.sum())
    relative = basis * np.exp(-log_loss) * root
    free = relative[:, model.amplitude_terms]
    fixed_terms = [k for k in range(basis.shape[1]) if k not in model.amplitude_terms]
    target = root - relative[:, fixed_terms].sum(axis=1)
    gram = np.matmul(free, free.transpose(0, 2, 1))
    right = np.matmul(free, target[:, :, None])[:, :, 0]
    base = np.einsum("bn,bn->b", target, target)
    return solve_signed(gram, right, base, is_signed=np.zeros(right.shape[1], dtype=bool))


def _spread_out(cost: FloatArray, levels: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """Return indices of `count` nodes: half the best, local minima first, half spread over all the others."""
    grid = cost.reshape(levels)
    lowest = np.ones(grid.shape, dtype=bool)
    for axis in range(grid.ndim):
        ahead = np.diff(grid, axis=axis, append=np.inf) >= 0
        behind = np.diff(grid, axis=axis, prepend=np.inf) <= 0
        lowest &= ahead & behind
    order = np.lexsort((cost, ~lowest.ravel()))
    best, others = np.split(order, [count // 2])
    spread = np.linspace(0, len(others) - 1, min(count - len(best), len(others))).astype(np.int64)
    return np.concatenate([best, others[spread]])
