"""Covariances from the curvature of a likelihood: the Hessian's, and the sandwich that clusters need.

The sandwich (Huber 1967; Liang and Zeger 1986, doi:10.1093/biomet/73.1.13) is the scatter of the scores between two
inverses of the Hessian: of whole trajectories where they are known, else of points, corrected for their number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.points import FloatArray


@dataclass(frozen=True)
class Covariances:
    """Of the parameters on the interval scale, (P, P); NaN for those on their bounds."""

    hessian: FloatArray
    """As if points were independent and alike."""
    hessian_freedom: int
    sandwich: FloatArray
    sandwich_freedom: int
    """Degrees of freedom of Student's t: trajectories, or points beyond the coefficients."""


def covariances(optimum: FittedCurve, members: NDArray[np.int64] | None) -> Covariances:
    """Return the covariances of the parameters of a fit with a likelihood.

    Args:
        optimum: the fit.
        members: each point's cluster, 0 to G-1; None: points are independent.
    """
    problem, p = optimum.model.problem, optimum.p
    free = (p > problem.lower) & (p < problem.upper)
    at = problem.forward(p[None], optimum.weights)
    inverse = _inverse(problem.derivatives(at, optimum.weights[None], np.array([True]))[1][0][np.ix_(free, free)])
    spare = max(int(np.count_nonzero(optimum.weights)) - int(free.sum()), 1)
    is_known = problem.rho.is_density
    scale = 1.0 if is_known else float(np.sum(optimum.weights * at.residuals[0] ** 2)) / spare
    scores = _scores(optimum, members)[:, free]
    groups = len(scores)
    correction = groups / spare if members is None else groups / max(groups - 1, 1)
    move = _to_interval_scale(optimum)[np.ix_(free, free)]
    return Covariances(
        _filled(move @ (inverse * scale) @ move.T, free),
        spare,
        _filled(move @ (inverse @ (scores.T @ scores) @ inverse * correction) @ move.T, free),
        spare if members is None else max(groups - 1, 1),
    )


def _inverse(hessian: FloatArray) -> FloatArray:
    """Return the inverse of a symmetric matrix; infinite variances where a direction is flat or falls."""
    if not len(hessian):
        return hessian
    diagonal = np.abs(np.diag(hessian))
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(np.nan_to_num(hessian) / root[:, None] / root[None, :])
    floor = np.finfo(np.float64).eps * len(values) * max(float(values[-1]), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (vectors / np.where(values > floor, values, np.nan)) @ vectors.T
    return np.asarray(inverse / root[:, None] / root[None, :], dtype=np.float64)


def _scores(optimum: FittedCurve, members: NDArray[np.int64] | None) -> FloatArray:
    """Return d objective / d p of each cluster, or of each point of positive weight, (groups, P)."""
    problem = optimum.model.problem
    at = problem.forward(optimum.p[None], optimum.weights)
    slope = optimum.weights * problem.rho.slope(at.residuals[0])
    scores = (residual_jacobian(optimum) * slope).T
    if members is None:
        return np.asarray(scores[optimum.weights > 0], dtype=np.float64)
    sums = np.zeros((int(members.max()) + 1, len(optimum.p)))
    np.add.at(sums, members, scores)
    return sums


def residual_jacobian(optimum: FittedCurve) -> FloatArray:
    """Return d residual / d p, (P, n)."""
    model = optimum.model
    at = model.problem.forward(optimum.p[None], optimum.weights)
    jacobian = model.interval_jacobian(at)[0]
    return np.asarray(jacobian / model.interval_units(optimum.p)[:, None], dtype=np.float64)


def _to_interval_scale(optimum: FittedCurve) -> FloatArray:
    """Return d (parameter on the interval scale) / d p, (P, P)."""
    model = optimum.model
    columns = model.interval_shifts(np.diag(1 / model.interval_units(optimum.p)))
    return columns.T


def _filled(matrix: FloatArray, free: NDArray[np.bool_]) -> FloatArray:
    out = np.full((len(free), len(free)), np.nan)
    out[np.ix_(free, free)] = matrix
    return out
