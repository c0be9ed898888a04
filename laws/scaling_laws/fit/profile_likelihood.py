"""Profile intervals: where the best fit with one coefficient held is as improbable as the level allows.

The likelihood ratio of a coefficient held at v, all others fitted anew, follows a chi-square distribution with one
degree of freedom. Where trajectories are known, the ratio is scaled by how much more the sandwich says the coefficient
varies than the Hessian (Pace, Salvan and Sartori 2011, Statistica Sinica 21, 129-148).
"""

from dataclasses import dataclass

import numpy as np

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.likelihood_covariance import Covariances
from scaling_laws.fit.quantiles import chi_square_quantile
from scaling_laws.points import FloatArray

NEWTON_STEPS = 25
MOST_FITS = 20
CLOSE = 1e-7
"""Relative accuracy of a limit."""
FURTHEST = 64.0
"""Standard errors within which a limit is looked for; further out the interval is open."""
UNCHANGED = 1e-12


@dataclass(frozen=True)
class _Held:
    """A fit with one linear combination of the parameters held."""

    optimum: FittedCurve
    direction: FloatArray
    """Of the parameters when the coefficient grows by one, (P,): the rest follow by the covariance."""
    normal: FloatArray
    """The combination that is held, (P,)."""


def profile_limits(
    optimum: FittedCurve, parameter: int, known: Covariances, *, level: float, is_clustered: bool
) -> tuple[float, float]:
    """Return the limits of one parameter on the interval scale; NaN where the likelihood stays flat.

    Args:
        optimum: of an objective with a likelihood.
        parameter: its row.
        known: covariances of the parameters.
        level: of the interval.
        is_clustered: whether the ratio is scaled by the sandwich.
    """
    model = optimum.model
    variance, own = known.hessian[parameter, parameter], known.sandwich[parameter, parameter]
    if not (np.isfinite(variance) and variance > 0):
        return np.nan, np.nan
    inflation = own / variance if is_clustered and np.isfinite(own) and own > 0 else 1.0
    target = chi_square_quantile(level) * inflation
    error = float(np.sqrt(variance * inflation))
    normal = _normal(optimum, parameter)
    held = _Held(optimum, _direction(optimum, normal, known, parameter), normal)
    unit = error * float(model.interval_units(optimum.p)[parameter])  # of a constant, whose logarithm is held
    low, high = (side * _reach(held, target, unit, side) for side in (-1.0, 1.0))
    at = float(model.to_interval_scale(optimum.p)[parameter])
    return _on_interval_scale(optimum, parameter, at, low), _on_interval_scale(optimum, parameter, at, high)


def _normal(optimum: FittedCurve, parameter: int) -> FloatArray:
    """Return the gradient by p of the parameter on the interval scale, constants left as logarithms."""
    return np.asarray(optimum.model.interval_shifts(np.eye(len(optimum.p)))[:, parameter], dtype=np.float64)


def _direction(optimum: FittedCurve, normal: FloatArray, known: Covariances, parameter: int) -> FloatArray:
    """Return how all parameters move when the held one grows by one: to first order, along the covariance."""
    model = optimum.model
    back = np.linalg.pinv(np.nan_to_num(model.interval_shifts(np.diag(1 / model.interval_units(optimum.p))).T))
    column = np.nan_to_num(known.hessian[:, parameter])
    move = back @ column
    length = float(normal @ move)
    return np.asarray(move / length if abs(length) > 0 else normal / float(normal @ normal), dtype=np.float64)


def _reach(held: _Held, target: float, unit: float, side: float) -> float:
    """Return how far the parameter may move to one side; NaN where it may move freely, or too slowly to tell.

    The root of the likelihood ratio is nearly a line, so that false position (Illinois) takes few fits.
    """
    goal, p = float(np.sqrt(target)), held.optimum.p
    low, below, high = 0.0, -goal, 1.0
    while True:
        p, above = _excess(held, side * high * unit, p, goal)
        if above >= 0:
            break
        low, below, high = high, above, 2 * high
        if high > FURTHEST:
            return np.nan
    for _ in range(MOST_FITS):
        middle = low - below * (high - low) / (above - below)
        p, value = _excess(held, side * middle * unit, p, goal)
        if abs(value) <= CLOSE * goal or high - low <= CLOSE * high:
            return middle * unit
        if value < 0:
            low, below, above = middle, value, 0.5 * above
        else:
            high, above, below = middle, value, 0.5 * below
    return 0.5 * (low + high) * unit


def _excess(held: _Held, shift: float, near: FloatArray, goal: float) -> tuple[FloatArray, float]:
    """Return the best parameters at a shift, and the root of the likelihood ratio beyond the goal."""
    p, ratio = _fit_held(held, shift, near)
    return p, float(np.sqrt(max(ratio, 0.0))) - goal if np.isfinite(ratio) else FURTHEST


def _fit_held(held: _Held, shift: float, near: FloatArray) -> tuple[FloatArray, float]:
    """Return the best parameters with the combination moved by `shift`, and the likelihood ratio to the optimum."""
    optimum, normal = held.optimum, held.normal
    problem, goal = optimum.model.problem, float(normal @ optimum.p) + shift
    p = optimum.p + held.direction * shift
    other = near + held.direction * (goal - float(normal @ near))
    p = min((p, other), key=lambda x: _cost(optimum, np.clip(x, problem.lower, problem.upper)))
    p, damping = np.clip(p, problem.lower, problem.upper), 1e-8
    cost = _cost(optimum, p)
    for _ in range(NEWTON_STEPS):
        step = _held_step(optimum, p, normal, goal, damping)
        trial = np.clip(p + step, problem.lower, problem.upper)
        ahead = _cost(optimum, trial)
        if not ahead <= cost * (1 + 1e-15):
            damping *= 100
            if damping > 1e8:
                break
            continue
        fall, p, cost, damping = cost - ahead, trial, ahead, max(damping * 0.1, 1e-12)
        if fall <= UNCHANGED * cost:
            break
    return p, _ratio(optimum, cost)


def _held_step(optimum: FittedCurve, p: FloatArray, normal: FloatArray, goal: float, damping: float) -> FloatArray:
    """Return a Newton step that keeps (or brings back) the held combination, from the bordered system."""
    problem = optimum.model.problem
    at = problem.forward(p[None], optimum.weights)
    gradient, hessian = (x[0] for x in problem.derivatives(at, optimum.weights[None], np.array([damping < 1e-2])))
    scale = np.maximum(np.abs(np.diag(hessian)), 1e-12 * float(np.abs(np.diag(hessian)).max(initial=0.0)) + 1e-300)
    stuck = ((p <= problem.lower) & (gradient > 0)) | ((p >= problem.upper) & (gradient < 0))
    size = len(p)
    matrix = hessian + damping * np.diag(scale)
    matrix[stuck] = matrix[:, stuck] = 0.0
    matrix[stuck, stuck] = 1.0
    system = np.zeros((size + 1, size + 1))
    system[:size, :size] = matrix
    border = np.where(stuck, 0.0, normal)
    system[:size, size] = system[size, :size] = border
    right = np.append(np.where(stuck, 0.0, -gradient), goal - float(normal @ p))
    if not (np.isfinite(system).all() and np.isfinite(right).all()):
        return np.zeros(size)
    return np.asarray(np.linalg.lstsq(system, right)[0][:size], dtype=np.float64)


def _cost(optimum: FittedCurve, p: FloatArray) -> float:
    return float(optimum.model.problem.forward(p[None], optimum.weights).objective[0])


def _ratio(optimum: FittedCurve, cost: float) -> float:
    """Return twice the difference of log likelihoods; of squares with the scale that is the most probable in each."""
    least = _cost(optimum, optimum.p)
    if optimum.model.problem.rho.is_density:
        return 2 * (cost - least)
    return float(optimum.weights.sum()) * float(np.log(cost / least)) if least > 0 else np.inf


def _on_interval_scale(optimum: FittedCurve, parameter: int, at: float, shift: float) -> float:
    """Return the limit: a log constant moves its constant by a factor, all others move by the shift itself."""
    if not np.isfinite(shift):
        return np.nan
    model = optimum.model
    unit = float(model.interval_units(optimum.p)[parameter])
    is_constant = unit != 1.0 and abs(unit * at - 1.0) < 1e-9
    return float(at * np.exp(shift)) if is_constant else float(at + shift)
