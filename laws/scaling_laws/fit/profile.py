"""Newton's method on the profile: the objective as a function of the exponents alone, amplitudes solved for each time.

Where an exponent is near zero, its term and the constant trade against each other along a curved valley that steps in
all parameters at once follow slowly. On the profile the valley is straight.
"""

from dataclasses import replace

import numpy as np

from scaling_laws.fit.model import Model
from scaling_laws.fit.optimise import minimise
from scaling_laws.fit.problem import Problem
from scaling_laws.points import FloatArray

STEPS = 60
INNER_STEPS = 80
TOLERANCE = 1e-14
MAX_DAMPING = 1e8


def follow_valley(model: Model, p: FloatArray, weights: FloatArray) -> tuple[FloatArray, float]:
    """Return parameters (P,) and objective at the end of the descent from p along the profile."""
    p, objective = _solve_amplitudes(model, p, weights)
    damping, still = 1e-3, 0
    for _ in range(STEPS):
        trial, reached = _solve_amplitudes(model, _ahead(model, p, weights, damping), weights)
        fall = objective - reached
        still = still + 1 if abs(fall) <= TOLERANCE * objective else 0
        if fall >= 0:
            p, objective, damping = trial, reached, damping * 0.1
        else:
            damping = max(damping, 1e-8) * 10
        if still >= 2 or damping > MAX_DAMPING:
            break
    return p, objective


def _solve_amplitudes(model: Model, p: FloatArray, weights: FloatArray) -> tuple[FloatArray, float]:
    rows = model.exponent_rows
    lower, upper = model.problem.lower.copy(), model.problem.upper.copy()
    lower[rows] = upper[rows] = p[rows]
    held = replace(model.problem, lower=lower, upper=upper)
    optima = minimise(held, p[None], weights=weights, newton=True, steps=INNER_STEPS)
    return optima.parameters[0], float(optima.objective[0])


def _ahead(model: Model, p: FloatArray, weights: FloatArray, damping: float) -> FloatArray:
    """Return p after a damped Newton step of the exponents, with the amplitudes following along the valley."""
    problem, s = model.problem, model.exponent_rows
    gradient, hessian = _derivatives(problem, p, weights)
    moving = s[~(((p[s] <= problem.lower[s]) & (gradient[s] > 0)) | ((p[s] >= problem.upper[s]) & (gradient[s] < 0)))]
    a = model.amplitude_rows[p[model.amplitude_rows] > problem.lower[model.amplitude_rows]]
    response = np.linalg.lstsq(hessian[np.ix_(a, a)], hessian[np.ix_(a, moving)], rcond=1e-14)[0]
    schur = hessian[np.ix_(moving, moving)] - hessian[np.ix_(moving, a)] @ response
    values, vectors = np.linalg.eigh(schur)
    curvature = np.abs(values) + (damping + 1e-14) * max(float(np.abs(values).max(initial=0.0)), np.finfo(float).tiny)
    step = vectors @ ((vectors.T @ gradient[moving]) / curvature)
    out = p.copy()
    out[moving] -= step
    out[a] += response @ step
    return np.clip(out, problem.lower, problem.upper)


def _derivatives(problem: Problem, p: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    at = problem.forward(p[None], weights)
    gradient, hessian = problem.derivatives(at, weights[None], np.array([True]))
    return gradient[0], hessian[0]
