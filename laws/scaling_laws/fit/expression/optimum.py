"""The global optimum of a general form on points, with its certificate."""

from dataclasses import dataclass

import numpy as np

from scaling_laws.fit.certificate import certificate_at
from scaling_laws.fit.expression.model import ExpressionModel, build_expression_model
from scaling_laws.fit.expression.starts import projected, starting_points
from scaling_laws.fit.optimise import Optima, minimise, polish
from scaling_laws.fit.options import Objective
from scaling_laws.forms.expression import ExpressionForm
from scaling_laws.law import Certificate, Finding, FindingCode, LawRefusedError
from scaling_laws.points import FloatArray, Points

STARTS = 24
SEARCH_STEPS = 120
"""Steps of each start; the best go on where they have not settled."""
STRAGGLERS = 4
FURTHER_STEPS = 2000


@dataclass(frozen=True)
class ExpressionOptimum:
    """A general form fitted to points."""

    model: ExpressionModel
    p: FloatArray
    """(P,)"""
    weights: FloatArray
    """(n,)"""
    objective: float
    """In the model's own scale, without the factor of the reported objective."""
    certificate: Certificate

    @property
    def coefficients(self) -> FloatArray:
        """In natural units and the form's order."""
        return self.model.natural(self.p)

    @property
    def warm_start(self) -> FloatArray:
        """Where refits begin, (1, P)."""
        return self.p[None]


def find_expression_optimum(form: ExpressionForm, points: Points, *, objective: Objective) -> ExpressionOptimum:
    """Return the best optimum over all starts.

    Raises:
        LawRefusedError: the expression has no finite value at any start.
        ValueError: the form or its columns are not usable.
    """
    model = build_expression_model(form, points, objective=objective)
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights, dtype=np.float64)
    starts = _starts(form, model, weights)
    optima = minimise(model.problem, starts, weights=weights, steps=SEARCH_STEPS)
    optima = _finish_stragglers(model, optima, weights)
    best = int(np.argmin(optima.objective))
    p = polish(model.problem, optima.parameters[best], weights)
    reached = float(model.problem.forward(p[None], weights).objective[0])
    ends = np.where(optima.settled | (optima.objective <= reached), optima.objective, np.inf)
    certificate = certificate_at(
        model.problem,
        p,
        weights=weights,
        ends=ends,
        scale=np.where(model.problem.is_log, 1.0, np.abs(p)),
        ignored=np.zeros(len(p), dtype=bool),
        factor=model.objective_factor,
        names=model.names,
    )
    return ExpressionOptimum(model, p, weights, reached, certificate)


def _starts(form: ExpressionForm, model: ExpressionModel, weights: FloatArray) -> FloatArray:
    """Return the starts at which the expression has a value: the form's (as given and projected) and those found."""
    parts = [starting_points(model, weights, STARTS)] if form.searches else []
    if form.starts:
        for start in form.starts:
            if absent := [name for name in model.names if name not in start]:
                raise ValueError(f"A start of {form.formula!r} has no value for {absent[0]}.")
        given = model.parameters(np.array([[start[name] for name in model.names] for start in form.starts]))
        parts += [given, projected(model, given, weights)]
    starts = np.concatenate(parts)
    usable = np.isfinite(model.problem.forward(starts, weights).objective)
    if not usable.any():
        message = (
            f"{form.formula!r} has no finite value on these points at any of {len(usable)} starts; check the columns' "
            "units, or declare where the coefficients lie."
        )
        raise LawRefusedError(Finding(FindingCode.NOT_CONVERGED, message))
    return starts[usable]


def _finish_stragglers(model: ExpressionModel, optima: Optima, weights: FloatArray) -> Optima:
    """Take the best starts that have not settled on to their end."""
    order = np.argsort(optima.objective, kind="stable")[:STRAGGLERS]
    rows = order[~optima.settled[order]]
    if len(rows):
        more = minimise(model.problem, optima.parameters[rows], weights=weights, steps=FURTHER_STEPS)
        optima.parameters[rows], optima.objective[rows] = more.parameters, more.objective
        optima.settled[rows] = more.settled
    return optima
