"""Which trials to add: those that shrink the interval of L(10 C) most for their FLOPs.

Losses scatter with the trunk (variance t2, shared by its branches) and with the branch (s2). The law's Jacobian and
those variances give the variance of the least loss at ten times the sweep's compute, and what it would be with a
further trial, before the trial is trained (c-optimal design: Elfving 1952, doi:10.1214/aoms/1177729442; Fedorov 1972).
A branch of a trunk that exists costs its decay alone, .2 D; to branch beyond a trunk's end it must first go on; a new
trunk costs its model in full. Trials are taken one at a time, by what they bring for their cost.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.answers.flops import SIX_ND, FlopsPerToken
from scaling_laws.answers.frontier import optimal_log_size
from scaling_laws.answers.surface import Surface, surface_of
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Law
from scaling_laws.points import FloatArray, Points, flops_column

DECAY = 0.2
"""Share of a branch's tokens that its decay takes; the trunk behind it serves the others too."""
FURTHER = 10.0
"""Compute that is asked about, in multiples of the sweep's largest."""
STEP = 2.0
"""Factor between the sizes and token counts that are considered."""
BETWEEN = 1.2
"""Levels closer than this factor to another count as the same."""
MOST_TRIALS = 64
FEWEST_CLUSTERS = 2
RIDGE = 1e-12
SMALLEST_GAIN = 1e-6
"""In the log of the variance, below which a trial brings nothing."""


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
class NextTrials:
    """What to train next."""

    target_flops: float
    """The compute whose loss is to be known: 10 C."""
    width: float
    """Of the interval of the least loss there, as the points are, in nats."""
    proposals: tuple[Proposal, ...]
    """In the order in which they were chosen."""

    @property
    def flops(self) -> float:
        """Of all proposals."""
        return sum(proposal.flops for proposal in self.proposals)


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


@dataclass(frozen=True)
class _Scene:
    """What does not change while trials are chosen."""

    surface: Surface
    target: FloatArray
    """Gradient of the loss that is asked about, by the coefficients, (5,)."""
    branch_variance: float
    trunk_variance: float


@dataclass(frozen=True)
class _Known:
    """What each trunk's branches tell: sums of their gradients' squares, of their gradients, and of ones."""

    squares: FloatArray
    """(T, 5, 5)"""
    total: FloatArray
    """(T, 5)"""
    count: FloatArray
    """(T,)"""

    def grown_to(self, trunks: int) -> "_Known":
        """Return the same with empty trunks at the end."""
        more = trunks - len(self.count)
        return _Known(
            np.concatenate([self.squares, np.zeros((more, 5, 5))]),
            np.concatenate([self.total, np.zeros((more, 5))]),
            np.concatenate([self.count, np.zeros(more)]),
        )


def next_trials(
    law: Law,
    points: Points,
    budget_flops: float,
    *,
    flops: FlopsPerToken = SIX_ND,
    further: float = FURTHER,
    level: float = 0.95,
) -> NextTrials:
    """Return the trials to add for at most so many FLOPs.

    Args:
        law: of the form E + A/N^alpha + B/D^beta, fitted to the points.
        points: of the dense law; points of one cluster are branches of one trunk.
        budget_flops: for all new trials together.
        flops: FLOPs a token at each size.
        further: compute that is asked about, in multiples of the points' largest.
        level: of the interval whose width is to shrink.

    Raises:
        NoSurfaceError: the law is of another form.
        ValueError: the law has no optimum at that compute.
    """
    surface = surface_of(law)
    C = further * float(flops_column(points).max())
    log_N = float(optimal_log_size(surface, C, flops))
    if not np.isfinite(log_N):
        raise ValueError(f"The law has no compute-optimal model at C = {C:.4g}: there is no interval there to shrink.")
    N = np.exp(np.array([log_N]))
    D = C / flops(N)
    target = gradient(surface, N, D)[0] * float(surface.loss(N, D)[0])  # the optimum moves to no first order
    scene = _Scene(surface, target, *_variances(law, points))
    members = _members(points)
    known, open_choices = _known(scene, points, members), choices(points, flops)
    reach = 2 * t_quantile(max(int(members.max()), 1), 0.5 + level / 2)
    plans = [_chosen(scene, known, open_choices, budget_flops, by_cost=by_cost) for by_cost in (True, False)]
    best = min(plans, key=lambda plan: plan[-1][1] if plan else np.inf)
    start = float(_variance(scene, _told(scene, known).sum(axis=0)))
    proposals = tuple(replace(proposal, width=float(reach * np.sqrt(variance))) for proposal, variance in best)
    return NextTrials(C, reach * float(np.sqrt(start)), proposals)


def gradient(surface: Surface, N: FloatArray, D: FloatArray) -> FloatArray:
    """Return d log L by E, log A, log B, alpha and beta at models, (n, 5)."""
    size, tokens = surface.size_term(N), surface.token_term(D)
    loss = surface.E + size + tokens
    rows = [np.ones_like(loss), size, tokens, -size * np.log(N), -tokens * np.log(D)]
    return np.asarray(np.stack(rows, axis=-1) / loss[..., None], dtype=np.float64)


def _variances(law: Law, points: Points) -> tuple[float, float]:
    """Return the variances of log losses within and between trunks, by the method of moments."""
    residuals = np.log(points.loss) - np.log(surface_of(law).loss(points.N, points.D))
    spare = max(len(points) - len(law.coefficients), 1)
    total = float(np.sum(residuals**2)) / spare
    if points.clusters is None or len(np.unique(points.clusters)) < FEWEST_CLUSTERS:
        return max(total, RIDGE), 0.0
    members = np.unique(points.clusters, return_inverse=True)[1].ravel()
    sizes = np.bincount(members)
    means = np.bincount(members, residuals) / sizes
    inner = float(np.sum((residuals - means[members]) ** 2)) / max(len(residuals) - len(sizes), 1)
    # Of points that are alone in their trunk nothing tells the two apart; all of it is then the trunk's.
    between = total - inner if np.any(sizes > 1) else 0.5 * total
    inner = inner if np.any(sizes > 1) else 0.5 * total
    return max(inner, RIDGE), max(between, 0.0)


def choices(points: Points, flops: FlopsPerToken = SIX_ND) -> Choices:
    """Return every trial that may be added to the points' trunks, or be trained anew."""
    members = _members(points)
    first = np.unique(members, return_index=True)[1]
    sizes, counts = _levels(points.N), _levels(points.D)
    N = np.concatenate([points.N[first], sizes])
    end = np.zeros(len(N))
    np.maximum.at(end, members, points.D)
    taken = np.zeros((len(N), len(counts)), dtype=bool)
    for row, D in zip(members, points.D, strict=True):
        taken[row] |= np.abs(np.log(counts / D)) < np.log(BETWEEN)
    return Choices(N, np.arange(len(N)) >= len(first), end, counts, taken, flops(N))


def _members(points: Points) -> NDArray[np.int64]:
    if points.clusters is None:
        return np.arange(len(points))
    return np.unique(points.clusters, return_inverse=True)[1].ravel().astype(np.int64)


def _known(scene: _Scene, points: Points, members: NDArray[np.int64]) -> _Known:
    jacobian = gradient(scene.surface, points.N, points.D)
    trunks = int(members.max()) + 1
    known = _Known(np.zeros((trunks, 5, 5)), np.zeros((trunks, 5)), np.bincount(members).astype(np.float64))
    np.add.at(known.squares, members, jacobian[:, :, None] * jacobian[:, None, :])
    np.add.at(known.total, members, jacobian)
    return known


def _told(scene: _Scene, known: _Known) -> FloatArray:
    """Return the information (..., 5, 5) of trunks: their branches' common scatter taken into account."""
    shared = scene.trunk_variance / (scene.branch_variance + known.count * scene.trunk_variance)
    outer = known.total[..., :, None] * known.total[..., None, :]
    told = (known.squares - shared[..., None, None] * outer) / scene.branch_variance
    return np.asarray(told, dtype=np.float64)


def _variance(scene: _Scene, information: FloatArray) -> FloatArray:
    """Return the variance (...) of the loss that is asked about for information (..., 5, 5)."""
    root = np.sqrt(np.maximum(np.diagonal(information, axis1=-2, axis2=-1), 1e-300))
    scaled = information / root[..., :, None] / root[..., None, :] + RIDGE * np.eye(root.shape[-1])
    target = scene.target / root
    return np.asarray(np.sum(target * np.linalg.solve(scaled, target[..., None])[..., 0], axis=-1), dtype=np.float64)


def _chosen(
    scene: _Scene, known: _Known, left_open: Choices, budget: float, *, by_cost: bool
) -> list[tuple[Proposal, float]]:
    """Return trials with the variance after each, taken one at a time: by gain for FLOPs, or by gain alone."""
    left, plan = budget, list[tuple[Proposal, float]]()
    while len(plan) < MOST_TRIALS:
        known = known.grown_to(len(left_open.N))
        parts = _told(scene, known)
        whole = parts.sum(axis=0)
        costs = left_open.flops
        rows, columns = np.nonzero(costs <= left)
        if not len(rows):
            break
        jacobian = gradient(scene.surface, left_open.N[rows], left_open.counts[columns])
        grown = _Known(
            known.squares[rows] + jacobian[:, :, None] * jacobian[:, None, :],
            known.total[rows] + jacobian,
            known.count[rows] + 1,
        )
        ahead = _variance(scene, whole - parts[rows] + _told(scene, grown))
        # Gains are counted in logs, so that the worth of a trial does not depend on those before it.
        gain = np.log(float(_variance(scene, whole)) / ahead)
        best = int(np.argmax(gain / costs[rows, columns] if by_cost else gain))
        if not gain[best] > SMALLEST_GAIN:
            break
        trunk, column = int(rows[best]), int(columns[best])
        proposal = left_open.proposal(trunk, column)
        known.squares[trunk], known.total[trunk], known.count[trunk] = (
            grown.squares[best],
            grown.total[best],
            grown.count[best],
        )
        left_open, left = left_open.with_trial(trunk, column), left - proposal.flops
        plan.append((proposal, float(ahead[best])))
    return plan


def _levels(values: FloatArray) -> FloatArray:
    """Return the levels in use, one between neighbours that lie far apart, and one step beyond the largest."""
    kept = [float(values.min())]
    for x in np.unique(values).tolist():
        if x > kept[-1] * STEP**1.5:
            kept.append(float(np.sqrt(x * kept[-1])))
        if x > kept[-1] * BETWEEN:
            kept.append(x)
    return np.array([*kept, kept[-1] * STEP])
