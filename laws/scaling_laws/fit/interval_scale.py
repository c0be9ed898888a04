"""The scale on which errors are nearest to symmetric, and the way from there to natural coefficients.

A constant term is taken as it is (its logarithm has no lower end); amplitudes of powers are taken as logarithms, and
exponents as they are. Amplitudes here are the natural ones, at variable 1, not those at the points' mean.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.problem import Forward
from scaling_laws.points import FloatArray

if TYPE_CHECKING:
    from scaling_laws.fit.model import Model


def constant_rows(model: "Model") -> NDArray[np.int64]:
    """Return the rows of p that are log amplitudes of terms without variables."""
    terms = model.form.terms
    pairs = zip(model.amplitude_rows, model.amplitude_terms, strict=True)
    return np.array([row for row, term in pairs if not terms[term].powers], dtype=np.int64)


def uncentred(model: "Model", p: FloatArray, *, back: bool = False) -> FloatArray:
    """Return (..., P) with log amplitudes moved from the points' mean variables to variable 1, or back.

    It is linear, so that it serves differences of parameters as well; fixed exponents add the same to every row and
    are left out.
    """
    out = p.copy()
    sign = -1.0 if back else 1.0
    for row, k in zip(model.amplitude_rows, model.amplitude_terms, strict=True):
        for exponent, variable in model.form.terms[k].powers:
            if exponent in model.names:
                out[..., row] += sign * model.centres[variable] * p[..., model.names.index(exponent)]
    return out


def to_interval_scale(model: "Model", p: FloatArray) -> FloatArray:
    """Return parameters (..., P) on the interval scale."""
    q = uncentred(model, p)
    rows = constant_rows(model)
    q[..., rows] = np.exp(p[..., rows])
    return q


def interval_jacobian(model: "Model", at: Forward) -> FloatArray:
    """Return d residual / d parameter (batch, P, n), constants as they are and amplitudes at the mean variables."""
    jacobian = model.problem.jacobian(at)
    jacobian[:, constant_rows(model)] = np.exp(-at.predicted)[:, None, :]
    return jacobian if model.problem.rho.is_log else jacobian * np.exp(at.predicted)[:, None, :]


def interval_units(model: "Model", p: FloatArray) -> FloatArray:
    """Return how far each parameter moves for a unit on the interval scale, (P,): log constants by 1/constant."""
    out = np.ones(len(p))
    rows = constant_rows(model)
    out[rows] = np.exp(-p[rows])
    return out


def from_interval_scale(model: "Model", q: FloatArray) -> FloatArray:
    """Return parameters (..., P) for values on the interval scale, inside the bounds."""
    p = uncentred(model, q, back=True)
    rows = constant_rows(model)
    p[..., rows] = np.log(np.maximum(q[..., rows], np.exp(model.problem.lower[rows])))
    return np.clip(p, model.problem.lower, model.problem.upper)


def limit_to_natural(model: "Model", q: FloatArray) -> FloatArray:
    """Return limits of the form's coefficients in natural units for limits (P,) of each parameter by itself.

    Fixed coefficients get NaN. Amplitudes end at zero, exponents at their bounds.
    """
    limits = dict.fromkeys(model.form.coefficients, np.nan)
    constants = set(constant_rows(model).tolist())
    for row, name in enumerate(model.names):
        if row in constants:
            limits[name] = max(q[row], 0.0) * np.exp(model.log_scale)
        elif row in model.amplitude_rows:
            with np.errstate(over="ignore"):
                limits[name] = np.exp(q[row] + _fixed_shift(model, name) + model.log_scale)
        else:
            limits[name] = np.clip(q[row], model.problem.lower[row], model.problem.upper[row])
    return np.array([limits[name] for name in model.form.coefficients])


def _fixed_shift(model: "Model", amplitude: str) -> float:
    fixed = dict(model.form.fixed)
    powers = next(term.powers for term in model.form.terms if term.amplitude == amplitude)
    return sum(fixed[exponent] * model.centres[variable] for exponent, variable in powers if exponent in fixed)
