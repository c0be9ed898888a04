"""The last value: the loss of the nearest points that were kept, the rule that any law must beat."""

import numpy as np
from numpy.typing import NDArray

from scaling_laws.points import FloatArray, Points

MOST_PAIRS = 1_000_000
"""Pairs of places whose distances are all computed; beyond it a tree finds the neighbours."""
MOST_TIES = 8
"""Places at one distance that are averaged; on a grid of sizes and token counts there are hardly so many."""
ROUNDING = 1 + 1e-9
Complex = NDArray[np.complex128]
"""Places: log N + i log D."""


def last_value(seen: Points, unseen: Points) -> FloatArray:
    """Return the mean loss of the seen points nearest to each unseen one in (log N, log D), (unseen,).

    Memory grows with the number of points, not with its square: a table may have a million.
    """
    places, members = np.unique(np.log(seen.N) + 1j * np.log(seen.D), return_inverse=True)
    counts = np.bincount(members)
    means = np.bincount(members, seen.loss) / counts
    distance, index = _neighbours(places, np.log(unseen.N) + 1j * np.log(unseen.D))
    share = counts[index] * (distance <= distance[:, :1] * ROUNDING + 1e-12)
    return np.asarray((share * means[index]).sum(axis=1) / share.sum(axis=1), dtype=np.float64)


def _neighbours(places: Complex, at: Complex) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the distances to the nearest places and which they are, both (at, k), the nearest first."""
    count = min(MOST_TIES, len(places))
    if len(places) * len(at) <= MOST_PAIRS:
        distance = np.abs(at[:, None] - places)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(distance, nearest, axis=1), nearest
    from scipy.spatial import cKDTree  # half a second to import, for large tables alone

    tree = cKDTree(np.column_stack([places.real, places.imag]))
    found, index = tree.query(np.column_stack([at.real, at.imag]), k=[*range(1, count + 1)])
    return found, index
