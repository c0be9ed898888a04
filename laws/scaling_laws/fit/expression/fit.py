"""From points to a law, for general forms."""

from dataclasses import replace

import numpy as np

from scaling_laws.fit.checks import too_few_points
from scaling_laws.fit.expression.errors import interval_scale_errors
from scaling_laws.fit.expression.findings import expression_findings
from scaling_laws.fit.expression.optimum import ExpressionOptimum, find_expression_optimum
from scaling_laws.fit.features import column_names
from scaling_laws.fit.interval_values import Intervals
from scaling_laws.fit.intervals import choose_method, make_intervals
from scaling_laws.fit.likelihood import criteria, refuse_without_likelihood, reported_objective
from scaling_laws.fit.log_sum_exp import estimates, goodness
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.forms.expression import ExpressionForm
from scaling_laws.law import IntervalMethod, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points


def fit_expression(points: Points, form: ExpressionForm, *, objective: Objective, intervals: IntervalOptions) -> Law:
    """Return the form's best optimum on the points, with intervals, certificate and findings."""
    _refuse_hopeless(form, points)
    return expression_law(find_expression_optimum(form, points, objective=objective), points, intervals=intervals)


def _refuse_hopeless(form: ExpressionForm, points: Points) -> None:
    """Refuse fewer points than coefficients before they are searched for in vain."""
    columns = frozenset((*column_names(points), "loss"))
    fitted = [name for name in form.split_names(columns)[1] if name not in form.fixed]
    if 0 < len(points) <= len(fitted) and set(form.variables) <= columns:
        raise LawRefusedError(too_few_points(form.name, len(points), len(fitted)))


def expression_law(optimum: ExpressionOptimum, points: Points, *, intervals: IntervalOptions) -> Law:
    """Return an optimum as a law, with intervals, certificate and findings."""
    _refuse_too_few(optimum)
    if points.documents is not None and optimum.model.form.response != "loss":
        points = replace(points, documents=None)  # they are of the loss
    with np.errstate(all="ignore"):
        made = _intervals(optimum, points, intervals)
        findings = expression_findings(optimum, points, made)
    model, objective = optimum.model, optimum.fitted_by
    predicted = model.problem.forward(optimum.p[None], optimum.weights).predicted[0]
    fitted = np.exp(predicted) if objective.is_log else predicted * model.problem.scale
    residuals = np.log(model.response / fitted) if objective.is_log else model.response - fitted
    return Law(
        form=model.form.name,
        formula=model.form.formula,
        coefficients=estimates(model.form.coefficients, model.fixed, optimum.coefficients, made),
        objective=reported_objective(optimum.objective * model.objective_factor, objective, optimum.weights),
        objective_name=objective.name,
        points=len(points),
        clusters=None if points.clusters is None else len(np.unique(points.clusters)),
        level=intervals.level,
        interval_method=made.method,
        draws=made.draws,
        residuals=residuals,
        fitted=fitted,
        goodness=_goodness(optimum, fitted, residuals),
        certificate=optimum.certificate,
        findings=findings,
        details=made.details,
        has_log_residuals=objective.is_log,
    )


def _intervals(optimum: ExpressionOptimum, points: Points, options: IntervalOptions) -> Intervals:
    """Return the intervals asked for, or those that suit the points.

    Raises:
        ValueError: the method does not suit the objective.
    """
    objective = optimum.fitted_by
    if options.method != IntervalMethod.LEAST_SQUARES:
        refuse_without_likelihood(objective, choose_method(points, options))
        return make_intervals(optimum, points, options)
    if objective.is_huber:
        raise ValueError(f"LeastSquares intervals are for mse and log-mse, not for {objective.name}.")
    return _classical(optimum, options)


def _goodness(optimum: ExpressionOptimum, fitted: FloatArray, residuals: FloatArray) -> dict[str, float]:
    response, weights = optimum.model.response, optimum.weights
    told = criteria(
        optimum.fitted_by, residuals, response=response, weights=weights, coefficients=len(optimum.model.names)
    )
    return {**goodness(response, fitted, weights), **told}


def _refuse_too_few(optimum: ExpressionOptimum) -> None:
    fitted, counted = len(optimum.model.names), int(np.count_nonzero(optimum.weights))
    if counted <= fitted + 2:
        raise LawRefusedError(too_few_points(optimum.model.form.name, counted, fitted))


def _classical(optimum: ExpressionOptimum, options: IntervalOptions) -> Intervals:
    """Return least-squares errors and Student's t limits, symmetric on the interval scale."""
    model = optimum.model
    freedom = int(np.count_nonzero(optimum.weights)) - len(model.names)
    errors, estimate = interval_scale_errors(model, optimum.p, optimum.weights), model.to_interval_scale(optimum.p)
    reach = t_quantile(freedom, 0.5 + options.level / 2) * errors
    size = np.where(model.problem.is_log, model.problem.coefficients(optimum.p), 1.0)
    return Intervals(
        IntervalMethod.LEAST_SQUARES,
        _spread_over(model.form.coefficients, model.names, errors * size),
        model.limit_to_natural(estimate - reach),
        model.limit_to_natural(estimate + reach),
    )


def _spread_over(all_names: tuple[str, ...], names: tuple[str, ...], values: FloatArray) -> FloatArray:
    """Return values in the order of all coefficients, NaN for those that are fixed."""
    known = dict(zip(names, values.tolist(), strict=True))
    return np.array([known.get(name, np.nan) for name in all_names])
