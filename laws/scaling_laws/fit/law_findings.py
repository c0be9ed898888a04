"""What the reader of a fitted sum of power laws must know about its optimum."""

from collections.abc import Iterator

import numpy as np

from scaling_laws.fit.correlated_points import correlated_points
from scaling_laws.fit.descend import Optimum
from scaling_laws.fit.findings import shared_findings
from scaling_laws.fit.interval_scale import constant_rows, to_interval_scale
from scaling_laws.fit.interval_values import Intervals
from scaling_laws.fit.levels import FEWEST_LEVELS, levels, undetermined
from scaling_laws.fit.model import variable
from scaling_laws.fit.point_findings import outliers, overflow
from scaling_laws.fit.separation import collinear_variables
from scaling_laws.law import Certificate, Finding, FindingCode
from scaling_laws.points import FloatArray, Points

FLAT_CONDITION = 1e8
"""Condition number of the scaled Hessian beyond which a direction counts as flat."""
NEAR_ZERO = 0.05
"""Share of the estimate that a lower limit must stay above; positive draws never quite reach zero."""
WEAK_RATIO = 2.0
"""Standard errors that a coefficient must be away from zero."""


def law_findings(optimum: Optimum, points: Points, made: Intervals) -> tuple[Finding, ...]:
    """Return the findings, the state of convergence first."""
    at = optimum.model.problem.forward(optimum.p[None], optimum.weights)
    residuals = at.predicted[0] - optimum.model.problem.observed
    columns = {name: variable(points, name) for name in optimum.model.form.variables}
    groups = np.unique(np.column_stack([*columns.values()]), axis=0, return_inverse=True)[1].ravel()
    fitted = len(optimum.model.names)
    return (
        convergence(optimum.certificate),
        *collinear_variables(columns, optimum.weights),
        *_bounds(optimum),
        *_weakness(optimum, points, made),
        *shared_findings(points, residuals, groups, coefficients=fitted, method=made.method),
        *outliers(optimum),
        *correlated_points(optimum, points, residuals),
        *overflow(optimum.model.form.coefficients, optimum.coefficients),
    )


def convergence(seen: Certificate) -> Finding:
    """Return Converged or NotConverged, with the certificate's numbers."""
    numbers = (
        f"scaled gradient {seen.gradient_norm:.1e}, smallest scaled curvature {seen.smallest_curvature:.1e}, "
        f"{seen.starts_agreeing} of {seen.starts} starts agree"
    )
    if seen.is_certified:
        return Finding(FindingCode.CONVERGED, f"The optimum is certified: {numbers}.")
    reasons = [
        *(["the gradient is not zero"] if seen.gradient_norm >= 1e-6 else []),
        *(["some direction is flat or falls"] if seen.smallest_curvature <= 0 else []),
        *(["no second start ended there"] if seen.starts_agreeing < 2 else []),
        *([_many_basins(seen)] if seen.has_many_basins else []),
    ]
    message = (
        f"The optimum is not certified, because {' and '.join(reasons)} ({numbers}). Do not extrapolate from these "
        "coefficients; add points over a wider range of N and D, or fit a form with fewer coefficients."
    )
    return Finding(FindingCode.NOT_CONVERGED, message)


def _many_basins(seen: Certificate) -> str:
    return (
        f"there are many local optima: {seen.chance_of_another:.0%} of the starts that settled ended where no other "
        "did, so that a better optimum may not have been found"
    )


def _bounds(optimum: Optimum) -> Iterator[Finding]:
    form, hit = optimum.model.form, set(optimum.certificate.active_bounds)
    low, high = form.exponent_bounds
    constants = {term.amplitude for term in form.terms if not term.powers}
    reported: set[str] = set()
    for term in form.terms:
        names = " and ".join(variable for _, variable in term.powers)
        if term.amplitude in hit and term.amplitude in constants:
            yield _bound_hit(
                f"{term.amplitude} is zero: the losses show no floor yet, and one may still appear further out. "
                "Train larger models on more tokens before you rely on it."
            )
        elif term.amplitude in hit:
            reported.update(exponent for exponent, _ in term.powers)
            yield _bound_hit(
                f"{term.amplitude} is zero: the losses show no dependence on {names} of this form. Widen the range of "
                f"{names}, or check that the columns are the right ones."
            )
    for name in optimum.model.names:
        if name in hit and name not in form.amplitudes and name not in reported:
            value = optimum.p[optimum.model.names.index(name)]
            edge = "lower" if value <= low else "upper"
            yield _bound_hit(
                f"{name} lies on its {edge} bound of {low if value <= low else high:g}: the best power law is "
                f"{'flatter' if value <= low else 'steeper'} than allowed. Check the columns and units, or leave out "
                "points of another regime."
            )


def _bound_hit(message: str) -> Finding:
    return Finding(FindingCode.BOUND_HIT, message)


def _weakness(optimum: Optimum, points: Points, made: Intervals) -> Iterator[Finding]:
    """Yield at most one WeaklyIdentified that names every reason."""
    reasons = [*_few_levels(optimum, points, made), *_flat(optimum), *_near_zero(optimum, made)]
    if reasons:
        advice = "Add sizes or token counts that widen the range."
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, f"{'; '.join(reasons)}. {advice}"[:1000])


def _few_levels(optimum: Optimum, points: Points, made: Intervals) -> Iterator[str]:
    for name in optimum.model.form.variables:
        count = levels(points, name)
        if count < FEWEST_LEVELS:
            text = f"{name} takes only {count} values, which any exponent can fit"
            *others, last = undetermined(optimum.model.form, points, (name,)) or ("",)
            is_told = bool(others) and made.lower is not None
            yield f"{text}, so that {', '.join(others)} and {last} have no intervals" if is_told else text


def _flat(optimum: Optimum) -> Iterator[str]:
    seen = optimum.certificate
    if seen.condition_number > FLAT_CONDITION:
        yield f"the objective is flat along some combination of coefficients (condition {seen.condition_number:.1e})"


def _near_zero(optimum: Optimum, made: Intervals) -> Iterator[str]:
    """Name constants and exponents whose errors reach zero, by the intervals or else by least-squares errors."""
    model = optimum.model
    values, errors = to_interval_scale(model, optimum.p), least_squares_errors(optimum)
    rows = sorted({*constant_rows(model).tolist(), *model.exponent_rows.tolist()})
    scale = np.where(np.isin(np.arange(len(values)), constant_rows(model)), np.exp(model.log_scale), 1.0)
    for row in rows:
        name = model.names[row]
        if name in optimum.certificate.active_bounds or not np.isfinite(errors[row]):
            continue
        i = model.form.coefficients.index(name)
        value, error = values[row] * scale[row], errors[row] * scale[row]
        if made.lower is not None and made.upper is not None and made.lower[i] <= NEAR_ZERO * value:
            yield f"the interval of {name} = {value:.4g} reaches from {made.lower[i]:.3g} to {made.upper[i]:.3g}"
        elif value < WEAK_RATIO * error:
            yield f"{name} = {value:.4g} has a standard error of {error:.2g}"


def least_squares_errors(optimum: Optimum) -> FloatArray:
    """Return standard errors (P,) on the interval scale, as if log residuals were independent and alike.

    A check of how well the design tells coefficients apart, not an interval: infinite where it cannot at all, NaN for
    parameters of terms that are zero.
    """
    model, problem = optimum.model, optimum.model.problem
    at = problem.forward(optimum.p[None], optimum.weights)
    jacobian = problem.jacobian(at)[0]
    constants = constant_rows(model)
    jacobian[constants] = np.exp(-at.predicted[0])
    root = np.sqrt(optimum.weights)
    size = np.linalg.norm(jacobian * root, axis=1)
    alive = size > 1e-12 * np.sqrt(optimum.weights.sum())
    scaled = (jacobian * root)[alive] / size[alive, None]
    freedom = max(int(np.count_nonzero(root)) - int(alive.sum()), 1)
    residuals = at.predicted[0] - problem.observed
    spread = np.sqrt(np.sum(optimum.weights * residuals**2) / freedom)
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    variance = (vectors**2 / np.maximum(values, 1e-15)).sum(axis=1)
    out = np.full(len(size), np.nan)
    out[alive] = np.sqrt(variance) / size[alive] * spread
    return out
