"""The trials that may be added to a sweep, and what each of them costs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.answers.flops import SIX_ND, FlopsPerToken
from scaling_laws.points import FloatArray, Points

DECAY = 0.2
"""Share of a branch's tokens that its decay takes; the trunk behind it serves the others too."""
STEP = 2.0
"""Factor between the sizes and token counts that are considered."""
BETWEEN = 1.2
"""Levels closer than this factor to another count as the same."""


@dataclass(frozen=True)
class Proposal:
    """A trial that is worth its cost."""

    kind: str
    """Branch (of a trunk that exists), Extension (of one, and a branch from its new end) or Trunk (a new one)."""
    N: float
    D: float
    flops: float
    """Marginal training FLOPs."""
    width: float
    """Of the interval of L(10 C) once this trial and those before it have been added, in nats."""


@dataclass(frozen=True)
class Choices:
    """Every trial that may be added to trunks that may be added to, and what each of them costs and tells."""

    N: FloatArray
    """Size of each trunk, the existing ones first, then one new one of each size, (T,)."""
    is_new: NDArray[np.bool_]
    """(T,)"""
    end: FloatArray
    """Tokens that each trunk has seen, (T,)."""
    counts: FloatArray
    """Token counts that may be branched at, (K,)."""
    taken: NDArray[np.bool_]
    """Whether a trunk has a branch near a count already, (T, K)."""
    per_token: FloatArray
    """FLOPs a token of each trunk, (T,)."""

    @property
    def flops(self) -> FloatArray:
        """Marginal FLOPs of each trial, (T, K): a decay, what the trunk must go on, or all of a new model."""
        decay = DECAY * self.counts + (1 - DECAY) * np.maximum(self.counts - self.end[:, None], 0.0)
        tokens = np.where(self.is_new[:, None], self.counts, decay)
        return np.where(self.taken, np.inf, self.per_token[:, None] * tokens)

    def proposal(self, trunk: int, count: int) -> Proposal:
        """Return one trial; its width is not known yet."""
        beyond = "Extension" if self.end[trunk] < self.counts[count] else "Branch"
        kind = "Trunk" if self.is_new[trunk] else beyond
        return Proposal(kind, float(self.N[trunk]), float(self.counts[count]), float(self.flops[trunk, count]), 0.0)

    def with_trial(self, trunk: int, count: int) -> "Choices":
        """Return the choices that are left; a new trunk leaves room for another of its size."""
        taken, end, N = self.taken.copy(), self.end.copy(), self.N
        taken[trunk, count], end[trunk] = True, max(end[trunk], self.counts[count])
        is_new, per_token = self.is_new.copy(), self.per_token
        if is_new[trunk]:
            is_new[trunk] = False
            N, is_new = np.append(N, N[trunk]), np.append(is_new, True)
            per_token, end = np.append(per_token, per_token[trunk]), np.append(end, 0.0)
            taken = np.vstack([taken, np.zeros_like(taken[:1])])
        return replace(self, N=N, is_new=is_new, end=end, taken=taken, per_token=per_token)


def choices(points: Points, flops: FlopsPerToken = SIX_ND) -> Choices:
    """Return every trial that may be added to the points' trunks, or be trained anew."""
    members = trunks_of(points)
    first = np.unique(members, return_index=True)[1]
    sizes, counts = _levels(points.N), _levels(points.D)
    N = np.concatenate([points.N[first], sizes])
    end = np.zeros(len(N))
    np.maximum.at(end, members, points.D)
    taken = np.zeros((len(N), len(counts)), dtype=bool)
    for row, D in zip(members, points.D, strict=True):
        taken[row] |= np.abs(np.log(counts / D)) < np.log(BETWEEN)
    return Choices(N, np.arange(len(N)) >= len(first), end, counts, taken, flops(N))


def trunks_of(points: Points) -> NDArray[np.int64]:
    """Return the trunk of each point, 0 upwards; points without trajectories have one each."""
    if points.clusters is None:
        return np.arange(len(points))
    return np.unique(points.clusters, return_inverse=True)[1].ravel().astype(np.int64)


def _levels(values: FloatArray) -> FloatArray:
    """Return the levels in use, one between neighbours that lie far apart, and one step beyond the largest."""
    kept = [float(values.min())]
    for x in np.unique(values).tolist():
        if x > kept[-1] * STEP**1.5:
            kept.append(float(np.sqrt(x * kept[-1])))
        if x > kept[-1] * BETWEEN:
            kept.append(x)
    return np.array([*kept, kept[-1] * STEP])
