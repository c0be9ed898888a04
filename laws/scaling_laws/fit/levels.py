"""Which coefficients too few values of a variable leave open, whatever the losses are."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.interval_values import Intervals
from scaling_laws.fit.model import variable
from scaling_laws.forms.base import LogSumExpForm
from scaling_laws.points import FloatArray, Points

FEWEST_LEVELS = 3
"""Values of a variable that a constant, an amplitude and an exponent need: two give two equations for the three."""


def levels(points: Points, name: str) -> int:
    """Return how many distinct values a variable takes at points that count."""
    column = variable(points, name)
    counted = column if points.weights is None else column[np.asarray(points.weights) > 0]
    return len(np.unique(np.log(counted).round(9)))


def undetermined(form: LogSumExpForm, points: Points, names: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the coefficients of which quite other values fit as well, in the form's order.

    The constant and a variable's own term, with nothing held, are three unknowns to the two sums that two values of the
    variable show. Exponents shared with another term are left to that one.

    Args:
        form: that was fitted.
        points: it was fitted on.
        names: of the variables that are looked at, by default all of the form.
    """
    held = {name for name, _ in form.fixed}
    constants = [term.amplitude for term in form.terms if not term.powers and term.amplitude not in held]
    exponents = [exponent for term in form.terms for exponent, _ in term.powers]
    found: set[str] = set()
    for term in form.terms:
        own = [term.amplitude, *(exponent for exponent, _ in term.powers)]
        is_alone = len(term.powers) == 1 and exponents.count(term.powers[0][0]) == 1
        if not (is_alone and constants) or held & set(own) or term.powers[0][1] not in (names or form.variables):
            continue
        if levels(points, term.powers[0][1]) < FEWEST_LEVELS:
            found.update(own, constants)
    return tuple(name for name in form.coefficients if name in found)


def without_undetermined(made: Intervals, form: LogSumExpForm, points: Points) -> Intervals:
    """Return the intervals without those of coefficients that the points leave open.

    Refits stay where the optimum happened to end along the flat direction, so that their spread says nothing about
    these coefficients, nor about a prediction at other values of the variable: the draws are left out as well.
    """
    names = undetermined(form, points)
    if not names:
        return made
    is_open = np.isin(np.array(form.coefficients), names)
    return replace(
        made,
        standard_errors=_blanked(made.standard_errors, is_open),
        lower=_blanked(made.lower, is_open),
        upper=_blanked(made.upper, is_open),
        draws=None,
        details={key: {name: x for name, x in of.items() if name not in names} for key, of in made.details.items()},
    )


def _blanked(column: FloatArray | None, is_open: NDArray[np.bool_]) -> FloatArray | None:
    return None if column is None else np.where(is_open, np.nan, column)
