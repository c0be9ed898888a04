"""What the reader of a linear law must know."""

from collections.abc import Iterator

import numpy as np

from scaling_laws.fit.features import CONSTANT, Features
from scaling_laws.fit.findings import shared_findings
from scaling_laws.fit.least_squares import LeastSquares
from scaling_laws.law import Finding, FindingCode, IntervalMethod
from scaling_laws.points import FloatArray, Points

LARGEST_INFLATION = 10.0
"""Variance inflation beyond which a column is called collinear (Marquardt 1970)."""
LARGEST_CONDITION = 30.0
"""Condition number of the centred, scaled columns beyond which they are (Belsley, Kuh and Welsch 1980)."""


def linear_findings(
    points: Points, features: Features, squares: LeastSquares, inflation: FloatArray, method: IntervalMethod
) -> tuple[Finding, ...]:
    """Return the findings of a linear law."""
    groups = np.unique(features.matrix, axis=0, return_inverse=True)[1].ravel()
    shared = shared_findings(points, squares.residuals, groups, coefficients=len(features.names), method=method)
    return (*_collinear(points, features, squares, inflation), *shared)


def _collinear(points: Points, features: Features, squares: LeastSquares, inflation: FloatArray) -> Iterator[Finding]:
    condition = centred_condition(features.matrix, squares.root)
    reasons = []
    worst = int(np.nanargmax(inflation)) if len(inflation) > 1 else 0
    if worst and inflation[worst] > LARGEST_INFLATION:
        reasons.append(
            f"the variance of {features.names[worst]} is inflated {inflation[worst]:.3g} times by the others"
        )
    if condition > LARGEST_CONDITION:
        reasons.append(f"the centred columns have the condition number {condition:.3g}")
    compute = _compute_beside_factor(points, features)
    if compute:
        reasons.append(
            f"C = 6ND ties {' to '.join(compute)} by construction, so that the coefficient of {compute[1]} is its "
            "effect at constant compute, with the opposite change of the other factor in it (condition number with the "
            f"constant {squares.condition_number:.3g})"
        )
    if reasons:
        yield Finding(
            FindingCode.COLLINEAR,
            f"Columns carry the same information: {'; '.join(reasons)}. Signs and sizes of their coefficients are not "
            "to be read one by one; leave one of the columns out, or use log(N) and log(D) instead of C.",
        )


def centred_condition(matrix: FloatArray, root: FloatArray) -> float:
    """Return the condition number of the columns but the constant, centred and of unit length."""
    weights = root**2
    centred = (matrix[:, 1:] - np.average(matrix[:, 1:], axis=0, weights=weights)) * root[:, None]
    if centred.shape[1] < 2:
        return 1.0
    return float(np.linalg.cond(centred / np.linalg.norm(centred, axis=0)))


def _compute_beside_factor(points: Points, features: Features) -> tuple[str, str] | None:
    """Return the names of a column that is log 6ND (within 5 %) and of log N or log D beside it."""
    log_c = np.log(6.0) + np.log(points.N) + np.log(points.D)
    factors = {"log(N)": np.log(points.N), "log(D)": np.log(points.D)}
    columns = dict(zip(features.names, features.matrix.T, strict=True))
    compute = [name for name, x in columns.items() if name != CONSTANT and np.all(np.abs(x - log_c) < 0.05)]
    beside = [
        name for name, x in columns.items() if any(np.all(np.abs(x - factor) < 1e-9) for factor in factors.values())
    ]
    return (compute[0], beside[0]) if compute and beside else None
