"""Damped Newton descent of many problems at once: many starts, or many bootstrap weights.

Gauss-Newton steps on parabolas that majorise rho come first, since they make headway from anywhere; once the objective
falls slowly, Newton steps with the exact Hessian end at the optimum to rounding. Each row of the batch keeps its own
damping (Marquardt 1963, doi:10.1137/0111030) and leaves the batch when its objective stays where it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import Curve
from scaling_laws.fit.linear_algebra import solve_positive
from scaling_laws.fit.problem import BoolArray, Forward
from scaling_laws.points import FloatArray

CACHE_ELEMENTS = 24_000
"""Points times rows of a batch that are worked on at a time, so that temporary arrays stay in the processor's cache."""
TOLERANCE = 1e-14
"""Relative change of the objective at which it counts as unchanged."""
ROUNDING = 1e-29
"""Objective per unit of weight that rounding alone leaves at points without noise."""
PRECISION = 4e-16
"""Rounding of residuals of order one values: it moves small objectives by this times their root."""
MAX_STEPS = 400
POLISHING_STEPS = 6
SWITCH = 1e-3
"""Relative fall of the objective below which Newton steps take over."""
MAX_DAMPING = 1e12


@dataclass(frozen=True)
class Optima:
    """Where the rows of a batch ended."""

    parameters: FloatArray
    """(batch, P)"""
    objective: FloatArray
    """(batch,)"""
    settled: BoolArray
    """Whether the objective stopped falling before the steps ran out."""


@dataclass
class _Descent:
    """Rows still moving; arrays are (rows, ...)."""

    rows: NDArray[np.int64]
    p: FloatArray
    weights: FloatArray
    observed: FloatArray | None
    at: Forward
    damping: FloatArray
    newton: BoolArray
    still: NDArray[np.int64]
    """Steps in a row that changed nothing."""
    gradient: FloatArray
    matrix: FloatArray

    def keep(self, mask: BoolArray) -> "_Descent":
        """Return the rows where `mask` is true."""
        if mask.all():
            return self
        observed = None if self.observed is None else self.observed[mask]
        return _Descent(
            self.rows[mask], self.p[mask], self.weights[mask], observed, self.at.rows(mask), self.damping[mask],
            self.newton[mask], self.still[mask], self.gradient[mask], self.matrix[mask],
        )  # fmt: skip


def minimise(
    problem: Curve,
    starts: FloatArray,
    *,
    weights: FloatArray,
    observed: FloatArray | None = None,
    newton: bool = False,
    steps: int = MAX_STEPS,
) -> Optima:
    """Descend from each start to a local optimum.

    Args:
        problem: the model and its points.
        starts: (batch, P), or (1, P) for one start shared by all.
        weights: (n,) or (batch, n), of each point's term in the objective.
        observed: (batch, n), values that stand in for the observed ones.
        newton: begin with Newton steps, for starts known to be close.
        steps: at most this many.
    """
    batch = max(len(starts), len(np.atleast_2d(weights)), 1 if observed is None else len(observed))
    begin = np.broadcast_to(np.clip(starts, problem.lower, problem.upper), (batch, problem.size))
    spread = np.broadcast_to(weights, (batch, problem.observed.size))
    parts_observed = [None if observed is None else observed[rows] for rows in _chunks(batch, problem.observed.size)]
    parts = [
        _descend(problem, begin[rows], spread[rows], own, newton=newton, steps=steps)
        for rows, own in zip(_chunks(batch, problem.observed.size), parts_observed, strict=True)
    ]
    return Optima(
        np.concatenate([part.parameters for part in parts]),
        np.concatenate([part.objective for part in parts]),
        np.concatenate([part.settled for part in parts]),
    )


def polish(problem: Curve, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the optimum (P,) after Newton steps without damping, as long as they shrink the gradient.

    A relative change of 1e-14 in the objective leaves half as many digits in the parameters; this gives them back. The
    objective stays where it is up to rounding: where it is flat or not a number such steps lead anywhere.
    """
    best, size, mass = p, _slope(problem, p, weights), weights.sum(keepdims=True)
    reached = problem.forward(p[None], weights[None]).objective
    for _ in range(POLISHING_STEPS):
        now = _begin(problem, best[None], weights[None], None, newton=True)
        now.damping[:] = 0.0
        ahead = np.clip(best - _direction(problem, now)[0], problem.lower, problem.upper)
        slope = _slope(problem, ahead, weights)
        cost = problem.forward(ahead[None], weights[None]).objective
        if not (slope < size and cost <= reached * (1 + TOLERANCE) + _rounding(reached, mass)):
            break
        best, size, reached = ahead, slope, np.minimum(reached, cost)
    return best


def _slope(problem: Curve, p: FloatArray, weights: FloatArray) -> float:
    """Return the largest entry of the gradient between the bounds, each in units of its own curvature."""
    now = _begin(problem, p[None], weights[None], None, newton=False)
    free = (p > problem.lower) & (p < problem.upper)
    curvature = np.maximum(np.diagonal(now.matrix[0]), np.finfo(np.float64).tiny)
    return float(np.max(np.abs(now.gradient[0] / np.sqrt(curvature))[free], initial=0.0))


def _chunks(batch: int, points: int) -> Iterator[slice]:
    size = max(1, CACHE_ELEMENTS // points)
    return (slice(first, min(first + size, batch)) for first in range(0, batch, size))


def _descend(
    problem: Curve,
    starts: FloatArray,
    weights: FloatArray,
    observed: FloatArray | None,
    *,
    newton: bool,
    steps: int,
) -> Optima:
    now = _begin(problem, starts, weights, observed, newton=newton)
    out = Optima(now.p.copy(), now.at.objective.copy(), np.zeros(len(starts), dtype=bool))
    for _ in range(steps):
        _step(problem, now)
        done = (now.still >= 2) | (now.damping > MAX_DAMPING)
        if done.any():
            _record(out, now, done)
            now = now.keep(~done)
        if not len(now.rows):
            return out
    _record(out, now, np.ones(len(now.rows), dtype=bool))
    out.settled[now.rows] = False
    return out


def _begin(
    problem: Curve, p: FloatArray, weights: FloatArray, observed: FloatArray | None, *, newton: bool
) -> _Descent:
    at = problem.forward(p, weights, observed)
    mode = np.full(len(p), newton)
    gradient, matrix = problem.derivatives(at, weights, mode)
    damping = np.full(len(p), 1e-4 if newton else 1e-3)
    still = np.zeros(len(p), dtype=np.int64)
    return _Descent(np.arange(len(p)), p.copy(), weights, observed, at, damping, mode, still, gradient, matrix)


def _record(out: Optima, now: _Descent, mask: BoolArray) -> None:
    rows = now.rows[mask]
    out.parameters[rows] = now.p[mask]
    out.objective[rows] = now.at.objective[mask]
    out.settled[rows] = True


def _step(problem: Curve, now: _Descent) -> None:
    """Try one damped step in every row; rows whose objective falls move, the others are damped more."""
    trial = np.clip(now.p - _direction(problem, now), problem.lower, problem.upper)
    ahead = problem.forward(trial, now.weights, now.observed)
    fall = now.at.objective - ahead.objective
    moved = fall >= 0
    noise = _rounding(now.at.objective, now.weights.sum(axis=1))
    unchanged = np.abs(fall) <= TOLERANCE * now.at.objective + noise
    now.still = np.where(unchanged & (now.newton | (now.damping > 1e6)), now.still + 1, 0)
    slow = moved & (fall <= SWITCH * now.at.objective)
    now.newton |= slow
    now.damping = np.where(moved, now.damping * 0.1, np.maximum(now.damping, 1e-8) * 10)
    now.damping[now.damping < 1e-10] = 0.0
    if moved.any():
        _advance(problem, now, trial, ahead, moved)


def _rounding(objective: FloatArray, mass: FloatArray) -> FloatArray:
    """Return by how much rounding alone moves an objective of points of that total weight."""
    return PRECISION * np.sqrt(objective * mass) + ROUNDING * mass


def _advance(problem: Curve, now: _Descent, trial: FloatArray, ahead: Forward, moved: BoolArray) -> None:
    if moved.all():
        now.p, now.at = trial, ahead
        now.gradient, now.matrix = problem.derivatives(ahead, now.weights, now.newton)
        return
    part = ahead.rows(moved)
    now.p[moved] = trial[moved]
    now.at.residuals[moved], now.at.predicted[moved] = part.residuals, part.predicted
    now.at.inner[moved], now.at.objective[moved] = part.inner, part.objective
    now.gradient[moved], now.matrix[moved] = problem.derivatives(part, now.weights[moved], now.newton[moved])


def _direction(problem: Curve, now: _Descent) -> FloatArray:
    """Return the damped step to subtract; damping grows until every row's matrix is positive definite.

    A parameter on a bound whose descent leads outside stays put for this step (projected Newton).
    """
    held = ((now.p <= problem.lower) & (now.gradient > 0)) | ((now.p >= problem.upper) & (now.gradient < 0))
    matrix, gradient = now.matrix.copy(), np.where(held, 0.0, now.gradient)
    matrix[held[:, :, None] | held[:, None, :]] = 0.0
    diagonal = np.arange(problem.size)
    scale = np.abs(matrix[:, diagonal, diagonal])
    scale = np.maximum(scale, 1e-10 * scale.max(axis=1, keepdims=True))
    matrix[:, diagonal, diagonal] += np.where(held | (scale == 0), 1.0, 0.0)
    step = np.zeros_like(now.p)
    todo = np.arange(len(now.p))
    for _ in range(30):
        damped = matrix[todo]
        damped[:, diagonal, diagonal] += now.damping[todo, None] * scale[todo]
        solution, good = solve_positive(damped, gradient[todo])
        step[todo[good]] = solution[good]
        todo = todo[~good]
        if not len(todo):
            break
        now.damping[todo] = np.maximum(now.damping[todo] * 10, 1e-4)
    return step
