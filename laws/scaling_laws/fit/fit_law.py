"""The one way in: points and a form, out comes a law or a refusal."""

from collections.abc import Sequence

from scaling_laws.fit.checks import check_points
from scaling_laws.fit.expression.fit import fit_expression
from scaling_laws.fit.linear import fit_linear
from scaling_laws.fit.log_sum_exp import fit_log_sum_exp
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms import ExpressionForm, Form, LinearForm, form_named
from scaling_laws.law import Law
from scaling_laws.points import Points

DEFAULT_OBJECTIVE = Objective()
DEFAULT_INTERVALS = IntervalOptions()


def fit_law(
    points: Points,
    form: str | Form = "Chinchilla",
    *,
    objective: Objective = DEFAULT_OBJECTIVE,
    intervals: IntervalOptions = DEFAULT_INTERVALS,
    features: Sequence[str] = (),
) -> Law:
    """Fit a form to points.

    The same arguments give the same law. Findings say what a reader of the law must know.

    Args:
        points: N, D and loss, positive and finite, and what else the form uses.
        form: one of `form_names()`, an expression such as `loss = E + A*N^-alpha` whose names are columns of the points
            or else coefficients, or a form.
        objective: what is minimised; Linear is least squares and takes only the default or mse.
        intervals: how standard errors and limits are made.
        features: Linear only: its columns, such as "log(N)", "D" or a name in `points.features`.

    Raises:
        LawRefusedError: the points cannot carry the law; its finding says why.
        ValueError: a form or feature that does not exist, or a value that is not a positive finite number.
    """
    declared = form_named(form) if isinstance(form, str) else form
    check_points(points)
    if isinstance(declared, LinearForm):
        return fit_linear(points, declared, objective=objective, intervals=intervals, features=tuple(features))
    if features:
        raise ValueError(f"{declared.name} has its own variables and takes no features; only Linear does.")
    if isinstance(declared, ExpressionForm):
        return fit_expression(points, declared, objective=objective, intervals=intervals)
    return fit_log_sum_exp(points, declared, objective=objective, intervals=intervals)
