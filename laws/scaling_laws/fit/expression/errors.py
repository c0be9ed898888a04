"""Classical standard errors of a general form."""

import numpy as np

from scaling_laws.fit.expression.model import ExpressionModel
from scaling_laws.points import FloatArray

INVOLVED = 1e-6
"""Part of a flat direction from which a coefficient takes part in it; rounding leaves less."""


def interval_scale_errors(model: ExpressionModel, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Return classical standard errors (P,) on the interval scale: residuals independent and alike, J'J as curvature.

    Infinite where the points do not determine a coefficient at all.
    """
    at = model.problem.forward(p[None], weights)
    rooted = (model.interval_jacobian(at)[0] * np.sqrt(weights)).T
    size = np.linalg.norm(rooted, axis=0)
    errors = np.full(len(size), np.inf)
    seen = np.isfinite(size) & (size > 0)
    if not seen.any():
        return errors
    freedom = max(int(np.count_nonzero(weights)) - len(size), 1)
    spread = max(np.sqrt(np.sum(weights * at.residuals[0] ** 2) / freedom), np.finfo(np.float64).tiny)
    errors[seen] = np.sqrt(_inverse_diagonal(rooted[:, seen] / size[seen])) / size[seen] * spread
    return model.interval_shifts(errors)


def _inverse_diagonal(columns: FloatArray) -> FloatArray:
    """Return the diagonal of (X'X)^-1 for columns of length one, infinite where a flat direction holds a column."""
    singular, right = np.linalg.svd(columns, full_matrices=False)[1:]
    is_flat = singular <= np.finfo(np.float64).eps * singular[0]
    determined = (right[~is_flat] / singular[~is_flat, None]) ** 2
    is_open = (np.abs(right[is_flat]) > INVOLVED).any(axis=0)
    return np.where(is_open, np.inf, determined.sum(axis=0))
