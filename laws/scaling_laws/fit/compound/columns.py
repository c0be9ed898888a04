"""Names in formulas for columns and levels that users name freely."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.features import numeric_column
from scaling_laws.law import Finding, FindingCode, LawRefusedError
from scaling_laws.points import FloatArray, Points

MOST_LEVELS = 16
"""Of a text column that gets coefficients of its own for each level."""


def identifiers(names: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name that a formula may use for each name: letters, digits and underscores, each once."""
    used, out = set(taken), {}
    for name in names:
        word = re.sub(r"\W", "_", name)
        word = word if re.match(r"[^\W\d]", word) else f"x{word}"
        while word in used:
            word += "_"
        used.add(word)
        out[name] = word
    return out


def with_columns(points: Points, columns: Mapping[str, FloatArray]) -> Points:
    """Return the points with further columns."""
    return replace(points, features={**points.features, **columns})


def levels_of(points: Points, name: str, *, form: str) -> tuple[tuple[str, ...], NDArray[np.str_]]:
    """Return the levels of a text column in the order of their first rows, and the column as text.

    Raises:
        LawRefusedError: there are too many.
    """
    column = np.asarray(points.features[name]).astype(np.str_)
    levels = tuple(dict.fromkeys(column.tolist()))
    if len(levels) > MOST_LEVELS:
        message = (
            f"The column {name} has {len(levels)} levels, and {form} gives each one coefficients of its own, for at "
            f"most {MOST_LEVELS}; fit fewer levels at a time, or name another column."
        )
        raise LawRefusedError(Finding(FindingCode.INVALID_REQUEST, message))
    return levels, column


def require(points: Points, form: str, *names: str) -> None:
    """Refuse points without one of the columns.

    Raises:
        ValueError: the message names the column.
    """
    for name in names:
        if name not in points.features:
            known = ", ".join(("N", "D", *points.features))
            raise ValueError(f"{form} needs the column {name}; the points have {known}.")


def positive_column(points: Points, name: str) -> FloatArray:
    """Return a column of positive numbers.

    Raises:
        ValueError: a value is not positive; the message names the first such row.
    """
    column = numeric_column(points, name)
    bad = np.flatnonzero(column <= 0)
    if len(bad):
        raise ValueError(f"{name} must be positive; row {bad[0] + 1} has {column[bad[0]]:g}.")
    return column
