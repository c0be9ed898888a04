"""Refusals: points that cannot be fitted, each with a sentence that names what was found and where."""

import numpy as np

from scaling_laws.forms.base import LogSumExpForm
from scaling_laws.law import Finding, FindingCode, LawRefusedError
from scaling_laws.points import Documents, FloatArray, Points

RAW_LIMITS = (1e-150, 1e150)
"""Values beyond these overflow or vanish when they are multiplied or squared."""


def check_points(points: Points) -> None:
    """Refuse columns of different lengths and the first value that is not a positive finite number.

    Raises:
        ValueError: the points are no table of numbers.
        LawRefusedError: there are no points.
    """
    if len(points) == 0:
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_POINTS, "There are no points to fit."))
    for name in ("N", "D", "loss", "weights", "clusters", "steps"):
        column = getattr(points, name)
        if column is not None:
            _check_shape(name, np.asarray(column), len(points))
    for name in ("N", "D", "loss"):
        _check_positive(name, np.asarray(getattr(points, name)))
    if points.weights is not None:
        _check_weights(np.asarray(points.weights))
    if points.documents is not None:
        _check_documents(points.documents, len(points))
    for name, feature in points.features.items():
        _check_shape(name, np.asarray(feature), len(points))


def _check_shape(name: str, column: FloatArray, rows: int) -> None:
    if column.shape != (rows,):
        raise ValueError(f"Column {name} has the shape {column.shape}; every column needs {rows} values, as loss has.")


def _check_documents(documents: Documents, rows: int) -> None:
    shape = (rows, len(documents.tokens))
    if documents.loss.shape != shape:
        raise ValueError(f"Losses by document have the shape {documents.loss.shape}; {shape} points and documents.")
    if not (np.isfinite(documents.loss).all() and np.all(documents.tokens > 0)):
        raise ValueError("Losses by document must be finite, and every document needs a token.")


def _check_positive(name: str, column: FloatArray) -> None:
    if column.dtype.kind not in "fiu":
        raise ValueError(f"Column {name} does not hold numbers but values such as {str(column[0])!r}.")
    low, high = RAW_LIMITS
    bad = np.flatnonzero(~(np.isfinite(column) & (column > low) & (column < high)))
    if len(bad):
        more = f", and so are {len(bad) - 1} other rows" if len(bad) > 1 else ""
        raise ValueError(
            f"{name} must be a positive finite number between {low:g} and {high:g}; row {bad[0] + 1} has "
            f"{column[bad[0]]}{more}. Leave such rows out or correct them."
        )


def _check_weights(weights: FloatArray) -> None:
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(f"Weights must be finite and not negative; row {bad[0] + 1} has {weights[bad[0]]}.")
    if not weights.any():
        raise ValueError("All weights are zero; at least some points need a positive weight.")


def refuse_too_few(points: Points, form: LogSumExpForm, columns: dict[str, FloatArray]) -> None:
    """Refuse a table with too few rows for the form's coefficients, or with an axis that never moves.

    Raises:
        LawRefusedError: TooFewPoints or TooFewLevels.
    """
    fitted = len(form.coefficients) - len(form.fixed)
    counted = len(points) if points.weights is None else int(np.count_nonzero(points.weights))
    if counted <= fitted + 2:
        raise LawRefusedError(too_few_points(form.name, counted, fitted))
    for name, column in columns.items():
        if np.ptp(np.log(column)) < 1e-9:
            message = (
                f"All {len(points)} points have the same {name} ({column[0]:g}), so that {form.name} cannot tell how "
                f"the loss depends on it; add points with at least two other values of {name}."
            )
            raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))


def too_few_points(form: str, points: int, coefficients: int) -> Finding:
    """Return the finding that refuses n <= k + 2."""
    return Finding(
        FindingCode.TOO_FEW_POINTS,
        f"{form} fits {coefficients} coefficients and there are {points} points; it needs at least {coefficients + 3}. "
        "Add points, or fit a form with fewer coefficients.",
    )
