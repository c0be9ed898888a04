"""The global optimum of a general form on points, with its certificate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.certificate import AGREEMENT, certificate_at
from scaling_laws.fit.expression.errors import interval_scale_errors
from scaling_laws.fit.expression.model import ExpressionModel, build_expression_model
from scaling_laws.fit.expression.starts import projected, starting_points, thinned_rows
from scaling_laws.fit.likelihood import with_density
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
"""Of those that go on, with up to nine coefficients; each step of more costs more, and they get fewer."""
MANY_COEFFICIENTS = 9
MANY_POINTS = 20_000
BEST_ENDS = 4
RELATIVE_STARTS = 8
"""Starts that are first followed on relative residuals."""
SMALLEST = 1e-24
"""Objective below which points have no noise, and all optima are alike."""


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
    fitted_by: Objective
    """With the density that the points decided, where it has one."""

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
    if objective.is_density:
        objective = with_density(objective, lambda known: find_expression_optimum(form, points, objective=known))
    model = build_expression_model(form, points, objective=objective)
    # Steps of a search may leave the range of floating-point numbers; such steps are refused, without a warning.
    with np.errstate(all="ignore"):
        return _find(form, model, points, objective)


def _find(form: ExpressionForm, model: ExpressionModel, points: Points, objective: Objective) -> ExpressionOptimum:
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights, dtype=np.float64)
    optima = _descend(model, _starts(form, model, weights), weights)
    p = _in_order(form, model, optima.parameters[_first_of_best(optima)])
    model, p = model.with_logs_of(_amplitudes(model, p, weights), p)
    p = polish(model.problem, p, weights)
    reached = float(model.problem.forward(p[None], weights).objective[0])
    ends = np.where(optima.settled | (optima.objective <= reached), optima.objective, np.inf)
    scale = _meaningful_change(model, p, weights)
    certificate = certificate_at(model, p, weights=weights, ends=ends, scale=scale)
    return ExpressionOptimum(model, p, weights, reached, certificate, objective)


def _in_order(form: ExpressionForm, model: ExpressionModel, p: FloatArray) -> FloatArray:
    """Return p (P,) with its interchangeable groups numbered as their first coefficients rise."""
    groups = [[model.names.index(name) for name in group if name in model.names] for group in form.interchangeable]
    if not groups or any(len(rows) != len(group) for rows, group in zip(groups, form.interchangeable, strict=True)):
        return p  # coefficients that are held stay where they are
    out = p.copy()
    for place, rows in zip(groups, sorted(groups, key=lambda rows: float(p[rows[0]])), strict=True):
        out[place] = p[rows]
    return out


def _starts(form: ExpressionForm, model: ExpressionModel, weights: FloatArray) -> FloatArray:
    """Return the starts at which the expression has a value: the form's (as given and projected) and those found."""
    parts = []
    if form.starts:
        for start in form.starts:
            if absent := [name for name in model.names if name not in start]:
                raise ValueError(f"A start of {form.formula!r} has no value for {absent[0]}.")
        given = model.parameters(np.array([[start[name] for name in model.names] for start in form.starts]))
        parts += [given, projected(model, given, weights)]
    if form.searches:
        parts.append(starting_points(model, weights, STARTS))
    starts = np.concatenate(parts)
    starts = np.concatenate([starts, _by_relative_residuals(model, starts, weights)])
    usable = np.isfinite(model.problem.forward(starts, weights).objective)
    if not usable.any():
        message = (
            f"{form.formula!r} has no finite value on these points at any of {len(usable)} starts; check the columns' "
            "units, or declare where the coefficients lie."
        )
        raise LawRefusedError(Finding(FindingCode.NOT_CONVERGED, message))
    return _settled_on_a_part(model, starts[usable], weights)


def _settled_on_a_part(model: ExpressionModel, starts: FloatArray, weights: FloatArray) -> FloatArray:
    """Return, for tables of many points, where the starts lead on a part of them: the best few ends."""
    rows = thinned_rows(model, MANY_POINTS // 4)
    if len(model.response) <= MANY_POINTS or len(starts) <= BEST_ENDS:
        return starts
    optima = minimise(model.thinned(rows).problem, starts, weights=weights[rows], steps=SEARCH_STEPS)
    ends = optima.parameters[np.argsort(optima.objective, kind="stable")]
    ends = ends[np.isfinite(model.problem.forward(ends, weights).objective)]
    return ends[:BEST_ENDS] if len(ends) else starts[:BEST_ENDS]


def _amplitudes(model: ExpressionModel, p: FloatArray, weights: FloatArray) -> NDArray[np.int64]:
    """Return the free linear coefficients, positive by more than their error, of terms that other coefficients shape.

    A*N^-alpha keeps its value along a line in log A and alpha, and along a curve in A and alpha: refits go there in few
    steps, and errors are nearer to symmetric, on the logarithm.
    """
    own = model.problem.derivatives_of
    shaped = [j for j in model.linear if own.graph.names_in[own.first[j]] & set(model.names)]
    free = [j for j in shaped if np.isinf(model.declared[j].lower) and np.isinf(model.declared[j].upper)]
    errors = interval_scale_errors(model, p, weights)
    value = model.to_interval_scale(p)
    rows = [j for j in free if not model.problem.is_log[j] and value[j] > errors[j]]
    return np.array(rows, dtype=np.int64)


def _meaningful_change(model: ExpressionModel, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Return how far each parameter moves until squared residuals have doubled, at most its own size, (P,).

    Its own size would ask for more digits of the gradient than there are where a coefficient stands in an exponential.
    """
    at = model.problem.forward(p[None], weights)
    curvature = np.einsum("n,pn->p", weights, model.problem.jacobian(at)[0] ** 2)
    squares = float(np.sum(weights * at.residuals[0] ** 2))
    own = np.where(model.problem.is_log, 1.0, np.abs(p))
    change = np.sqrt(squares / np.maximum(curvature, np.finfo(np.float64).tiny))
    return np.asarray(np.minimum(own, change), dtype=np.float64)


def _by_relative_residuals(model: ExpressionModel, starts: FloatArray, weights: FloatArray) -> FloatArray:
    """Return where descents on relative residuals lead, from starts where those exist.

    From far away a response that spans decades is nearer to a parabola in its logarithm, and flat in itself.
    """
    if model.problem.rho.is_log or np.any(model.response <= 0):
        return starts[:0]
    on_logs = model.on_logs().problem
    cost = on_logs.forward(starts, weights).objective
    best = np.argsort(cost, kind="stable")[:RELATIVE_STARTS]
    best = best[np.isfinite(cost[best])]
    return minimise(on_logs, starts[best], weights=weights, steps=SEARCH_STEPS).parameters if len(best) else starts[:0]


def _first_of_best(optima: Optima) -> int:
    """Return the first row whose objective is the lowest up to rounding: of equal optima that of the earliest start."""
    lowest = float(optima.objective.min())
    return int(np.argmax(optima.objective <= lowest * (1 + AGREEMENT) + SMALLEST))


def _descend(model: ExpressionModel, starts: FloatArray, weights: FloatArray) -> Optima:
    return _finish_stragglers(model, minimise(model.problem, starts, weights=weights, steps=SEARCH_STEPS), weights)


def _finish_stragglers(model: ExpressionModel, optima: Optima, weights: FloatArray) -> Optima:
    """Take the best starts that have not settled on to their end.

    Those that lag behind settled ones count only where they end below all of these: that several fall into one poor
    valley, however slowly, is no sign that it is the deepest.
    """
    order = np.argsort(optima.objective, kind="stable")
    rows = order[~optima.settled[order]][:STRAGGLERS]
    if len(rows):
        steps = int(FURTHER_STEPS * min(1.0, (MANY_COEFFICIENTS / model.problem.size) ** 2))
        more = minimise(model.problem, optima.parameters[rows], weights=weights, steps=steps)
        lowest = optima.objective[optima.settled].min(initial=np.inf)
        kept = np.isin(rows, order[:STRAGGLERS]) | (more.objective < lowest * (1 - AGREEMENT) - SMALLEST)
        rows = rows[kept]
        optima.parameters[rows], optima.objective[rows] = more.parameters[kept], more.objective[kept]
        optima.settled[rows] = more.settled[kept]
    return optima
