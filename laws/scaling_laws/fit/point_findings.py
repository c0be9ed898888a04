"""Findings about single points: outliers that move the law, numbers that overflow."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.optimise import MAX_STEPS, minimise
from scaling_laws.fit.problem import Rho
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import FloatArray

FAR = 6.0
"""Robust standard deviations beyond which a residual is an outlier's."""
WILD = 50.0
"""Robust standard deviations that no heavy tail reaches: a run that diverged, or a wrong number."""
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
    residuals = problem.forward(optimum.p[None], optimum.weights).residuals[0]
    centre = float(np.median(residuals))
    scale = 1.4826 * float(np.median(np.abs(residuals - centre)))
    if scale <= 1e-12 * max(float(np.abs(problem.observed).max()), 1.0):
        return
    errors = _errors(optimum, scale)
    for rows in _suspects(optimum, residuals, scale):
        left = _without(optimum, rows)
        if left is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = np.nan_to_num((left.moved_to - optimum.model.to_interval_scale(optimum.p)) / errors)
        distance = (left.residuals[rows] - centre) / (scale if len(rows) == 1 else _spread_of_others(left, rows, scale))
        far = float(np.median(np.abs(distance)))
        if far > WILD or (np.abs(moves).max() > INFLUENTIAL and far > FAR):
            yield _outlier(optimum, rows, moves, distance)
            return


@dataclass(frozen=True)
class _Without:
    """The fit without some of the points."""

    moved_to: FloatArray
    """Parameters on the interval scale, (P,)."""
    residuals: FloatArray
    """Of all points, those left out included, (n,)."""


def _spread_of_others(left: _Without, rows: NDArray[np.int64], scale: float) -> float:
    """Return the robust standard deviation of the points that stay: several outliers bend a law of squares to them."""
    others = np.delete(left.residuals, rows)
    return max(1.4826 * float(np.median(np.abs(others - np.median(others)))), SMALLEST_SPREAD * scale)


def _suspects(optimum: FittedCurve, residuals: FloatArray, scale: float) -> Iterator[NDArray[np.int64]]:
    """Yield rows to leave out: all that lie far together, since they may mask each other; then the most influential."""
    most = max(MOST_SUSPECTS * len(residuals), FEW_SUSPECTS)
    for seen in (_of_most_points(optimum, scale), residuals):
        from_law = np.abs(seen - np.median(seen))
        far = np.flatnonzero((from_law > FAR * 1.4826 * np.median(from_law)) & (optimum.weights > 0))
        if 0 < len(far) <= most:
            yield far
    if len(residuals) <= MOST_POINTS:
        for row in _most_influential(optimum, residuals):
            yield np.array([row])


def _of_most_points(optimum: FittedCurve, scale: float) -> FloatArray:
    """Return residuals (n,) from where the law lies if large ones count linearly, so that few points bend it little."""
    problem, p = optimum.model.problem, optimum.warm_start
    for _ in range(ROUNDS):
        curve = problem.with_rho(Rho(NEAR * scale, problem.rho.is_log))
        p = minimise(curve, p, weights=optimum.weights, steps=100).parameters
        residuals = problem.forward(p, optimum.weights).residuals[0]
        scale = max(1.4826 * float(np.median(np.abs(residuals))), SMALLEST_SPREAD * scale)
    return np.asarray(residuals, dtype=np.float64)


def _without(optimum: FittedCurve, rows: NDArray[np.int64]) -> _Without | None:
    """Return the fit without some rows; None where it does not settle."""
    weights = optimum.weights.copy()
    weights[rows] = 0.0
    model = optimum.model
    is_near = len(rows) == 1  # several outliers may have bent the law far from where it goes without them
    refit = minimise(
        model.problem, optimum.warm_start, weights=weights, newton=is_near, steps=100 if is_near else MAX_STEPS
    )
    if not refit.settled[0]:
        return None
    residuals = model.problem.forward(refit.parameters, optimum.weights).residuals[0]
    return _Without(model.to_interval_scale(refit.parameters)[0], residuals)


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
        moved = f"{lie} far off, though this objective hardly heeds it"
    message = (
        f"{moved}: row {shown}{more}, with the distance from the law of the others in robust standard deviations. Look "
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
