"""The one way in: points and a form, out comes a law or a refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from scaling_laws.fit.checks import check_points
from scaling_laws.fit.linear import fit_linear
from scaling_laws.fit.log_sum_exp import fit_log_sum_exp
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms import ExpressionForm, Form, LinearForm, LogSumExpForm, TableForm, form_named
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import Points

DEFAULT_INTERVALS = IntervalOptions()
NO_FACTORS: Mapping[str, Sequence[str]] = MappingProxyType({})
NOTHING_FIXED: Mapping[str, float] = MappingProxyType({})


def fit_law(
    points: Points,
    form: str | Form = "Chinchilla",
    *,
    objective: Objective | None = None,
    intervals: IntervalOptions = DEFAULT_INTERVALS,
    features: Sequence[str] = (),
    fixed: Mapping[str, float] = NOTHING_FIXED,
    factors: Mapping[str, Sequence[str]] = NO_FACTORS,
) -> Law:
    """Fit a form to points.

    The same arguments give the same law. Findings say what a reader of the law must know.

    Args:
        points: N, D and loss, positive and finite, and what else the form uses.
        form: one of `form_names()`, an expression such as `loss = E + A*N^-alpha` whose names are columns of the points
            or else coefficients, or a form.
        objective: what is minimised, by default what the form is usually fitted by (log-huber for most); Linear is
            least squares and takes only mse.
        intervals: how standard errors and limits are made.
        features: for forms that take them, the columns that they use: of Linear such as "log(N)", "D" or a name in
            `points.features`, of Mixing the domains' shares, of BNSL its variable.
        fixed: coefficients that are not fitted, with their values.
        factors: of Linear, columns of each factor where their names do not tell: compute, data, compression, others.

    Raises:
        LawRefusedError: the points cannot carry the law; its finding says why.
        ValueError: a form or feature that does not exist, or a value that is not a positive finite number.
    """
    declared = form_named(form) if isinstance(form, str) else form
    check_points(points)
    # Searches leave the range of floating-point numbers on the way; such steps are refused, without a warning.
    with np.errstate(all="ignore"):
        try:
            return _fit(points, declared, objective, intervals, tuple(features), _checked(fixed), factors)
        except np.linalg.LinAlgError:
            raise LawRefusedError(Finding(FindingCode.NOT_CONVERGED, _beyond_numbers(declared))) from None


def _beyond_numbers(form: Form) -> str:
    return (
        f"{form.name} leads to numbers on these points that no computer can tell apart or hold; check the columns and "
        "their units, or leave out points of another regime."
    )


def _fit(
    points: Points,
    declared: Form,
    objective: Objective | None,
    intervals: IntervalOptions,
    named: tuple[str, ...],
    known: Mapping[str, float],
    factors: Mapping[str, Sequence[str]],
) -> Law:
    if isinstance(declared, LinearForm):
        if known:
            raise ValueError("Linear fits all of its coefficients; leave out the feature of one that is known.")
        return fit_linear(
            points, declared, objective=objective or Objective(), intervals=intervals, features=named, factors=factors
        )
    if factors:
        raise ValueError(f"{declared.name} has no factors; only Linear does.")
    if named and not (isinstance(declared, TableForm) and declared.takes_features):
        raise ValueError(
            f"{declared.name} has its own variables and takes no features; only Linear, Mixing and BNSL do."
        )
    loss = objective or default_objective(declared)
    if isinstance(declared, TableForm):
        from scaling_laws.fit.compound.fit import fit_compound  # these engines take a tenth of the command's start
        from scaling_laws.fit.compound.request import CompoundRequest

        return fit_compound(points, CompoundRequest(declared, loss, intervals, named, known))
    if isinstance(declared, ExpressionForm):
        from scaling_laws.fit.expression.fit import fit_expression

        declared = replace(declared, fixed={**declared.fixed, **known}) if known else declared
        return fit_expression(points, declared, objective=loss, intervals=intervals)
    return fit_log_sum_exp(points, _with_fixed(declared, known), objective=loss, intervals=intervals)


def default_objective(form: Form) -> Objective:
    """Return what a form is fitted by unless the user says otherwise."""
    return Objective(getattr(form, "default_loss", "log-huber"))


def _checked(fixed: Mapping[str, float]) -> dict[str, float]:
    for name, value in fixed.items():
        if not np.isfinite(value):
            raise ValueError(f"The value at which {name} is held must be a finite number, not {value}.")
    return {name: float(value) for name, value in fixed.items()}


def _with_fixed(form: LogSumExpForm, fixed: Mapping[str, float]) -> LogSumExpForm:
    if unknown := [name for name in fixed if name not in form.coefficients]:
        raise ValueError(f"{form.name} has no coefficient {unknown[0]!r}; it has {', '.join(form.coefficients)}.")
    if negative := [name for name in fixed if name in form.amplitudes and fixed[name] <= 0]:
        raise ValueError(f"{form.name} needs a positive {negative[0]}, not {fixed[negative[0]]:g}.")
    low, high = form.exponent_bounds
    outside = [name for name in fixed if name not in form.amplitudes and not low <= fixed[name] <= high]
    if outside:
        held = f"{outside[0]} at {fixed[outside[0]]:g}"
        raise ValueError(f"{form.name} cannot hold {held}: its exponents lie between {low:g} and {high:g}.")
    known = {**dict(form.fixed), **fixed}
    if not set(form.coefficients) - set(known):
        raise ValueError(f"All coefficients of {form.name} are held, so that there is nothing to fit; let one go free.")
    return replace(form, fixed=tuple(known.items()))
