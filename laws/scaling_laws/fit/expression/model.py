"""A general form laid on points: which names are columns, the scale of each parameter, the way back to coefficients."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.density import density_rho
from scaling_laws.fit.expression.derivatives import Derivatives, differentiate
from scaling_laws.fit.expression.problem import ExpressionProblem
from scaling_laws.fit.expression.scales import coefficient_scales, magnitude
from scaling_laws.fit.features import column_names, numeric_column
from scaling_laws.fit.options import Objective
from scaling_laws.fit.problem import Forward, Rho
from scaling_laws.forms.expression import Coefficient, ExpressionForm
from scaling_laws.law import Finding, FindingCode, LawRefusedError
from scaling_laws.points import FloatArray, Points

FURTHEST = 60.0
"""A positive coefficient without bounds stays within exp(60) of the size that its starts or units suggest."""


@dataclass(frozen=True)
class NamedForm:
    """A form whose names are told apart."""

    name: str
    formula: str
    coefficients: tuple[str, ...]
    """Fitted and fixed, in the order of the formula."""
    variables: tuple[str, ...]
    response: str
    """Name of the column that is predicted."""


@dataclass(frozen=True)
class ExpressionModel:
    """A form on points."""

    form: NamedForm
    declared: tuple[Coefficient, ...]
    """Of the fitted coefficients, one a parameter."""
    fixed: Mapping[str, float]
    problem: ExpressionProblem
    scales: FloatArray
    """Log magnitude that units suggest for each parameter's coefficient, (P,)."""
    response: FloatArray
    """(n,)"""
    objective_factor: float

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return self.problem.names

    @property
    def linear(self) -> tuple[int, ...]:
        """Parameters whose coefficients enter linearly."""
        return self.problem.derivatives_of.linear

    @property
    def residual_unit(self) -> float:
        """What a residual of one is, in logs or in units of the response."""
        return self.problem.scale

    def thinned(self, rows: NDArray[np.int64]) -> "ExpressionModel":
        """Return the model on some of the points."""
        return replace(self, problem=self.problem.part(rows), response=self.response[rows])

    def on_logs(self) -> "ExpressionModel":
        """Return the model with squared residuals of logs in the place of its objective; the response is positive."""
        problem = replace(self.problem, observed=np.log(self.response), scale=1.0, rho=Rho(np.inf, is_log=True))
        return replace(self, problem=problem)

    def with_logs_of(self, rows: NDArray[np.int64], p: FloatArray) -> tuple["ExpressionModel", FloatArray]:
        """Return the model that sees further coefficients, positive at p, as logarithms, and p (P,) in its terms."""
        coefficients, old = self.problem.coefficients(p), self.problem
        is_log = old.is_log.copy()
        is_log[rows] = True
        unit = np.where(is_log, 1.0, old.unit)
        lower, upper = old.lower.copy(), old.upper.copy()
        lower[rows], upper[rows] = np.log(coefficients[rows]) - FURTHEST, np.log(coefficients[rows]) + FURTHEST
        model = replace(self, problem=replace(old, is_log=is_log, unit=unit, lower=lower, upper=upper))
        return model, model.parameters(coefficients)

    def parameters(self, coefficients: FloatArray) -> FloatArray:
        """Return p (..., P) inside the bounds for fitted coefficients (..., P)."""
        problem = self.problem
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(
                problem.is_log, np.log(np.where(problem.is_log, coefficients, 1.0)), coefficients / problem.unit
            )
        return np.clip(p, problem.lower, problem.upper)

    def natural(self, p: FloatArray) -> FloatArray:
        """Return all coefficients (..., coefficients) for parameters (..., P)."""
        fitted = self.problem.coefficients(p)
        value = {name: fitted[..., j] for j, name in enumerate(self.names)}
        value |= {name: np.full(p.shape[:-1], x) for name, x in self.fixed.items()}
        return np.stack([value[name] for name in self.form.coefficients], axis=-1)

    def to_interval_scale(self, p: FloatArray) -> FloatArray:
        """Return logarithms of positive coefficients and the others as they are, (..., P)."""
        return p * self.problem.unit

    def from_interval_scale(self, q: FloatArray) -> FloatArray:
        """Return parameters (..., P) inside the bounds for values on the interval scale."""
        return np.clip(q / self.problem.unit, self.problem.lower, self.problem.upper)

    def limit_to_natural(self, q: FloatArray) -> FloatArray:
        """Return limits of all coefficients for limits (P,) on the interval scale; NaN for fixed ones."""
        fitted = dict(zip(self.names, self.problem.coefficients(self.from_interval_scale(q)), strict=True))
        return np.array([fitted.get(name, np.nan) for name in self.form.coefficients])

    def moved(self, changes: FloatArray) -> FloatArray:
        """Return the observed values (draws, n) with the response changed by these logs (draws, n)."""
        observed = self.problem.observed
        return observed + changes if self.problem.rho.is_log else observed * np.exp(changes)

    def interval_units(self, p: FloatArray) -> FloatArray:
        """Return d parameter / d parameter of `interval_jacobian`, (P,): they are the same."""
        return np.ones(len(p))

    def interval_jacobian(self, at: Forward) -> FloatArray:
        """Return d residual / d parameter, (batch, P, n)."""
        return self.problem.jacobian(at)

    def interval_shifts(self, shifts: FloatArray) -> FloatArray:
        """Return changes of parameters (..., P) on the interval scale."""
        return shifts * self.problem.unit


def build_expression_model(form: ExpressionForm, points: Points, *, objective: Objective) -> ExpressionModel:
    """Return the form on these points.

    Raises:
        LawRefusedError: TooFewLevels.
        ValueError: a column is no usable number, or the formula has nothing to fit.
    """
    named, columns, response = _told_apart(form, points)
    fixed = {name: float(form.fixed[name]) for name in named.coefficients if name in form.fixed}
    names = tuple(name for name in named.coefficients if name not in fixed)
    _check(form, points, names=names, columns=columns, response=response, objective=objective)
    derivatives = differentiate(form.equation, names)
    known = {**columns, **{name: np.asarray(x) for name, x in fixed.items()}}
    declared = _declared(form, names, columns)
    suggested = coefficient_scales(derivatives.graph, derivatives.root, columns=known, response=response)
    scales = np.array([_scale(coefficient, suggested[coefficient.name]) for coefficient in declared])
    problem = _problem(derivatives, known, declared, scales=scales, response=response, objective=objective)
    return ExpressionModel(
        form=named,
        declared=declared,
        fixed=fixed,
        problem=problem,
        scales=scales,
        response=response,
        objective_factor=_factor(objective, points, problem.scale),
    )


def _without_variables(form: ExpressionForm, known: tuple[str, ...]) -> str:
    if idle := [name for name in form.equation.names_without_effect if name in known]:
        what, terms = ("has no effect", "its terms") if len(idle) == 1 else ("have no effect", "their terms")
        return f"{' and '.join(idle)} {what} in {form.formula!r}, where {terms} cancel or are zero; no column is left."
    return f"No name in {form.formula!r} is a column; the points have {', '.join(known)}."


def _told_apart(form: ExpressionForm, points: Points) -> tuple[NamedForm, dict[str, FloatArray], FloatArray]:
    response = form.equation.response
    known = (*column_names(points), *(("loss",) if response != "loss" else ()))
    if absent := [name for name in form.variables if name not in known]:
        raise ValueError(f"{form.name} needs the column {absent[0]}; the points have {', '.join(known)}.")
    variables, coefficients = form.split_names(frozenset(known))
    columns = {name: numeric_column(points, name) for name in variables}
    if not variables:
        raise ValueError(_without_variables(form, known))
    if response in variables:
        raise ValueError(f"{form.formula!r} predicts {response} from itself; only one side may name it.")
    return (
        NamedForm(form.name, form.formula, coefficients, variables, response),
        columns,
        numeric_column(points, response),
    )


def _check(
    form: ExpressionForm,
    points: Points,
    *,
    names: tuple[str, ...],
    columns: Mapping[str, FloatArray],
    response: FloatArray,
    objective: Objective,
) -> None:
    if not names:
        raise ValueError(f"{form.formula!r} has no coefficient to fit: all its names are columns or fixed.")
    if objective.is_log and np.any(response <= 0):
        raise ValueError(
            f"{objective.name} takes the logarithm of {form.equation.response}, which is {response.min():g} in row "
            f"{int(np.argmin(response)) + 1}; choose huber or mse."
        )
    for name, column in columns.items():
        if np.ptp(column) <= 1e-9 * np.abs(column).max():
            message = (
                f"All {len(points)} points have the same {name} ({column[0]:g}), so that {form.formula!r} cannot be "
                f"told from a form without it; add points with other values of {name}, or leave it out."
            )
            raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))


def _declared(
    form: ExpressionForm, names: tuple[str, ...], columns: Mapping[str, FloatArray]
) -> tuple[Coefficient, ...]:
    """Return one declaration for each name, with ranges of starts in natural units."""
    known = {coefficient.name: coefficient for coefficient in form.declared}
    if unknown := [name for name in (*known, *form.fixed) if name not in form.equation.names]:
        raise ValueError(f"{form.formula!r} has no coefficient {unknown[0]!r}.")
    out = []
    for name in names:
        own = known.get(name, Coefficient(name))
        if own.per and own.start is not None:
            size = float(np.exp(magnitude(columns[own.per.removeprefix("1/")])))
            size = 1 / size if own.per.startswith("1/") else size
            own = replace(own, start=(own.start[0] * size, own.start[1] * size), per="")
        out.append(own)
    return tuple(out)


def _scale(coefficient: Coefficient, suggested: float) -> float:
    """Return the log magnitude around which a coefficient lies: of its starts' middle where they are declared."""
    if coefficient.start is None:
        return suggested
    low, high = coefficient.start
    if coefficient.is_positive:
        return 0.5 * float(np.log(low) + np.log(high))
    return float(np.log(max(abs(low), abs(high))))


def _problem(
    derivatives: Derivatives,
    columns: Mapping[str, FloatArray],
    declared: tuple[Coefficient, ...],
    *,
    scales: FloatArray,
    response: FloatArray,
    objective: Objective,
) -> ExpressionProblem:
    is_log = np.array([coefficient.is_positive for coefficient in declared])
    unit = np.where(is_log, 1.0, np.exp(scales))
    low, high = (np.array([getattr(coefficient, side) for coefficient in declared]) for side in ("lower", "upper"))
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(is_log, np.where(low > 0, np.log(np.maximum(low, 0.0)), scales - FURTHEST), low / unit)
        upper = np.where(
            is_log, np.where(np.isinf(high), scales + FURTHEST, np.log(np.maximum(high, 0.0))), high / unit
        )
    scale = 1.0 if objective.is_log else float(np.exp(magnitude(response)))
    return ExpressionProblem(
        derivatives_of=derivatives,
        columns=columns,
        names=tuple(coefficient.name for coefficient in declared),
        is_log=is_log,
        unit=unit,
        observed=np.log(response) if objective.is_log else response / scale,
        scale=scale,
        rho=_rho(objective, scale),
        lower=lower,
        upper=upper,
    )


def _rho(objective: Objective, scale: float) -> Rho:
    if objective.is_density:
        return density_rho(objective, scale)
    return Rho(objective.delta / scale if objective.is_huber else np.inf, objective.is_log)


def _factor(objective: Objective, points: Points, scale: float) -> float:
    if objective.is_density:
        return 1.0
    total = len(points) if points.weights is None else float(np.sum(points.weights))
    return (1.0 if objective.is_huber else 2.0 / total) * scale**2
