"""A form laid on points: the log-sum-exp problem in centred coordinates, and the way back to natural coefficients."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit import interval_scale
from scaling_laws.fit.density import density_rho
from scaling_laws.fit.options import Objective
from scaling_laws.fit.problem import Forward, Problem, Rho
from scaling_laws.forms.base import LogSumExpForm, Term
from scaling_laws.points import FloatArray, Points

VANISHED = 40.0
"""A term may fall to exp(-40) of the loss, below the rounding of a sum; nothing changes beneath that."""


@dataclass(frozen=True)
class Model:
    """A form on points. Parameters p are log amplitudes at the points' mean variables, and exponents.

    Centring the logs of N and D takes the condition number from 1e11 to order 1, and dividing the loss by its mean
    makes every number below free of units.
    """

    form: LogSumExpForm
    problem: Problem
    names: tuple[str, ...]
    """Of the parameters: the form's coefficients that are fitted."""
    amplitude_rows: NDArray[np.int64]
    """Rows of p that are log amplitudes."""
    amplitude_terms: NDArray[np.int64]
    """The term that each of them belongs to."""
    exponent_rows: NDArray[np.int64]
    """Rows of p that are exponents."""
    centres: Mapping[str, float]
    """Mean log of each variable."""
    log_scale: float
    """Mean log loss."""
    objective_factor: float
    """From the problem's objective, in its own scale, to the one reported."""

    @property
    def residual_unit(self) -> float:
        """What a residual of one is, in logs or nats."""
        return 1.0 if self.problem.rho.is_log else float(np.exp(self.log_scale))

    def natural(self, p: FloatArray) -> FloatArray:
        """Return all the form's coefficients (..., coefficients) in natural units for parameters (..., P).

        A log amplitude on its lower bound is an amplitude of zero.
        """
        value = {name: np.full(p.shape[:-1], fixed) for name, fixed in self.form.fixed}
        value |= {name: p[..., j] for j, name in enumerate(self.names)}
        floor = dict(zip(self.names, self.problem.lower, strict=True))
        for term in self.form.terms:
            if term.amplitude in self.names:
                log = value[term.amplitude]
                shift = sum((value[exponent] * self.centres[name] for exponent, name in term.powers), start=0.0)
                with np.errstate(over="ignore"):
                    amplitude = np.exp(log + shift + self.log_scale)
                value[term.amplitude] = np.where(log <= floor[term.amplitude], 0.0, amplitude)
        return np.stack([value[name] for name in self.form.coefficients], axis=-1)

    def to_interval_scale(self, p: FloatArray) -> FloatArray:
        """Return parameters (..., P) on the interval scale."""
        return interval_scale.to_interval_scale(self, p)

    def from_interval_scale(self, q: FloatArray) -> FloatArray:
        """Return parameters (..., P) for values on the interval scale, inside the bounds."""
        return interval_scale.from_interval_scale(self, q)

    def limit_to_natural(self, q: FloatArray) -> FloatArray:
        """Return limits of the form's coefficients in natural units for limits (P,) on the interval scale."""
        return interval_scale.limit_to_natural(self, q)

    def moved(self, changes: FloatArray) -> FloatArray:
        """Return the observed values (draws, n) with the loss changed by these logs (draws, n)."""
        return self.problem.observed + changes

    def interval_units(self, p: FloatArray) -> FloatArray:
        """Return d parameter / d parameter of `interval_jacobian`, (P,)."""
        return interval_scale.interval_units(self, p)

    def interval_jacobian(self, at: Forward) -> FloatArray:
        """Return d residual / d parameter, (batch, P, n), up to the linear map of `interval_shifts`."""
        return interval_scale.interval_jacobian(self, at)

    def interval_shifts(self, shifts: FloatArray) -> FloatArray:
        """Return changes (..., P) of the parameters of `interval_jacobian` on the interval scale."""
        return interval_scale.uncentred(self, shifts)


def build_model(form: LogSumExpForm, points: Points, *, objective: Objective) -> Model:
    """Return the form on these points."""
    log_loss = np.log(points.loss)
    scale = float(np.average(log_loss, weights=points.weights))
    logs = {name: np.log(variable(points, name)) for name in form.variables}
    centres = {name: float(np.average(z, weights=points.weights)) for name, z in logs.items()}
    fixed = dict(form.fixed)
    names = tuple(name for name in form.coefficients if name not in fixed)
    design, offset = _design(form.terms, names, fixed=fixed, logs=logs, centres=centres, log_scale=scale)
    is_amplitude = np.array([name in form.amplitudes for name in names], dtype=bool)
    low, high = form.exponent_bounds
    # A steep term may be large at the smallest size and tiny at the mean one, where its amplitude stands.
    reach = VANISHED + high * sum(float(np.max(np.abs(z - centres[name]))) for name, z in logs.items())
    lower = np.where(is_amplitude, log_loss.min() - scale - reach, low)
    upper = np.where(is_amplitude, log_loss.max() - scale + reach, high)
    term_of = {term.amplitude: k for k, term in enumerate(form.terms)}
    return Model(
        form=form,
        problem=Problem(design, offset, log_loss - scale, _rho(objective, scale), lower, upper),
        names=names,
        amplitude_rows=np.flatnonzero(is_amplitude),
        amplitude_terms=np.array([term_of[name] for name in names if name in term_of], dtype=np.int64),
        exponent_rows=np.flatnonzero(~is_amplitude),
        centres=centres,
        log_scale=scale,
        objective_factor=_factor(objective, points, scale),
    )


def _design(
    terms: tuple[Term, ...],
    names: tuple[str, ...],
    *,
    fixed: Mapping[str, float],
    logs: Mapping[str, FloatArray],
    centres: Mapping[str, float],
    log_scale: float,
) -> tuple[FloatArray, FloatArray]:
    """Return X (P, terms, n) and o (terms, n). A fixed amplitude stands at variable 1, a fitted one at its mean."""
    rows = len(next(iter(logs.values())))
    design, offset = np.zeros((len(names), len(terms), rows)), np.zeros((len(terms), rows))
    for k, term in enumerate(terms):
        if term.amplitude in fixed:
            offset[k] = np.log(fixed[term.amplitude]) - log_scale
        else:
            design[names.index(term.amplitude), k] = 1.0
        for exponent, name in term.powers:
            z = logs[name] - (0.0 if term.amplitude in fixed else centres[name])
            if exponent in fixed:
                offset[k] -= fixed[exponent] * z
            else:
                design[names.index(exponent), k] -= z
    return design, offset


def variable(points: Points, name: str) -> FloatArray:
    """Return the variable of that name: N, D or a numeric feature."""
    if name in {"N", "D"}:
        return np.asarray(getattr(points, name), dtype=np.float64)
    return np.asarray(points.features[name], dtype=np.float64)


def _factor(objective: Objective, points: Points, log_scale: float) -> float:
    if objective.is_density:
        return 1.0
    total = len(points) if points.weights is None else float(np.sum(points.weights))
    mean_of_squares = 1.0 if objective.is_huber else 2.0 / total
    return mean_of_squares * (1.0 if objective.is_log else float(np.exp(2 * log_scale)))


def _rho(objective: Objective, log_scale: float) -> Rho:
    if objective.is_density:
        return density_rho(objective, 1.0 if objective.is_log else float(np.exp(log_scale)))
    if not objective.is_huber:
        return Rho(np.inf, objective.is_log)
    return Rho(objective.delta if objective.is_log else objective.delta / np.exp(log_scale), objective.is_log)
