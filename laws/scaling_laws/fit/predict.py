"""Losses that a law predicts."""

import numpy as np
from numpy.typing import ArrayLike

from scaling_laws.fit.linear import predict_linear
from scaling_laws.forms import LinearForm, LogSumExpForm, form_named
from scaling_laws.law import Law
from scaling_laws.points import FloatArray


def predict(law: Law, N: ArrayLike, D: ArrayLike) -> FloatArray:
    """Return the loss, in the shape that N and D broadcast to, at N parameters and D tokens.

    Linear laws predict at the reference level of their text columns.

    Raises:
        ValueError: the law uses a column other than N and D.
    """
    only: FloatArray = _predict(law, np.array([[c.value for c in law.coefficients]]), N, D)[0]
    return only


def predict_draws(law: Law, N: ArrayLike, D: ArrayLike) -> FloatArray:
    """Return the loss at N and D for each bootstrap draw, shape (draws, *broadcast shape).

    Raises:
        ValueError: the law has no draws, or uses a column other than N and D.
    """
    if law.draws is None:
        raise ValueError(f"This {law.form} law has no bootstrap draws; fit it with IntervalOptions(draws=1000), say.")
    return _predict(law, law.draws, N, D)


def _predict(law: Law, coefficients: FloatArray, N: ArrayLike, D: ArrayLike) -> FloatArray:
    n, d = np.broadcast_arrays(np.asarray(N, dtype=np.float64), np.asarray(D, dtype=np.float64))
    form = form_named(law.form)
    columns = {"N": n.ravel(), "D": d.ravel()}
    names = tuple(c.name for c in law.coefficients)
    if isinstance(form, LinearForm):
        flat = predict_linear(names, coefficients, columns)
    else:
        flat = _sum_of_powers(form, dict(zip(names, coefficients.T[:, :, None], strict=True)), columns)
    return flat.reshape(len(coefficients), *n.shape)


def _sum_of_powers(form: LogSumExpForm, value: dict[str, FloatArray], columns: dict[str, FloatArray]) -> FloatArray:
    """Return (draws, n); each term is one exponential, so that a large amplitude meets its small power in the log."""
    missing = [name for name in form.variables if name not in columns]
    if missing:
        raise ValueError(f"{form.name} also depends on {', '.join(missing)}; N and D alone do not give its loss.")
    with np.errstate(divide="ignore", over="ignore"):
        logs = {name: np.log(column) for name, column in columns.items()}
        terms = (
            np.exp(np.log(value[term.amplitude]) - sum(value[e] * logs[name] for e, name in term.powers))
            for term in form.terms
        )
        rows, size = next(iter(value.values())).shape[0], len(next(iter(logs.values())))
        return sum(terms, start=np.zeros((rows, size)))
