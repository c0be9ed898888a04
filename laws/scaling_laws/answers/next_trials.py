"""Which trials to add: those that shrink the interval of L(10 C) most for their FLOPs.

Losses scatter with the trunk (variance t2, shared by its branches) and with the branch (s2). The law's Jacobian and
those variances give the variance of the least loss at ten times the sweep's compute, and what it would be with a
further trial, before the trial is trained (c-optimal design: Elfving 1952, doi:10.1214/aoms/1177729442; Fedorov 1972).
A branch of a trunk that exists costs its decay alone, .2 D; to branch beyond a trunk's end it must first go on; a new
trunk costs its model in full. Trials are taken one at a time, by what they bring for their cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.answers.flops import SIX_ND, FlopsPerToken
from scaling_laws.answers.frontier import optimal_log_size
from scaling_laws.answers.surface import Surface, inseparable, surface_of
from scaling_laws.answers.trial_choices import Choices, Proposal, choices, trunks_of
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Law
from scaling_laws.points import FloatArray, Points, flops_column, select

FURTHER = 10.0
"""Compute that is asked about, in multiples of the sweep's largest."""
MOST_TRIALS = 64
MOST_TRUNKS = 256
"""Trunks that branches are considered from, one by one."""
THRIFTS = (1.0, 0.5, 0.0)
"""Powers of the cost by which gains are divided; the plan that ends with the narrowest interval stands."""
FEWEST_CLUSTERS = 2
RIDGE = 1e-12
SMALLEST_GAIN = 1e-6
"""In the log of the variance, below which a trial brings nothing."""


@dataclass(frozen=True)
class Addition:
    """Trials of one kind, size and token count: a row of what to run."""

    kind: str
    N: float
    D: float
    trials: int
    """Each of another trunk, or with another seed."""
    flops: float
    """Marginal training FLOPs of all of them."""
    width: float
    """Of the interval of L(10 C) once these trials and the rows before have been added, in nats."""


@dataclass(frozen=True)
class NextTrials:
    """What to train next."""

    target_flops: float
    """The compute whose loss is to be known: 10 C."""
    loss: float
    """The least loss that the law expects there, in nats."""
    width: float
    """Of its interval, as the points are, in nats."""
    proposals: tuple[Proposal, ...]
    """In the order in which they were chosen."""
    additions: tuple[Addition, ...]
    """The same, those that are alike in one row."""

    @property
    def flops(self) -> float:
        """Of all proposals."""
        return sum(proposal.flops for proposal in self.proposals)


@dataclass(frozen=True)
class _Scene:
    """What does not change while trials are chosen."""

    surface: Surface
    target: FloatArray
    """Gradient of the loss that is asked about, by the coefficients, (5,)."""
    branch_variance: float
    trunk_variance: float
    rest: FloatArray
    """Information (5, 5) of trunks that are too many to be considered one by one."""


@dataclass(frozen=True)
class _Known:
    """What each trunk's branches tell: sums of their gradients' squares, of their gradients, and of ones."""

    squares: FloatArray
    """(T, 5, 5)"""
    total: FloatArray
    """(T, 5)"""
    count: FloatArray
    """(T,)"""

    def only(self, trunks: NDArray[np.bool_]) -> "_Known":
        """Return what some of the trunks tell."""
        return _Known(self.squares[trunks], self.total[trunks], self.count[trunks])

    def grown_to(self, trunks: int) -> "_Known":
        """Return the same with empty trunks at the end."""
        more = trunks - len(self.count)
        return _Known(
            np.concatenate([self.squares, np.zeros((more, 5, 5))]),
            np.concatenate([self.total, np.zeros((more, 5))]),
            np.concatenate([self.count, np.zeros(more)]),
        )

    def grown(self, trunks: NDArray[np.int64], jacobian: FloatArray) -> "_Known":
        """Return what each of the trunks tells with one more branch, of gradient (m, 5)."""
        return _Known(
            self.squares[trunks] + jacobian[:, :, None] * jacobian[:, None, :],
            self.total[trunks] + jacobian,
            self.count[trunks] + 1,
        )

    def with_branch(self, trunk: int, jacobian: FloatArray) -> "_Known":
        """Return the same with one more branch, of gradient (5,)."""
        row = np.array([trunk])
        one = self.grown(row, jacobian[None])
        squares, total, count = self.squares.copy(), self.total.copy(), self.count.copy()
        squares[row], total[row], count[row] = one.squares, one.total, one.count
        return _Known(squares, total, count)


@dataclass(frozen=True)
class _Taken:
    """A trial that was chosen."""

    proposal: Proposal
    trunk: int
    jacobian: FloatArray
    """(5,)"""
    variance: float
    """Of the loss that is asked about, once it has been added."""


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
    C = further * float(flops_column(points).max())
    scene, loss = _scene(law, points, C, flops)
    members = trunks_of(points)
    reach = 2 * t_quantile(max(int(members.max()), 1), 0.5 + level / 2)
    scene, points = _considered(scene, points, members)
    known = _known(scene, points, trunks_of(points))
    plans = [_chosen(scene, known, choices(points, flops), budget_flops, thrift=thrift) for thrift in THRIFTS]
    best = min(plans, key=lambda plan: plan[-1].variance if plan else np.inf)
    start = float(_variance(scene, _whole(scene, known)))
    return NextTrials(
        C,
        loss,
        reach * float(np.sqrt(start)),
        tuple(replace(taken.proposal, width=reach * float(np.sqrt(taken.variance))) for taken in best),
        tuple(_additions(scene, known, best, reach)),
    )


def _scene(law: Law, points: Points, training_flops: float, flops: FlopsPerToken) -> tuple[_Scene, float]:
    """Return what is asked about, and the loss that the law expects there."""
    surface = surface_of(law)
    if reason := inseparable(law):
        raise ValueError(f"The best N and D cannot be told: {reason}")
    log_N = float(optimal_log_size(surface, training_flops, flops))
    if not np.isfinite(log_N):
        raise ValueError(
            f"The law has no compute-optimal model at C = {training_flops:.4g}: there is no interval there to shrink."
        )
    N = np.exp(np.array([log_N]))
    D = training_flops / flops(N)
    loss = float(surface.loss(N, D)[0])
    target = gradient(surface, N, D)[0] * loss  # the optimum moves to no first order
    return _Scene(surface, target, *_variances(law, points), np.zeros((5, 5))), loss


def _considered(scene: _Scene, points: Points, members: NDArray[np.int64]) -> tuple[_Scene, Points]:
    """Return the points of the trunks that may be branched from, and a scene that knows what the others tell.

    Of very many trunks some hundred are like any other: those considered are spread evenly over size and tokens.
    """
    trunks = int(members.max()) + 1
    if trunks <= MOST_TRUNKS:
        return scene, points
    first = np.unique(members, return_index=True)[1]
    ends = np.zeros(trunks)
    np.maximum.at(ends, members, points.D)
    order = np.lexsort((ends, points.N[first]))
    chosen = np.zeros(trunks, dtype=bool)
    chosen[order[np.linspace(0, trunks - 1, MOST_TRUNKS).round().astype(np.int64)]] = True
    others = _known(scene, points, members).only(~chosen)
    return replace(scene, rest=_told(scene, others).sum(axis=0)), select(points, chosen[members])


def _additions(scene: _Scene, known: _Known, plan: Sequence[_Taken], reach: float) -> Iterator[Addition]:
    """Yield rows of trials that are alike, the one that brings most for its FLOPs first, branches after their trunks.

    The width after a row counts that row and those before it.
    """
    rows: dict[tuple[str, float, float], list[_Taken]] = {}
    for taken in plan:
        rows.setdefault((taken.proposal.kind, taken.proposal.N, taken.proposal.D), []).append(taken)
    there = set(range(len(known.count)))
    known = known.grown_to(max([len(known.count), *(taken.trunk + 1 for taken in plan)]))
    while rows:
        before = float(_variance(scene, _whole(scene, known)))
        ahead = {key: _with_all(known, alike) for key, alike in rows.items() if _can_run(alike, there)}
        after = {key: float(_variance(scene, _whole(scene, more))) for key, more in ahead.items()}
        cost = {key: sum(taken.proposal.flops for taken in rows[key]) for key in ahead}
        best = max(ahead, key=lambda key: np.log(before / after[key]) / cost[key])
        known, alike = ahead[best], rows.pop(best)
        there |= {taken.trunk for taken in alike}
        yield Addition(*best, len(alike), cost[best], reach * float(np.sqrt(after[best])))


def _with_all(known: _Known, alike: Sequence[_Taken]) -> _Known:
    for taken in alike:
        known = known.with_branch(taken.trunk, taken.jacobian)
    return known


def _can_run(alike: Sequence[_Taken], there: set[int]) -> bool:
    """Whether the trunks of all these trials are there, or are these trials."""
    return all(taken.proposal.kind == "Trunk" or taken.trunk in there for taken in alike)


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


def _known(scene: _Scene, points: Points, members: NDArray[np.int64]) -> _Known:
    jacobian = gradient(scene.surface, points.N, points.D)
    trunks = int(members.max()) + 1
    known = _Known(np.zeros((trunks, 5, 5)), np.zeros((trunks, 5)), np.bincount(members).astype(np.float64))
    np.add.at(known.squares, members, jacobian[:, :, None] * jacobian[:, None, :])
    np.add.at(known.total, members, jacobian)
    return known


def _whole(scene: _Scene, known: _Known) -> FloatArray:
    """Return the information (5, 5) of all trunks."""
    return np.asarray(scene.rest + _told(scene, known).sum(axis=0), dtype=np.float64)


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


def _chosen(scene: _Scene, known: _Known, left_open: Choices, budget: float, *, thrift: float) -> list[_Taken]:
    """Return trials taken one at a time, by gain over FLOPs to the power `thrift`."""
    left, plan = budget, list[_Taken]()
    while len(plan) < MOST_TRIALS:
        known = known.grown_to(len(left_open.N))
        found = _best(scene, known, left_open, left, thrift=thrift)
        if found is None:
            break
        taken, column = found
        known = known.with_branch(taken.trunk, taken.jacobian)
        left_open, left = left_open.with_trial(taken.trunk, column), left - taken.proposal.flops
        plan.append(taken)
    return plan


def _best(
    scene: _Scene, known: _Known, left_open: Choices, budget: float, *, thrift: float
) -> tuple[_Taken, int] | None:
    """Return the best trial that the budget pays, and its token count's column; None where none brings anything."""
    costs = left_open.flops
    rows, columns = np.nonzero(costs <= budget)
    if not len(rows):
        return None
    parts = _told(scene, known)
    whole = scene.rest + parts.sum(axis=0)
    jacobian = gradient(scene.surface, left_open.N[rows], left_open.counts[columns])
    ahead = _variance(scene, whole - parts[rows] + _told(scene, known.grown(rows, jacobian)))
    # Gains are counted in logs, so that the worth of a trial does not depend on those before it.
    gain = np.log(float(_variance(scene, whole)) / ahead)
    best = int(np.argmax(gain / costs[rows, columns] ** thrift))
    if not gain[best] > SMALLEST_GAIN:
        return None
    trunk, column = int(rows[best]), int(columns[best])
    return _Taken(left_open.proposal(trunk, column), trunk, jacobian[best], float(ahead[best])), column
