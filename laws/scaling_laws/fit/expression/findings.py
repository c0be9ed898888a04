"""What the reader of a law of a general form must know about its optimum."""

from collections.abc import Iterator, Mapping

import numpy as np

from scaling_laws.fit.correlated_points import correlated_points
from scaling_laws.fit.expression.errors import interval_scale_errors
from scaling_laws.fit.expression.optimum import ExpressionOptimum
from scaling_laws.fit.findings import shared_findings
from scaling_laws.fit.interval_values import Intervals
from scaling_laws.fit.law_findings import WEAK_RATIO, convergence
from scaling_laws.fit.point_findings import outliers, overflow
from scaling_laws.fit.separation import collinear_variables
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import FloatArray, Points

FLAT_CONDITION = 1e12
"""Condition number of the scaled Hessian beyond which a direction counts as flat; rational functions reach 1e10."""
WIDE_FACTOR = 10.0
"""Ratio of its limits from which a positive coefficient that does not enter linearly counts as undetermined."""
SENSELESS = 1000.0
"""Factor, or multiple of its size, by which a coefficient may be wrong: beyond it no number says how far."""


def expression_findings(optimum: ExpressionOptimum, points: Points, made: Intervals) -> tuple[Finding, ...]:
    """Return the findings, the state of convergence first."""
    model = optimum.model
    residuals = model.problem.forward(optimum.p[None], optimum.weights).residuals[0]
    # Points of one N that differ in D are no replicates, even where the form does not know D.
    columns = np.column_stack([points.N, points.D, *(model.problem.columns[name] for name in model.form.variables)])
    is_of_both = {"N", "D"} <= set(model.form.variables)
    groups = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    return (
        convergence(optimum.certificate),
        *(collinear_variables({"N": points.N, "D": points.D}, optimum.weights) if is_of_both else ()),
        *_bounds(optimum),
        *_weakness(optimum, made),
        *shared_findings(points, residuals, groups, coefficients=len(model.names), method=made.method),
        *outliers(optimum),
        *(correlated_points(optimum, points, residuals) if {"N", "D"} & set(model.form.variables) else ()),
        *overflow(model.form.coefficients, optimum.coefficients),
    )


def _bounds(optimum: ExpressionOptimum) -> Iterator[Finding]:
    model = optimum.model
    for j, name in enumerate(model.names):
        if name not in optimum.certificate.active_bounds:
            continue
        is_lower = optimum.p[j] <= model.problem.lower[j]
        own = model.declared[j]
        bound = own.lower if is_lower else own.upper
        if model.problem.is_log[j] and (bound <= 0 or np.isinf(bound)):
            where = f"{name} tends to {'zero' if is_lower else 'infinity'}"
        else:
            where = f"{name} lies on its {'lower' if is_lower else 'upper'} bound of {bound:g}"
        message = (
            f"{where}: the best fit of {model.form.formula!r} lies outside of what is allowed. Check the columns and "
            "their units, widen their range, or leave out the term."
        )
        yield Finding(FindingCode.BOUND_HIT, message)


def _weakness(optimum: ExpressionOptimum, made: Intervals) -> Iterator[Finding]:
    """Yield at most one WeaklyIdentified that names every reason."""
    errors = interval_scale_errors(optimum.model, optimum.p, optimum.weights)
    unknown = _unidentified(optimum, errors)
    reasons = [*_flat(optimum), *_named(unknown), *_wide(optimum, made, errors, known=unknown)]
    if reasons:
        advice = "Add points that widen the range of the variables, or fix a coefficient."
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, f"{'; '.join(reasons)}. {advice}"[:1000])


def _flat(optimum: ExpressionOptimum) -> Iterator[str]:
    seen = optimum.certificate
    if seen.condition_number > FLAT_CONDITION:
        yield f"the objective is flat along some combination of coefficients (condition {seen.condition_number:.1e})"


def _unidentified(optimum: ExpressionOptimum, errors: FloatArray) -> frozenset[str]:
    """Return the coefficients inside their bounds whose least-squares errors are beyond all sense."""
    model = optimum.model
    size = np.maximum(np.abs(model.to_interval_scale(optimum.p)), model.problem.unit)
    most = np.where(model.problem.is_log, np.log(SENSELESS), SENSELESS * size)
    found = (name for name, is_known in zip(model.names, WEAK_RATIO * errors < most, strict=True) if not is_known)
    return frozenset(found) - set(optimum.certificate.active_bounds)


def _named(unknown: frozenset[str]) -> Iterator[str]:
    if unknown:
        yield f"the points do not identify {' and '.join(sorted(unknown))}: quite other values fit them as well"


def _wide(optimum: ExpressionOptimum, made: Intervals, errors: FloatArray, *, known: frozenset[str]) -> Iterator[str]:
    """Name coefficients that do not enter linearly and that the errors leave open, by limits or least squares."""
    model, limits = optimum.model, _limits(optimum.model.form.coefficients, made)
    for j, name in enumerate(model.names):
        if j in model.linear or name in known or name in optimum.certificate.active_bounds:
            continue
        value, error = float(model.to_interval_scale(optimum.p)[j]), float(errors[j])
        natural = float(model.problem.coefficients(optimum.p)[j])
        low, high = limits.get(name, (np.nan, np.nan))
        if model.problem.is_log[j]:
            if high > WIDE_FACTOR * low:
                yield f"the interval of {name} = {natural:.4g} reaches from {low:.3g} to {high:.3g}"
            elif not 2 * WEAK_RATIO * error < np.log(WIDE_FACTOR):
                yield f"{name} = {natural:.4g} may be wrong by a factor of {np.exp(WEAK_RATIO * error):.2g}"
        elif low <= 0 <= high:
            yield f"the interval of {name} = {natural:.4g} reaches from {low:.3g} to {high:.3g}"
        elif not WEAK_RATIO * error < abs(value):
            yield f"{name} = {natural:.4g} has a standard error of {error:.2g}"


def _limits(names: tuple[str, ...], made: Intervals) -> Mapping[str, tuple[float, float]]:
    if made.lower is None or made.upper is None:
        return {}
    return {name: (float(low), float(high)) for name, low, high in zip(names, made.lower, made.upper, strict=True)}
