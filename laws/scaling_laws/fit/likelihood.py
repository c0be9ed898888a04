"""The likelihood of residuals: its scale, its maximum, and the criteria that compare forms by it.

Of squared residuals it is the normal distribution's, of log-t and t Student's (Lange, Little and Taylor 1989,
doi:10.2307/2290063), of log-huber-density and huber-density Huber's, whose scale (and degrees of freedom) are those
that make the points most probable. A Huber sum with delta = 1e-3 has no likelihood: 16 % of the points lie inside delta
at the published optimum, so that its curvature says nothing about errors.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import log, pi

import numpy as np

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.density import density_rho, log_height, scale_terms
from scaling_laws.fit.optimise import minimise
from scaling_laws.fit.options import Objective
from scaling_laws.law import IntervalMethod
from scaling_laws.points import FloatArray

SHAPES = (1.0, 200.0)
"""Range of the degrees of freedom of t."""
USUAL_SHAPE = 4.0
"""Degrees of freedom of tables that are too small to tell."""
HUBER_SHAPE = 1.345
"""k of Huber's density: 95 % as good as least squares where residuals are normal (Huber 1964). It is not estimated:
heavy tails would drive it to zero, where few points have curvature, as under a delta by decree."""
ENOUGH_FOR_SHAPE = 30
ROUNDS = 40
REFIT_STEPS = 40
"""Of the parameters, before the density is looked at again."""
NEWTON_STEPS = 100
SEARCHES = 3
UNCHANGED = 1e-9
SMALLEST_SCALE = 1e-9
"""Scale at which points count as exact: there is no noise to take the measure of."""
SECTIONS = 30

Find = Callable[[Objective], FittedCurve]
"""Fits the form by an objective whose density is known."""


def with_density(objective: Objective, find: Find) -> Objective:
    """Return the objective of a density with its scale and shape estimated, by turns with the fit.

    Between the searches from all starts, the fit follows the density from where it is.

    Args:
        objective: of a density; a scale and a shape that are given stay.
        find: fits the form from all starts.

    Raises:
        ValueError: the form passes through the points exactly.
    """
    if objective.scale is not None and objective.shape is not None:
        return objective
    best, reached = objective, np.inf
    start = find(Objective("log-huber" if objective.is_log else "huber"))
    for _ in range(SEARCHES):
        now, cost = _followed(objective, start)
        if cost >= reached - UNCHANGED * (1 + abs(cost)):
            break
        best, reached = now, cost
        start = find(best)
    return best


def _followed(objective: Objective, start: FittedCurve) -> tuple[Objective, float]:
    """Return the most probable density near a fit, and the negative log likelihood, by turns with the parameters."""
    problem, p, weights = start.model.problem, start.p, start.weights
    unit = start.model.residual_unit
    best, reached = objective, np.inf
    for _ in range(ROUNDS):
        residuals = problem.forward(p[None], weights).residuals[0] * unit
        now = _density_of(objective, residuals, weights)
        cost = -log_likelihood(now, residuals, weights)
        if cost >= reached - UNCHANGED * (1 + abs(cost)):
            break
        best, reached = now, cost
        curve = problem.with_rho(density_rho(now, unit))
        p = minimise(curve, p[None], weights=weights, newton=True, steps=REFIT_STEPS).parameters[0]
    return best, reached


def _density_of(objective: Objective, residuals: FloatArray, weights: FloatArray) -> Objective:
    """Return the objective with the most probable scale, and degrees of freedom, of residuals."""
    if not np.sqrt(np.average(residuals**2, weights=weights)) > SMALLEST_SCALE:
        raise ValueError(
            "The form passes through the points exactly, so that there is no scatter whose likelihood could be "
            "maximised; choose log-mse or log-huber."
        )
    if not objective.is_student:
        return _with_scale(objective, residuals, weights, objective.shape or HUBER_SHAPE)
    if objective.shape is not None or np.count_nonzero(weights) < ENOUGH_FOR_SHAPE:
        return _with_scale(objective, residuals, weights, objective.shape or USUAL_SHAPE)
    low, high = (log(x) for x in SHAPES)
    golden = (5**0.5 - 1) / 2
    for _ in range(SECTIONS):
        inner, outer = high - golden * (high - low), low + golden * (high - low)
        one, other = (_with_scale(objective, residuals, weights, float(np.exp(x))) for x in (inner, outer))
        if log_likelihood(one, residuals, weights) >= log_likelihood(other, residuals, weights):
            high = outer
        else:
            low = inner
    return _with_scale(objective, residuals, weights, float(np.exp(0.5 * (low + high))))


def _with_scale(objective: Objective, residuals: FloatArray, weights: FloatArray, shape: float) -> Objective:
    """Return the objective with that shape and the most probable scale: the root, by Newton, of a falling function."""
    if objective.scale is not None:
        return replace(objective, shape=shape)
    squares, share = residuals**2, weights / weights.sum()
    log_square = log(max(float(share @ squares), SMALLEST_SCALE**2))
    for _ in range(NEWTON_STEPS):
        parts, growth = scale_terms(objective, squares * np.exp(-log_square), shape)
        step = (float(share @ parts) - 1) / max(float(share @ growth), 1e-12)
        log_square = max(log_square + min(max(step, -2.0), 2.0), 2 * log(SMALLEST_SCALE))
        if abs(step) < 1e-12:
            break
    return replace(objective, scale=float(np.exp(0.5 * log_square)), shape=shape)


def log_likelihood(objective: Objective, residuals: FloatArray, weights: FloatArray) -> float:
    """Return the log likelihood of residuals in the objective's units, at the most probable scale if it is squared."""
    total = float(weights.sum())
    if not objective.is_density:
        square = max(float(np.average(residuals**2, weights=weights)), np.finfo(np.float64).tiny)
        return -0.5 * total * (log(2 * pi * square) + 1)
    return total * log_height(objective) - float(np.sum(weights * density_rho(objective, 1.0).cost(residuals)))


def criteria(
    objective: Objective, residuals: FloatArray, *, response: FloatArray, weights: FloatArray, coefficients: int
) -> Mapping[str, float]:
    """Return log likelihood of the response, AIC, AICc and BIC; nothing for objectives without a likelihood.

    Likelihoods of log residuals are told for the response itself, so that forms fitted to the loss and to its logarithm
    can be compared. The scale counts as a coefficient, and so do degrees of freedom that were estimated.

    Args:
        objective: with its density.
        residuals: in its units, (n,).
        response: (n,).
        weights: (n,).
        coefficients: that were fitted.
    """
    if not objective.has_likelihood:
        return {}
    found = log_likelihood(objective, residuals, weights)
    found -= float(np.sum(weights * np.log(response))) if objective.is_log else 0.0
    n, k = float(weights.sum()), coefficients + (2 if objective.is_student else 1)
    out = {"log_likelihood": found, "aic": 2 * k - 2 * found, "bic": k * log(n) - 2 * found}
    if n > k + 1:
        out["aicc"] = out["aic"] + 2 * k * (k + 1) / (n - k - 1)
    return out


def reported_objective(reached: float, objective: Objective, weights: FloatArray) -> float:
    """Return the objective that a law reports: of a density the negative log likelihood with its constant."""
    if not objective.is_density:
        return reached
    return reached - log_likelihood(objective, np.zeros(len(weights)), weights)


def refuse_without_likelihood(objective: Objective, method: IntervalMethod) -> None:
    """Refuse intervals by curvature where the objective says nothing of how probable residuals are.

    Raises:
        ValueError: the message says what to choose instead.
    """
    if method in {IntervalMethod.HESSIAN, IntervalMethod.SANDWICH, IntervalMethod.PROFILE} and objective.is_huber:
        raise ValueError(
            f"{method} intervals need a likelihood, and {objective.name} has none: few points lie inside delta, so "
            "that its curvature says nothing about errors. Choose log-t, log-huber-density or log-mse, or a bootstrap."
        )
