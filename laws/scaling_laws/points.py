"""Points: what a law is fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Documents:
    """The held-out documents behind the losses of all points: the same documents for each of them."""

    loss: FloatArray
    """Nats summed over each document, (points, documents)."""
    tokens: FloatArray
    """Tokens of each document, (documents,)."""


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
    documents: Documents | None = None
    """Losses by held-out document, where they are known: intervals then include what another sample would change."""
    features: Mapping[str, NDArray[np.float64] | NDArray[np.str_]] = field(default_factory=dict)
    """Further columns by name: numbers, or text for categories (pipelines, treatments)."""

    def __len__(self) -> int:
        return len(self.loss)


def select(points: Points, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Points:
    """Return the chosen rows of a table."""
    return Points(
        N=points.N[rows],
        D=points.D[rows],
        loss=points.loss[rows],
        clusters=None if points.clusters is None else points.clusters[rows],
        steps=None if points.steps is None else points.steps[rows],
        weights=None if points.weights is None else points.weights[rows],
        documents=None if points.documents is None else replace(points.documents, loss=points.documents.loss[rows]),
        features={name: column[rows] for name, column in points.features.items()},
    )


def flops_column(points: Points) -> FloatArray:
    """Return C of each point: the feature C where there is one, else 6 N D."""
    if "C" in points.features:
        return np.asarray(points.features["C"], dtype=np.float64)
    return 6.0 * points.N * points.D
