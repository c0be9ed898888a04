"""Intervals from a likelihood: by its curvature at the optimum, or by its profile."""

import numpy as np

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.interval_values import Intervals, cluster_members, natural_errors
from scaling_laws.fit.likelihood_covariance import covariances
from scaling_laws.fit.profile_likelihood import profile_limits
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import IntervalMethod
from scaling_laws.points import Points


def curvature_intervals(optimum: FittedCurve, points: Points, method: IntervalMethod, *, level: float) -> Intervals:
    """Return standard errors and limits of a fit with a likelihood.

    Args:
        optimum: the fit.
        points: with or without trajectories.
        method: Hessian takes points as independent and alike; Sandwich and Profile know of trajectories.
        level: of the limits.
    """
    clusters = 0 if points.clusters is None else len(np.unique(points.clusters))
    known = covariances(optimum, cluster_members(points) if clusters > 1 else None)
    is_robust = method == IntervalMethod.SANDWICH or (method == IntervalMethod.PROFILE and clusters > 1)
    matrix = known.sandwich if is_robust else known.hessian
    errors = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    model = optimum.model
    estimate = model.to_interval_scale(optimum.p)
    if method == IntervalMethod.PROFILE:
        rows = range(len(estimate))
        pairs = [profile_limits(optimum, j, known, level=level, is_clustered=clusters > 1) for j in rows]
        lower, upper = (np.array(side) for side in zip(*pairs, strict=True))
    else:
        freedom = known.sandwich_freedom if is_robust else known.hessian_freedom
        reach = t_quantile(freedom, 0.5 + level / 2) * errors
        lower, upper = estimate - reach, estimate + reach
    return Intervals(
        method, natural_errors(optimum, errors), model.limit_to_natural(lower), model.limit_to_natural(upper)
    )
