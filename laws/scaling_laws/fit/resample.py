"""Draws behind intervals: integer weights for pairs, Webb's random signs for clusters."""

import numpy as np
from numpy.typing import NDArray

from scaling_laws.points import FloatArray

WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))
"""Six-point distribution of Webb 2014 (Queen's Economics Department working paper 1315): plus and minus these."""


def weights_from_indices(indices: NDArray[np.int64], points: int) -> FloatArray:
    """Return how often each point was drawn, (draws, points), for indices (draws, any)."""
    draws = len(indices)
    flat = indices + points * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * points).reshape(draws, points).astype(np.float64)


def pairs_weights(points: int, draws: int, *, seed: int) -> FloatArray:
    """Return weights (draws, points) of resampling the points with replacement."""
    chosen = np.random.default_rng(seed).integers(0, points, size=(draws, points))
    return weights_from_indices(chosen, points)


def cluster_pairs_weights(members: NDArray[np.int64], draws: int, *, seed: int) -> FloatArray:
    """Return weights (draws, points) of resampling whole clusters; `members` is each point's cluster, 0 to G-1."""
    return pairs_weights(int(members.max()) + 1, draws, seed=seed)[:, members]


def webb_factors(members: NDArray[np.int64], draws: int, *, seed: int) -> FloatArray:
    """Return the factor of each residual (draws, points), one for all points of a cluster."""
    rng = np.random.default_rng(seed)
    levels = np.concatenate([-WEBB[::-1], WEBB])
    return levels[rng.integers(0, 6, size=(draws, int(members.max()) + 1))][:, members]
