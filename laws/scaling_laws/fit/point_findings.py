"""Findings about single points: outliers that move the law, numbers that overflow."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, exp, log

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.optimise import MAX_STEPS, minimise
from scaling_laws.fit.problem import BoolArray, Forward, Rho
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import FloatArray

FAR = 6.0
"""Robust standard errors beyond which a point is far from the law of the others, at the least."""
FALSE_ALARMS = 0.05
"""Share of tables without outliers that may have points beyond the cut."""
TAILS = 4
"""Degrees of freedom of Student's t whose tails noise may have without being called outliers."""
WILD = 50.0
"""Robust standard errors that no heavy tail reaches: a run that diverged, or a wrong number."""
MOST_SUSPECTS = 0.1
"""Share of the points that may be outliers; beyond it the form is wrong, not the points."""
FEW_SUSPECTS = 2
"""That may be outliers in a small table too."""
SMALLEST_SPREAD = 1e-3
"""Of the points that stay, as a share of that of all."""
ROUNDS = 3
"""Searches for suspects, each with the spread that the last one left."""
NEAR = 0.1
"""Robust standard deviations beyond which a residual counts linearly in the search for suspects."""
MOST_POINTS = 5000
"""No single point moves the law of a larger table."""
SINGLES = 8
"""Points whose influence is worked out one by one, those that move the law most to first order."""
INFLUENTIAL = 1.0
"""Standard errors by which leaving points out must move a coefficient."""
SHOWN = 5


def outliers(optimum: FittedCurve) -> Iterator[Finding]:
    """Yield at most one finding: points that lie far from the law that the others make, and move it."""
    problem = optimum.model.problem
    at = problem.forward(optimum.p[None], optimum.weights)
    residuals, counted = at.residuals[0], optimum.weights > 0
    scale = _spread(residuals[counted], _directions(optimum, at, counted)[1])
    if scale <= 1e-12 * max(float(np.abs(problem.observed).max()), 1.0):
        return
    errors = _errors(optimum, scale)
    most = _of_most_points(optimum, scale)
    starts = np.concatenate([optimum.warm_start, most])  # outliers may have bent the law to another basin
    seen = problem.forward(most, optimum.weights).residuals[0]
    for rows in _suspects(optimum, residuals, seen):
        left = _far_without(optimum, rows, starts=starts, least=SMALLEST_SPREAD * scale)
        if left is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = np.nan_to_num((left.moved_to - optimum.model.to_interval_scale(optimum.p)) / errors)
        if np.abs(left.distance).min() > WILD or np.abs(moves).max() > INFLUENTIAL:
            yield _outlier(optimum, left.rows, moves, left.distance)
            return


@dataclass(frozen=True)
class _Without:
    """The fit without some of the points."""

    rows: NDArray[np.int64]
    moved_to: FloatArray
    """Parameters on the interval scale, (P,)."""
    distance: FloatArray
    """Of the points left out from what the others predict of them, in its standard errors, (rows,)."""
    cut: float
    """Standard errors beyond which points are far off."""


def _far_without(optimum: FittedCurve, rows: NDArray[np.int64], *, starts: FloatArray, least: float) -> _Without | None:
    """Return the fit without those of the rows that then lie far off; None where none does."""
    left = _without(optimum, rows, starts=starts, least=least)
    if left is None:
        return None
    far = np.abs(left.distance) > left.cut
    if far.all():
        return left
    return _far_without(optimum, rows[far], starts=starts, least=least) if far.any() else None


def _cut(points: int, rows: int, *, freedom: int) -> float:
    """Return the standard errors beyond which `rows` of the points count as far off.

    Of tables whose noise has the tails of Student's t with 4 degrees of freedom, not more than FALSE_ALARMS have so
    many points so far off anywhere (Bonferroni's bound over the sets of that size). Where the points that stay have
    fewer degrees of freedom, their scatter is so uncertain that those count.
    """
    tail = exp((log(FALSE_ALARMS) - log(comb(points, rows))) / rows) / 2
    return max(FAR, t_quantile(min(TAILS, freedom), 1 - tail))


def _spread(residuals: FloatArray, rank: int) -> float:
    """Return the standard deviation of residuals by the median of the largest n - k.

    A law of k coefficients passes near k points, through them with an objective that counts residuals linearly: as much
    as half of a small table, whose median would then say nothing.
    """
    if rank >= len(residuals):
        return 0.0
    return 1.4826 * float(np.median(np.sort(np.abs(residuals))[rank:]))


def _directions(optimum: FittedCurve, at: Forward, counted: BoolArray) -> tuple[FloatArray, int]:
    """Return each point's leverage (n,) on the law that some of the points determine, and their rank."""
    jacobian = optimum.model.interval_jacobian(at)[0]
    root = np.sqrt(optimum.weights) * counted
    size = np.linalg.norm(jacobian * root, axis=1)
    alive = (size > 0) & np.isfinite(size)
    scaled = np.nan_to_num(jacobian[alive] / size[alive, None])
    _, singular, directions = np.linalg.svd((scaled * root).T, full_matrices=False)
    kept = singular > 1e-9 * singular.max(initial=0.0)
    reach = (directions[kept] / singular[kept, None]) @ scaled
    return np.asarray((reach**2).sum(axis=0), dtype=np.float64), int(kept.sum())


def _suspects(optimum: FittedCurve, residuals: FloatArray, from_most: FloatArray) -> Iterator[NDArray[np.int64]]:
    """Yield rows to leave out: all that lie far together, since they may mask each other; then the most influential."""
    most = max(MOST_SUSPECTS * len(residuals), FEW_SUSPECTS)
    for seen in (from_most, residuals):
        from_law = np.abs(seen - np.median(seen))
        far = np.flatnonzero((from_law > FAR * 1.4826 * np.median(from_law)) & (optimum.weights > 0))
        if 0 < len(far) <= most:
            yield far
    if len(residuals) <= MOST_POINTS:
        for row in _most_influential(optimum, residuals):
            yield np.array([row])


def _of_most_points(optimum: FittedCurve, scale: float) -> FloatArray:
    """Return parameters (1, P) of the law if large residuals count linearly, so that few points bend it little."""
    problem, p = optimum.model.problem, optimum.warm_start
    for _ in range(ROUNDS):
        curve = problem.with_rho(Rho(NEAR * scale, problem.rho.is_log))
        p = minimise(curve, p, weights=optimum.weights, steps=100).parameters
        residuals = problem.forward(p, optimum.weights).residuals[0]
        scale = max(1.4826 * float(np.median(np.abs(residuals))), SMALLEST_SPREAD * scale)
    return p


def _without(optimum: FittedCurve, rows: NDArray[np.int64], *, starts: FloatArray, least: float) -> _Without | None:
    """Return the fit without some rows; None where it does not settle or leaves nothing to tell its scatter by."""
    weights = optimum.weights.copy()
    weights[rows] = 0.0
    model = optimum.model
    is_near = len(rows) == 1
    refits = minimise(model.problem, starts, weights=weights, newton=is_near, steps=100 if is_near else MAX_STEPS)
    best = int(np.argmin(refits.objective))
    if not refits.settled[best]:
        return None
    p = refits.parameters[best : best + 1]
    at, stays = model.problem.forward(p, optimum.weights), weights > 0
    leverage, rank = _directions(optimum, at, stays)
    freedom = int(stays.sum()) - rank
    if freedom < 1:
        return None
    spread = max(_spread(at.residuals[0][stays], rank), least)
    distance = at.residuals[0][rows] / (spread * np.sqrt(1.0 + leverage[rows]))
    cut = _cut(int(np.count_nonzero(optimum.weights)), len(rows), freedom=freedom)
    return _Without(rows, model.to_interval_scale(p)[0], distance, cut)


def _errors(optimum: FittedCurve, scale: float) -> FloatArray:
    """Return least-squares errors of the parameters on the interval scale for residuals of that scale, (P,)."""
    model = optimum.model
    jacobian = model.interval_jacobian(model.problem.forward(optimum.p[None], optimum.weights))[0]
    size = np.linalg.norm(jacobian, axis=1)
    size = np.where((size > 0) & np.isfinite(size), size, 1.0)
    rooted = np.nan_to_num(jacobian / size[:, None] * np.sqrt(optimum.weights))
    inverse = np.linalg.pinv(rooted @ rooted.T, rcond=1e-14, hermitian=True) / size[:, None] / size[None, :]
    shift = model.interval_shifts(np.eye(len(optimum.p)))
    return np.asarray(np.sqrt(np.abs(np.diag(shift.T @ inverse @ shift))) * scale, dtype=np.float64)


def _most_influential(optimum: FittedCurve, residuals: FloatArray) -> NDArray[np.int64]:
    """Return the rows that a Newton step away from each would move the law most."""
    model, problem = optimum.model, optimum.model.problem
    at = problem.forward(optimum.p[None], optimum.weights)
    jacobian = model.interval_jacobian(at)[0]
    size = np.linalg.norm(jacobian, axis=1)
    rooted = jacobian[size > 0] / size[size > 0, None] * np.sqrt(optimum.weights)
    if not len(rooted) or not np.isfinite(rooted).all():
        return np.zeros(0, dtype=np.int64)
    left, singular, _ = np.linalg.svd(rooted.T, full_matrices=False)
    left = left[:, singular > 1e-9 * singular[0]]
    leverage = np.minimum(np.einsum("np,np->n", left, left), 1 - 1e-9)
    distance = np.abs(problem.rho.slope(residuals)) * np.sqrt(leverage * optimum.weights) / (1 - leverage)
    return np.argsort(-distance, kind="stable")[:SINGLES]


def _outlier(optimum: FittedCurve, rows: NDArray[np.int64], moves: FloatArray, distance: FloatArray) -> Finding:
    worst = int(np.abs(moves).argmax())
    order = np.argsort(-np.abs(distance), kind="stable")[:SHOWN]
    shown = ", ".join(f"{rows[i] + 1} ({-distance[i]:+.1f})" for i in order)
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    noun = f"{len(rows)} points move" if len(rows) > 1 else "One point moves"
    moved = f"{noun} {optimum.model.names[worst]} by {abs(moves[worst]):.2g} standard errors"
    if abs(moves[worst]) <= INFLUENTIAL:
        lie = f"{len(rows)} points lie" if len(rows) > 1 else "One point lies"
        without = "them" if len(rows) > 1 else "it"
        moved = f"{lie} far off, though without {without} no coefficient moves by more than its standard error"
    message = (
        f"{moved}: row {shown}{more}, with the distance from the law of the others in robust standard errors. Look "
        "at how those models were trained; fit with and without them and report both."
    )
    return Finding(FindingCode.OUTLIERS, message)


def overflow(names: tuple[str, ...], values: FloatArray) -> Iterator[Finding]:
    """Yield a finding where a coefficient is beyond the largest number, because of the columns' units."""
    beyond = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value)]
    if beyond:
        message = (
            f"{' and '.join(beyond)} would be larger than the largest floating-point number: a steep exponent stands "
            "on huge values. Give N and D in larger units (millions, billions), or leave out points of another regime."
        )
        yield Finding(FindingCode.OVERFLOW, message)
