"""From points to a law, for forms that are sums of power-law terms."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scaling_laws.fit.checks import refuse_too_few
from scaling_laws.fit.descend import Optimum, canonical_order, find_optimum
from scaling_laws.fit.interval_values import Intervals
from scaling_laws.fit.intervals import OF_LIKELIHOOD, choose_method, make_intervals
from scaling_laws.fit.law_findings import law_findings
from scaling_laws.fit.levels import undetermined, without_undetermined
from scaling_laws.fit.likelihood import criteria, refuse_without_likelihood, reported_objective, with_density
from scaling_laws.fit.model import variable
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms.base import LogSumExpForm
from scaling_laws.law import Estimate, Law
from scaling_laws.points import FloatArray, Points, select


def fit_log_sum_exp(points: Points, form: LogSumExpForm, *, objective: Objective, intervals: IntervalOptions) -> Law:
    """Return the form's global optimum on the points, with intervals, certificate and findings."""
    refuse_too_few(points, form, {name: variable(points, name) for name in form.variables})
    refuse_without_likelihood(objective, choose_method(points, intervals))
    if objective.is_density:
        objective = with_density(objective, lambda known: find_optimum(form, points, objective=known))
    optimum = find_optimum(form, points, objective=objective)
    made = _intervals(optimum, points, intervals, objective=objective)
    made = without_undetermined(made, form, points)
    at = optimum.model.problem.forward(optimum.p[None], optimum.weights)
    fitted = np.exp(at.predicted[0] + optimum.model.log_scale)
    return Law(
        form=form.name,
        formula=form.formula,
        coefficients=estimates(form.coefficients, dict(form.fixed), optimum.coefficients, made),
        objective=reported_objective(optimum.objective * optimum.model.objective_factor, objective, optimum.weights),
        objective_name=objective.name,
        points=len(points),
        clusters=None if points.clusters is None else len(np.unique(points.clusters)),
        level=intervals.level,
        interval_method=made.method,
        draws=made.draws,
        residuals=np.log(points.loss / fitted),
        fitted=fitted,
        goodness={
            **goodness(points.loss, fitted, optimum.weights),
            **criteria(
                objective,
                np.log(points.loss / fitted) if objective.is_log else points.loss - fitted,
                response=points.loss,
                weights=optimum.weights,
                coefficients=len(optimum.model.names),
            ),
        },
        certificate=optimum.certificate,
        findings=law_findings(optimum, points, made),
        details=made.details,
    )


def _intervals(optimum: Optimum, points: Points, options: IntervalOptions, *, objective: Objective) -> Intervals:
    """Return the intervals; draws of trajectories, of which each is named, are the same for rows in any order.

    Where the constant trades against a term freely, the intervals of the others are made with the constant held.
    """
    form = optimum.model.form
    floors = {term.amplitude for term in form.terms if not term.powers} & set(undetermined(form, points))
    values = dict(zip(form.coefficients, optimum.coefficients.tolist(), strict=True))
    if floors and all(values[name] > 0 for name in floors) and options.draws:
        held = replace(form, fixed=(*form.fixed, *((name, values[name]) for name in sorted(floors))))
        optimum = find_optimum(held, points, objective=objective)
    if points.clusters is None or choose_method(points, options) in OF_LIKELIHOOD:
        return make_intervals(optimum, points, options)
    order = canonical_order(points)
    return make_intervals(optimum.reordered(order), select(points, order), options)


def goodness(response: FloatArray, fitted: FloatArray, weights: FloatArray) -> Mapping[str, float]:
    """Return how well predictions match: r2, and for positive responses rmse_log and mean_relative_error."""
    centre = np.average(response, weights=weights)
    total = float(np.sum(weights * (response - centre) ** 2))
    missed = float(np.sum(weights * (response - fitted) ** 2))
    out = {"r2": 1 - missed / total if total > 0 else 0.0}
    if np.all(response > 0) and np.all(fitted > 0):
        logs = np.log(response / fitted)
        out["rmse_log"] = float(np.sqrt(np.average(logs**2, weights=weights)))
        out["mean_relative_error"] = float(np.average(np.abs(fitted / response - 1), weights=weights))
    return out


def estimates(
    names: tuple[str, ...], fixed: Mapping[str, float], values: FloatArray, made: Intervals
) -> tuple[Estimate, ...]:
    """Return the coefficients with their errors and limits; fixed ones have none."""
    return tuple(
        Estimate(name, float(value))
        if name in fixed
        else Estimate(name, float(value), _at(made.standard_errors, i), *_limits(made, i, float(value)))
        for i, (name, value) in enumerate(zip(names, values, strict=True))
    )


def _limits(made: Intervals, i: int, value: float) -> tuple[float | None, float | None]:
    """Return the limits of a coefficient, which hold its estimate, also where a term has vanished in it alone."""
    lower, upper = _at(made.lower, i), _at(made.upper, i)
    return None if lower is None else min(lower, value), None if upper is None else max(upper, value)


def _at(column: FloatArray | None, i: int) -> float | None:
    """Return a finite number or None: overflow and fixed coefficients have no limits."""
    return None if column is None or not np.isfinite(column[i]) else float(column[i])
