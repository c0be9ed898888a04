"""The global optimum of a form on points, with its certificate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.certificate import certify
from scaling_laws.fit.model import Model, build_model
from scaling_laws.fit.optimise import Optima, minimise
from scaling_laws.fit.options import Objective
from scaling_laws.fit.starts import starting_points
from scaling_laws.forms.base import LogSumExpForm
from scaling_laws.law import Certificate
from scaling_laws.points import FloatArray, Points

STARTS = 8
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


def find_optimum(form: LogSumExpForm, points: Points, *, objective: Objective) -> Optimum:
    """Return the best optimum over all starts; a term that tends to zero is set to zero where that is no worse."""
    model = build_model(form, points, objective=objective)
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights, dtype=np.float64)
    optima = minimise(model.problem, starting_points(model, weights, STARTS), weights=weights)
    best = int(np.argmin(optima.objective))
    p, objective_value = optima.parameters[best], float(optima.objective[best])
    faint = _faint_rows(model, p, weights)
    if len(faint):
        p, objective_value = _without(model, p, faint=faint, weights=weights, objective=objective_value)
    certificate = certify(model, p, weights=weights, ends=_settled(optima, objective_value))
    return Optimum(model, p, weights, objective_value, certificate)


def _settled(optima: Optima, objective: float) -> FloatArray:
    return optima.objective[optima.settled | (optima.objective <= objective)]


def _faint_rows(model: Model, p: FloatArray, weights: FloatArray) -> NDArray[np.int64]:
    shares = model.problem.forward(p[None], weights).shares[0]
    faint: NDArray[np.int64] = model.amplitude_rows[shares[model.amplitude_terms].max(axis=1) < FAINT_SHARE]
    return faint


def _without(
    model: Model, p: FloatArray, *, faint: NDArray[np.int64], weights: FloatArray, objective: float
) -> tuple[FloatArray, float]:
    trial = p.copy()
    trial[faint] = model.problem.lower[faint]
    optima = minimise(model.problem, trial[None], weights=weights, newton=True)
    if optima.objective[0] <= objective * (1 + 1e-13):
        return optima.parameters[0], float(optima.objective[0])
    return p, objective
