"""Columns of results tables: which a linear law has by itself, and names as numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaling_laws.points import Points

CATEGORIES = ("pipeline", "treatment")
RESULT_FEATURES = ("log(N)", "log(D)", *CATEGORIES)
"""Of a linear law on results: size, data, and what else varies in them."""


def varying_features(points: Points, features: tuple[str, ...]) -> tuple[str, ...]:
    """Return the features without those of our own tables' categories that have one value only."""
    constant = {name for name in CATEGORIES if name in points.features and len(set(points.features[name].tolist())) < 2}
    return tuple(feature for feature in features if feature not in constant)


def codes(names: Sequence[str]) -> NDArray[np.int64]:
    """Return the index of each name among the sorted distinct names."""
    index = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([index[name] for name in names], dtype=np.int64)
