"""Several forms on the same points, side by side: likelihoods, held-out points, held-out compute.

AIC and BIC stand on Student's t with a scale that the points decide, whatever the forms are otherwise fitted by: a
Huber sum has no likelihood. Cross-validation leaves out whole trajectories; back-tests leave out whole sizes and the
top of compute, beside a power law without a floor and the last value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from scaling_laws.answers.along_compute import is_testable
from scaling_laws.answers.backtest import Backtest, backtests
from scaling_laws.answers.corners import response
from scaling_laws.fit.compound.frontier import is_frontier
from scaling_laws.fit.cross_validation import comparable, cross_validate, folds_of
from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.descend import find_optimum
from scaling_laws.fit.expression.optimum import find_expression_optimum
from scaling_laws.fit.fit_law import default_objective, fit_law
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms import ExpressionForm, Form, LogSumExpForm, form_named
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

NO_DRAWS = IntervalOptions(draws=0)


@dataclass(frozen=True)
class Compared:
    """One form of a comparison."""

    form: str
    law: Law | None
    refused: Finding | None
    """Why there is no law, where there is none."""
    criteria: Mapping[str, float]
    """aic, aicc and bic under Student's t; nothing for forms that predict no loss."""
    cross_validated_error: float | None
    """Mean |log(predicted / observed)| of points whose trajectory was left out."""
    backtests: tuple[Backtest, ...]
    exponents: tuple[float, float] | None
    """Of the compute-optimal N* and D* in C, where the form has them."""
    left_out: str | None = None
    """Why a law has no likelihood or no held-out errors, where it has none."""


def compare_forms(
    points: Points, forms: Sequence[str], *, objective: Objective | None = None, intervals: IntervalOptions = NO_DRAWS
) -> tuple[Compared, ...]:
    """Return each form fitted to the points, and how well it predicts.

    Args:
        points: of all forms.
        forms: names or expressions.
        objective: what is minimised, by default what each form is usually fitted by.
        intervals: of the laws.

    Raises:
        ValueError: a form does not exist, or the points are no table of numbers.
    """
    return tuple(_compared(points, name, objective, intervals) for name in forms)


def _compared(points: Points, name: str, objective: Objective | None, intervals: IntervalOptions) -> Compared:
    form = form_named(name)
    by = objective or default_objective(form)
    try:
        law = fit_law(points, form, objective=objective, intervals=intervals)
    except LawRefusedError as refusal:
        return Compared(name, None, refusal.finding, {}, None, (), None)
    except ValueError as mistake:
        return Compared(name, None, Finding(FindingCode.INVALID_REQUEST, str(mistake)), {}, None, (), None)
    curve = form if _predicts_loss(form) else None
    refit: Callable[[Points], Law] = lambda part: fit_law(part, form, objective=objective, intervals=NO_DRAWS)  # noqa: E731
    return Compared(
        form=name,
        law=law,
        refused=None,
        criteria={} if curve is None else _criteria(points, curve),
        cross_validated_error=None if curve is None else _cross_validated(points, curve, comparable(by)),
        backtests=backtests(points, refit, level=law.level) if is_testable(law, points) else (),
        exponents=_exponents(law),
        left_out=None if curve is not None else _why_left_out(law, is_tested=is_testable(law, points)),
    )


def _why_left_out(law: Law, *, is_tested: bool) -> str:
    """Return why a law that is no formula of the loss, fixed before it meets its points, cannot be compared in full."""
    if is_frontier(law):
        return "It speaks of the best models alone and predicts no loss of a point; its exponent a can be compared."
    if (name := response(law)) != "loss":
        return f"It predicts {name}, not the loss: neither its likelihood nor its errors compare with the others'."
    rest = "its back-tests make it anew" if is_tested else "it depends on more than numbers, which back-tests do not"
    return f"Its formula is made by its table, so that AIC, BIC and CV, which hold a formula, are left out; {rest}."


def _predicts_loss(form: Form) -> TypeGuard[LogSumExpForm | ExpressionForm]:
    return isinstance(form, LogSumExpForm) or (isinstance(form, ExpressionForm) and form.equation.response == "loss")


def _criteria(points: Points, form: Form) -> Mapping[str, float]:
    """Return AIC and its like under Student's t; nothing where the form passes through the points exactly."""
    try:
        law = fit_law(points, form, objective=Objective("log-t"), intervals=NO_DRAWS)
    except ValueError:
        return {}
    return {name: law.goodness[name] for name in ("aic", "aicc", "bic") if name in law.goodness}


def _cross_validated(points: Points, form: LogSumExpForm | ExpressionForm, objective: Objective) -> float | None:
    optimum: FittedCurve
    if isinstance(form, LogSumExpForm):
        optimum = find_optimum(form, points, objective=objective)
    else:
        optimum = find_expression_optimum(form, points, objective=objective)
    residuals = np.abs(_as_logs(cross_validate(optimum, folds_of(points)).residuals, points, optimum, objective))
    return float(residuals.mean()) if np.isfinite(residuals).all() else None


def _as_logs(residuals: FloatArray, points: Points, optimum: FittedCurve, objective: Objective) -> FloatArray:
    if objective.is_log:
        return residuals
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log1p(residuals * optimum.model.residual_unit / points.loss)


def _exponents(law: Law) -> tuple[float, float] | None:
    """Return a and b of N* = k C^a and D* = k C^b."""
    names = {c.name for c in law.coefficients}
    if is_frontier(law):
        return law["a"], law["b"]
    if law.form == "ChinchillaTied":
        return 0.5, 0.5
    total = law["alpha"] + law["beta"] if {"alpha", "beta", "A", "B"} <= names else 0.0
    return (law["beta"] / total, law["alpha"] / total) if total > 0 else None
