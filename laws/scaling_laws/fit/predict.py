"""Losses that a law predicts."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from scaling_laws.expressions import parse_equation
from scaling_laws.expressions.evaluate import make_tape
from scaling_laws.fit.linear import predict_linear
from scaling_laws.forms import FORMS, LinearForm, LogSumExpForm
from scaling_laws.law import Law
from scaling_laws.points import FloatArray

NO_COLUMNS: Mapping[str, ArrayLike] = MappingProxyType({})


def predict(law: Law, N: ArrayLike, D: ArrayLike, *, features: Mapping[str, ArrayLike] = NO_COLUMNS) -> FloatArray:
    """Return the loss, in the shape that all arguments broadcast to, at N parameters and D tokens.

    Linear laws predict at the reference level of their text columns. C is 6ND unless it is among the features.

    Raises:
        ValueError: the law uses a column that is neither N nor D nor among the features.
    """
    only: FloatArray = _predict(law, np.array([[c.value for c in law.coefficients]]), N, D, features)[0]
    return only


def predict_draws(
    law: Law, N: ArrayLike, D: ArrayLike, *, features: Mapping[str, ArrayLike] = NO_COLUMNS
) -> FloatArray:
    """Return the loss at N and D for each bootstrap draw, shape (draws, *broadcast shape).

    Raises:
        ValueError: the law has no draws, or uses a column that is neither N nor D nor among the features.
    """
    if law.draws is None:
        raise ValueError(f"This {law.form} law has no bootstrap draws; fit it with IntervalOptions(draws=1000), say.")
    return _predict(law, law.draws, N, D, features)


def _predict(
    law: Law, coefficients: FloatArray, N: ArrayLike, D: ArrayLike, features: Mapping[str, ArrayLike]
) -> FloatArray:
    given = {"N": N, "D": D, **features}
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in given.values()))
    columns = {name: x.ravel() for name, x in zip(given, arrays, strict=True)}
    names = tuple(c.name for c in law.coefficients)
    form = FORMS.get(law.form)
    if isinstance(form, LinearForm):
        flat = predict_linear(names, coefficients, columns)
    elif isinstance(form, LogSumExpForm):
        flat = _sum_of_powers(form, dict(zip(names, coefficients.T[:, :, None], strict=True)), columns)
    else:
        flat = _expression(law, dict(zip(names, coefficients.T[:, :, None], strict=True)), columns)
    return flat.reshape(len(coefficients), *arrays[0].shape)


def _expression(law: Law, value: dict[str, FloatArray], columns: dict[str, FloatArray]) -> FloatArray:
    """Return (draws, n): a law's formula says all that a prediction needs."""
    equation = parse_equation(law.formula)
    variables = {name: x for name, x in columns.items() if name not in value}
    if "C" not in {*value, *columns}:
        variables["C"] = 6.0 * columns["N"] * columns["D"]
    missing = [name for name in equation.names if name not in value and name not in variables]
    if missing:
        raise ValueError(f"{law.formula!r} also depends on {', '.join(missing)}; give it among the features.")
    (out,) = make_tape(equation.graph, [equation.root], variables).run(value)
    return np.broadcast_to(out, (next(iter(value.values())).shape[0], len(columns["N"])))


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
