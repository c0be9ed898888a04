"""From points to a linear law: ordinary least squares on all features jointly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scaling_laws.fit.checks import too_few_points
from scaling_laws.fit.factors import factors_of
from scaling_laws.fit.features import CONSTANT, Features, build_features, derived_column
from scaling_laws.fit.least_squares import LeastSquares, least_squares
from scaling_laws.fit.linear_findings import linear_findings
from scaling_laws.fit.linear_intervals import LinearIntervals, linear_intervals
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms.base import LinearForm
from scaling_laws.law import Estimate, Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points


@dataclass(frozen=True)
class LinearFit:
    """A least-squares fit with the columns it was made on."""

    features: Features
    squares: LeastSquares
    inflation: FloatArray
    """Variance inflation factor of each column, (k,); NaN for the constant."""


def fit_linear(
    points: Points,
    form: LinearForm,
    *,
    objective: Objective,
    intervals: IntervalOptions,
    features: tuple[str, ...],
    factors: Mapping[str, Sequence[str]] | None = None,
) -> Law:
    """Return the least-squares law of the loss on the features."""
    if objective not in {Objective(), Objective("mse"), Objective("mse", objective.delta)}:
        raise ValueError(f"Linear is fitted by least squares (mse) of the loss, not by {objective.name}.")
    columns = build_features(points, features, form.default_features)
    counted = len(points) if points.weights is None else int(np.count_nonzero(points.weights))
    if counted <= len(columns.names) + 2:
        raise LawRefusedError(too_few_points(form.name, counted, len(columns.names)))
    fit = _solve(points, columns)
    made = linear_intervals(fit.squares, points, intervals)
    fitted = columns.matrix @ fit.squares.coefficients
    return Law(
        form=form.name,
        formula="loss = " + " + ".join(f"b{j}*{name}" if j else name for j, name in enumerate(columns.names)),
        coefficients=_estimates(fit, made),
        objective=fit.squares.residual_sum,
        objective_name="sum of squared residuals",
        points=len(points),
        clusters=None if points.clusters is None else len(np.unique(points.clusters)),
        level=intervals.level,
        interval_method=made.method,
        draws=made.draws,
        residuals=fit.squares.residuals,
        fitted=fitted,
        goodness=_goodness(points, fit),
        certificate=None,
        findings=linear_findings(points, columns, fit.squares, fit.inflation, made.method),
        details=_details(fit, made),
        factors=factors_of(columns, fit.squares, factors),
        has_log_residuals=False,
    )


def predict_linear(names: tuple[str, ...], coefficients: FloatArray, columns: dict[str, FloatArray]) -> FloatArray:
    """Return (draws, n) losses at the reference level of text columns, for coefficients (draws, k).

    Raises:
        ValueError: a coefficient belongs to a number other than N, D and C.
    """
    out = np.zeros((len(coefficients), len(columns["N"])))
    for j, name in enumerate(names):
        if name == CONSTANT:
            out += coefficients[:, j : j + 1]
        elif "=" not in name:
            column = derived_column(name, columns)
            if column is None:
                raise ValueError(f"This linear law also depends on {name}; N and D alone do not give its loss.")
            out += coefficients[:, j : j + 1] * column
    return out


def _solve(points: Points, columns: Features) -> LinearFit:
    try:
        squares = least_squares(columns.matrix, points.loss, points.weights)
    except np.linalg.LinAlgError:
        raise LawRefusedError(_dependent(columns)) from None
    return LinearFit(columns, squares, _inflation(squares))


def _dependent(columns: Features) -> Finding:
    """Name the first column that the ones before it determine."""
    scaled = columns.matrix / np.linalg.norm(columns.matrix, axis=0)
    ranks = [np.linalg.matrix_rank(scaled[:, : j + 1], tol=1e-10) for j in range(scaled.shape[1])]
    culprit = next((j for j in range(1, len(ranks)) if ranks[j] == ranks[j - 1]), len(ranks) - 1)
    before = ", ".join(columns.names[:culprit])
    message = (
        f"Feature {columns.names[culprit]} is a linear combination of {before}, so that no regression can tell their "
        "coefficients apart (log C is log 6 + log N + log D when C = 6ND); leave one of them out."
    )
    return Finding(FindingCode.COLLINEAR, message)


def _inflation(squares: LeastSquares) -> FloatArray:
    """Return each column's variance inflation, 1 / (1 - R2 on the others), from the inverse and the column's spread."""
    out = np.full(len(squares.coefficients), np.nan)
    share = squares.root**2
    matrix = squares.rooted / np.where(squares.root > 0, squares.root, 1.0)[:, None]
    for j in range(1, len(out)):
        centred = matrix[:, j] - np.average(matrix[:, j], weights=share)
        out[j] = squares.inverse[j, j] * float(np.sum(share * centred**2))
    return out


def _estimates(fit: LinearFit, made: LinearIntervals) -> tuple[Estimate, ...]:
    rows = zip(
        fit.features.names, fit.squares.coefficients, made.standard_errors, made.lower, made.upper, strict=True
    )  # fmt: skip
    return tuple(Estimate(name, float(b), float(error), float(low), float(high)) for name, b, error, low, high in rows)


def _goodness(points: Points, fit: LinearFit) -> dict[str, float]:
    squares, loss = fit.squares, points.loss
    weights = squares.root**2
    total = float(np.sum(weights * (loss - np.average(loss, weights=weights)) ** 2))
    freedom, slopes = squares.freedom, len(squares.coefficients) - 1
    r2 = 1 - squares.residual_sum / total if total > 0 else 0.0
    out = {
        "r2": r2,
        "adjusted_r2": 1 - (1 - r2) * (freedom + slopes) / freedom,
        "residual_standard_deviation": float(np.sqrt(squares.residual_sum / freedom)),
        "mean_relative_error": float(np.average(np.abs(squares.residuals / loss), weights=weights)),
        "condition_number": squares.condition_number,
    }
    if slopes and squares.residual_sum > 0:
        out["f"] = max(total - squares.residual_sum, 0.0) / slopes / (squares.residual_sum / freedom)
    return out


def _details(fit: LinearFit, made: LinearIntervals) -> dict[str, dict[str, float]]:
    columns = {**made.details, "vif": fit.inflation}
    return {
        key: {name: float(x) for name, x in zip(fit.features.names, column, strict=True) if np.isfinite(x)}
        for key, column in columns.items()
    }
