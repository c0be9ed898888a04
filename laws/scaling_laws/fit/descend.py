"""The global optimum of a form on points, with its certificate."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.certificate import AGREEMENT, certify
from scaling_laws.fit.model import Model, build_model
from scaling_laws.fit.optimise import ROUNDING, Optima, minimise, polish
from scaling_laws.fit.options import Objective
from scaling_laws.fit.profile import follow_valley
from scaling_laws.fit.starts import starting_points
from scaling_laws.forms.base import LogSumExpForm
from scaling_laws.law import Certificate
from scaling_laws.points import FloatArray, Points, select

STARTS = 16
SEARCH_POINTS = 10_000
"""Larger tables are searched on so many of their points."""
SEARCH_STEPS = 150
"""Steps of each start; the best go on along their valley where they have not reached its end."""
STRAGGLERS = 3
FAINT_SHARE = 1e-4
"""A term with less than this share of every loss is tried at zero."""
REVIVED_SHARE = 1e-2
"""Share that a term of zero starts a refit with, so that other weights may find it positive."""


@dataclass(frozen=True)
class Optimum:
    """A form fitted to points."""

    model: Model
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
        """Where refits begin, (1, P): the optimum, with terms of zero brought back to a small share."""
        zero = np.isin(np.arange(len(self.p)), self.model.amplitude_rows) & (self.p <= self.model.problem.lower)
        return np.where(zero, np.log(REVIVED_SHARE), self.p)[None]

    def reordered(self, rows: NDArray[np.int64]) -> "Optimum":
        """Return the optimum with its points in another order."""
        model = replace(self.model, problem=self.model.problem.part(rows))
        return replace(self, model=model, weights=self.weights[rows])


def find_optimum(form: LogSumExpForm, points: Points, *, objective: Objective) -> Optimum:
    """Return the best optimum over all starts; a term that tends to zero is set to zero where that is no worse.

    Points in any order give the same optimum.
    """
    order = canonical_order(points)
    found = _find_optimum(form, select(points, order), objective=objective)
    return found.reordered(np.argsort(order, kind="stable"))


def canonical_order(points: Points) -> NDArray[np.int64]:
    """Return the rows by N, D, loss and weight: along a flat direction the rounding of sums decides where descents end.

    Larger tables stay as they are: a search on part of them takes their points by loss.
    """
    if len(points) > SEARCH_POINTS:
        return np.arange(len(points))
    features = [column for _, column in sorted(points.features.items()) if np.asarray(column).dtype.kind in "fiub"]
    weights = [] if points.weights is None else [points.weights]
    return np.lexsort((*features, *weights, points.loss, points.D, points.N))


def _find_optimum(form: LogSumExpForm, points: Points, *, objective: Objective) -> Optimum:
    model = build_model(form, points, objective=objective)
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights, dtype=np.float64)
    optima = _search(model, weights)
    best = int(np.argmin(optima.objective))
    p = _without_faint_terms(model, optima.parameters[best], weights)
    p = polish(model.problem, _merge_constants(model, p), weights)
    reached = float(model.problem.forward(p[None], weights).objective[0])
    ends = np.where(optima.settled | (optima.objective <= reached), optima.objective, np.inf)
    return Optimum(model, p, weights, reached, certify(model, p, weights=weights, ends=ends))


def _search(model: Model, weights: FloatArray) -> Optima:
    """Return where descents from all over the exponents' grid end.

    Of large tables two halves of a thinned table are searched, and the two optima go on with all the points.
    """
    n = len(weights)
    if n <= SEARCH_POINTS:
        starts = starting_points(model, weights, STARTS)
        optima = minimise(model.problem, starts, weights=weights, steps=SEARCH_STEPS)
        return _finish_stragglers(model, optima, weights)
    order = np.argsort(model.problem.observed, kind="stable")
    kept = order[np.linspace(0, n - 1, SEARCH_POINTS).astype(np.int64)]
    halves = [
        _search(replace(model, problem=model.problem.part(rows)), weights[rows]) for rows in (kept[::2], kept[1::2])
    ]
    best = np.array([found.parameters[np.argmin(found.objective)] for found in halves])
    return minimise(model.problem, best, weights=weights)


def _finish_stragglers(model: Model, optima: Optima, weights: FloatArray) -> Optima:
    """Take starts that have not settled to the end of their valley, where they may win or confirm the best.

    Those that creep towards an optimum which two others have reached already are left where they are.
    """
    best = float(np.min(optima.objective, where=optima.settled, initial=np.inf))
    agreeing = int(np.sum(optima.settled & (optima.objective <= best * (1 + AGREEMENT))))
    margin = 1 - AGREEMENT if agreeing >= 2 else 1 + AGREEMENT
    for row in np.argsort(optima.objective, kind="stable")[:STRAGGLERS]:
        if not optima.settled[row] and optima.objective[row] <= best * margin:
            optima.parameters[row], optima.objective[row] = follow_valley(model, optima.parameters[row], weights)
            optima.settled[row] = True
    return optima


def _without_faint_terms(model: Model, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Return p with the terms that hardly contribute at zero, if the objective is no higher there."""
    at = model.problem.forward(p[None], weights)
    faint = model.amplitude_rows[at.inner[0][model.amplitude_terms].max(axis=1) < FAINT_SHARE]
    if not len(faint):
        return p
    trial = p.copy()
    trial[faint] = model.problem.lower[faint]
    optima = minimise(model.problem, trial[None], weights=weights, newton=True)
    no_worse = optima.objective[0] <= at.objective[0] * (1 + 1e-13) + ROUNDING * weights.sum()
    return optima.parameters[0] if no_worse else p


def _merge_constants(model: Model, p: FloatArray) -> FloatArray:
    """Return p with terms whose exponents are all zero moved into the constant term, which they cannot be told from."""
    terms, out = model.form.terms, p.copy()
    rows = dict(zip(model.amplitude_terms.tolist(), model.amplitude_rows.tolist(), strict=True))
    constant = next((row for k, row in rows.items() if not terms[k].powers), None)
    for k, row in rows.items():
        exponents = [model.names.index(name) for name, _ in terms[k].powers if name in model.names]
        if constant is None or len(exponents) < len(terms[k].powers) or not exponents or np.any(p[exponents] > 1e-12):
            continue
        out[constant] = np.logaddexp(out[constant], out[row])
        out[row] = model.problem.lower[row]
    return out
