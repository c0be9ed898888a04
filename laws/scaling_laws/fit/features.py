"""Columns of a linear law by name: N, D, C or a feature of the points, their logs, and dummies of text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.law import Finding, FindingCode, LawRefusedError
from scaling_laws.points import FloatArray, Points

LOG = re.compile(r"log\((.+)\)")
REFERENCE = "dense"
"""The level that others are compared with where it exists; else the first in the alphabet."""
CONSTANT = "const"
LARGEST_INTEGER = 2.0**63
WRAPPED = 1e-6
"""Relative difference up to which C and 6ND differ by whole turns of 64-bit integers."""


@dataclass(frozen=True)
class Features:
    """The design matrix of a linear law."""

    names: tuple[str, ...]
    """Of the columns: const, features, and feature=level for text."""
    matrix: FloatArray
    """(n, columns)"""


def build_features(points: Points, requested: Sequence[str], defaults: Sequence[str]) -> Features:
    """Return the columns asked for, or the defaults that the points have, behind a constant.

    Raises:
        ValueError: a feature does not exist, is asked for twice, or does not hold usable numbers.
        LawRefusedError: a feature has one value only.
    """
    repeated = sorted({name for name in requested if list(requested).count(name) > 1})
    if repeated:
        raise ValueError(f"Feature {repeated[0]} is named more than once.")
    names, columns = [CONSTANT], [np.ones(len(points))]
    for name in requested or _present(points, defaults):
        for label, column in _columns_of(points, name):
            names.append(label)
            columns.append(column)
    return Features(tuple(names), np.column_stack(columns))


def column_names(points: Points) -> tuple[str, ...]:
    """Return the columns that features may use."""
    return tuple(dict.fromkeys(("N", "D", "C", *points.features)))


def numeric_column(points: Points, name: str) -> FloatArray:
    """Return N, D, C, loss or a feature of numbers.

    Raises:
        ValueError: there is no such column, or it does not hold finite numbers.
    """
    values = np.asarray(points.loss) if name == "loss" else _base_column(points, name)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"Column {name} does not hold numbers but text such as {str(values[0])!r}.")
    return _finite(name, values.astype(np.float64), positive=False)


def derived_column(name: str, columns: dict[str, FloatArray]) -> FloatArray | None:
    """Return a column made of N and D alone, such as D, C or log(N); None when it needs another."""
    logged = LOG.fullmatch(name)
    base = logged.group(1) if logged else name
    values = 6.0 * columns["N"] * columns["D"] if base == "C" else columns.get(base)
    return values if values is None or not logged else np.log(values)


def _present(points: Points, defaults: Sequence[str]) -> list[str]:
    """Return the defaults that exist and vary; a table of one pipeline needs no column for it."""
    kept = []
    for name in defaults:
        column = points.features.get(name)
        if name not in points.features and LOG.fullmatch(name) is None:
            continue
        if column is None or len(np.unique(column)) > 1:
            kept.append(name)
    return kept


def _columns_of(points: Points, name: str) -> list[tuple[str, FloatArray]]:
    logged = LOG.fullmatch(name)
    base = logged.group(1) if logged else name
    values = _base_column(points, base)
    if len(np.unique(values)) < 2:
        message = (
            f"Feature {name} has the same value ({values[0]}) in all {len(points)} points, so that its coefficient "
            "cannot be told from the constant; leave it out or add points with another value."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))
    if values.dtype.kind not in "fiub":
        if logged:
            raise ValueError(f"Feature {name} takes the logarithm of text such as {values[0]!r}; use {base} itself.")
        return _dummies(base, values)
    numbers = _finite(name, values.astype(np.float64), positive=logged is not None)
    return [(name, np.log(numbers) if logged else numbers)]


def _base_column(points: Points, base: str) -> NDArray[np.generic]:
    if base in points.features:
        values = np.asarray(points.features[base])
        if base == "C":
            refuse_wrapped(values, points)
        return values
    if base in {"N", "D"}:
        return np.asarray(getattr(points, base), dtype=np.float64)
    if base == "C":
        return 6.0 * np.asarray(points.N, dtype=np.float64) * np.asarray(points.D, dtype=np.float64)
    raise ValueError(f"There is no feature named {base!r}; the points have {', '.join(column_names(points))}.")


def refuse_wrapped(C: NDArray[np.generic], points: Points) -> None:
    """Refuse a column of compute that 64-bit integers have wrapped around.

    Raises:
        LawRefusedError: Overflow.
    """
    exact = 6.0 * np.asarray(points.N, dtype=np.float64) * np.asarray(points.D, dtype=np.float64)
    if C.dtype.kind not in "fiu" or not np.any(exact > LARGEST_INTEGER):
        return
    values = C.astype(np.float64)
    turns = np.round((exact - values) / (2 * LARGEST_INTEGER))
    wrapped = (turns > 0) & (np.abs(values + turns * 2 * LARGEST_INTEGER - exact) <= WRAPPED * exact)
    if wrapped.any():
        row = int(np.argmax(wrapped))
        message = (
            f"C overflowed 64-bit integers in {int(wrapped.sum())} of {len(values)} rows: row {row + 1} has "
            f"{values[row]:.6g} where 6ND is {exact[row]:.6g}. Work C out in floating-point numbers, or leave the "
            "column out, and C is 6ND."
        )
        raise LawRefusedError(Finding(FindingCode.OVERFLOW, message))


def _finite(name: str, values: FloatArray, *, positive: bool) -> FloatArray:
    bad = np.flatnonzero(~np.isfinite(values) | (positive & ~(values > 0)))
    if len(bad):
        wanted = "positive and finite" if positive else "finite"
        raise ValueError(f"Feature {name} needs {wanted} values; row {bad[0] + 1} has {values[bad[0]]}.")
    return values


def _dummies(base: str, values: NDArray[np.generic]) -> list[tuple[str, FloatArray]]:
    """Return a column of zeros and ones for each level but the reference."""
    text = values.astype(str)
    levels = [str(level) for level in np.unique(text)]
    reference = REFERENCE if REFERENCE in levels else levels[0]
    return [(f"{base}={level}", (text == level).astype(np.float64)) for level in levels if level != reference]
