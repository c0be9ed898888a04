"""Classical standard errors of a general form."""

import numpy as np

from scaling_laws.fit.expression.model import ExpressionModel
from scaling_laws.points import FloatArray


def interval_scale_errors(model: ExpressionModel, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Return classical standard errors (P,) on the interval scale: residuals independent and alike, J'J as curvature.

    Infinite where the points do not determine a coefficient at all.
    """
    at = model.problem.forward(p[None], weights)
    rooted = (model.interval_jacobian(at)[0] * np.sqrt(weights)).T
    size = np.linalg.norm(rooted, axis=0)
    if not np.all(np.isfinite(size)) or np.any(size == 0):
        return np.full(len(size), np.inf)
    singular, right = np.linalg.svd(rooted / size, full_matrices=False)[1:]
    freedom = max(int(np.count_nonzero(weights)) - len(size), 1)
    spread = np.sqrt(np.sum(weights * at.residuals[0] ** 2) / freedom)
    floor = np.finfo(np.float64).eps * singular[0]
    with np.errstate(divide="ignore"):
        inverse = np.where(singular > floor, 1 / np.maximum(singular, floor), np.inf)
    errors = np.sqrt(np.sum((right.T * inverse) ** 2, axis=1)) / size * spread
    return model.interval_shifts(errors)
