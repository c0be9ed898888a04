"""Points: what a law is fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """A table of points, one row each: model size, tokens, loss, and whatever else a form may use.

    All arrays have the same length n and hold finite numbers; N, D and loss are positive.
    """

    N: FloatArray
    """Parameters."""
    D: FloatArray
    """Training tokens."""
    loss: FloatArray
    """Held-out loss in nats."""
    clusters: NDArray[np.int64] | None = None
    """Index of the trajectory that each point comes from; points of one trunk are not independent."""
    steps: FloatArray | None = None
    """Optimizer steps behind each point; few steps bias the exponents (StepLimited)."""
    weights: FloatArray | None = None
    """Weight of each point's term in the objective; duplicated rows equal doubled weights."""
    features: Mapping[str, NDArray[np.float64] | NDArray[np.str_]] = field(default_factory=dict)
    """Further columns by name: numbers, or text for categories (pipelines, treatments)."""

    def __len__(self) -> int:
        return len(self.loss)
