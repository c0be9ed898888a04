"""Why an optimum may be believed."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scaling_laws.fit.curve import Curve
from scaling_laws.fit.model import Model
from scaling_laws.fit.problem import BoolArray
from scaling_laws.law import Certificate
from scaling_laws.points import FloatArray

AGREEMENT = 1e-8
"""Relative difference of objective within which two starts ended in the same optimum."""
RESOLUTION = 1e-8
"""Objective per unit of weight below which gradients are compared with this instead: points without noise."""
FLAT = 1e-13
"""Scaled curvature that rounding alone produces."""


def certify(model: Model, p: FloatArray, *, weights: FloatArray, ends: FloatArray) -> Certificate:
    """Return gradient, curvature and agreement of starts at an optimum of a log-sum-exp form.

    Args:
        model: the form on its points.
        p: parameters, (P,).
        weights: (n,).
        ends: objectives in which the starts ended, infinite where one has not.
    """
    scale = np.where(np.isin(np.arange(len(p)), model.exponent_rows), np.abs(p), 1.0)
    return certificate_at(model, p, weights=weights, ends=ends, scale=scale, ignored=_meaningless(model, p))


class Fitted(Protocol):
    """What a certificate needs to know of a form on points."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        ...

    @property
    def problem(self) -> Curve:
        """What was minimised."""
        ...

    @property
    def objective_factor(self) -> float:
        """From the problem's objective to the one reported."""
        ...


def certificate_at(
    model: Fitted,
    p: FloatArray,
    *,
    weights: FloatArray,
    ends: FloatArray,
    scale: FloatArray,
    ignored: BoolArray | None = None,
) -> Certificate:
    """Return gradient, curvature and agreement of starts at an optimum.

    Args:
        model: what was fitted.
        p: parameters, (P,).
        weights: (n,).
        ends: objectives in which the starts ended, infinite where one has not.
        scale: size of each parameter's meaningful change, (P,).
        ignored: parameters that cannot change anything, (P,); None: there are none.
    """
    seen = _seen_at(model.problem, p, weights)
    free = ~seen.is_held if ignored is None else ~(seen.is_held | ignored)
    eigenvalues = _scaled_eigenvalues(seen.hessian[np.ix_(free, free)])
    smallest = float(eigenvalues[0]) if abs(eigenvalues[0]) > FLAT else 0.0
    floor = max(seen.objective, RESOLUTION * float(weights.sum()))
    above = ends - seen.objective
    return Certificate(
        gradient_norm=float(np.max(np.abs(seen.gradient * scale)[free], initial=0.0) / floor),
        smallest_curvature=smallest,
        condition_number=float(eigenvalues[-1] / smallest) if smallest > 0 else float("inf"),
        starts=len(ends),
        starts_agreeing=int(np.sum(above <= AGREEMENT * floor)),
        next_basin_gap=_gap(above[above > AGREEMENT * floor], factor=model.objective_factor),
        active_bounds=tuple(name for name, hit in zip(model.names, seen.is_on_bound, strict=True) if hit),
        chance_of_another=_share_alone(ends[np.isfinite(ends)], tolerance=AGREEMENT * floor),
    )


@dataclass(frozen=True)
class _Seen:
    """A problem at its optimum."""

    objective: float
    gradient: FloatArray
    """(P,), infinite where it has no value."""
    hessian: FloatArray
    """(P, P)"""
    is_on_bound: BoolArray
    is_held: BoolArray
    """Whether descent would lead outside of a bound."""


def _seen_at(problem: Curve, p: FloatArray, weights: FloatArray) -> _Seen:
    at = problem.forward(p[None], weights)
    gradient, hessian = (x[0] for x in problem.derivatives(at, weights[None], np.array([True])))
    gradient = np.where(np.isfinite(gradient), gradient, np.inf)
    on_lower, on_upper = p <= problem.lower, p >= problem.upper
    held = (on_lower & (gradient > 0)) | (on_upper & (gradient < 0))
    return _Seen(float(at.objective[0]), gradient, hessian, on_lower | on_upper, held)


def _meaningless(model: Model, p: FloatArray) -> BoolArray:
    """Return which parameters belong to terms of zero alone: there is nothing that they could change."""
    zero = p <= model.problem.lower
    gone = {k for row, k in zip(model.amplitude_rows, model.amplitude_terms, strict=True) if zero[row]}
    living = {name for k, term in enumerate(model.form.terms) if k not in gone for name, _ in term.powers}
    out = np.array([name not in living for name in model.names])
    out[model.amplitude_rows] = zero[model.amplitude_rows]
    return out


def _share_alone(ends: FloatArray, *, tolerance: float) -> float:
    """Return the share of objectives (starts,) that differ from every other one."""
    steps = np.diff(np.sort(ends)) > tolerance
    if not len(ends):
        return 0.0
    return float(np.mean(np.append(steps, True) & np.append(True, steps)))


def _gap(above: FloatArray, *, factor: float) -> float | None:
    nearest = float(above.min(initial=np.inf))
    return nearest * factor if np.isfinite(nearest) else None


def _scaled_eigenvalues(hessian: FloatArray) -> FloatArray:
    """Return eigenvalues of the Hessian in units that make its diagonal one, in rising order."""
    if not len(hessian):
        return np.ones(1)
    if not np.isfinite(hessian).all():  # an optimum at the edge of floating-point numbers has no curvature to show
        return np.zeros(len(hessian))
    diagonal = np.abs(np.diag(hessian))
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return np.asarray(np.linalg.eigvalsh(hessian / root[:, None] / root[None, :]), dtype=np.float64)
