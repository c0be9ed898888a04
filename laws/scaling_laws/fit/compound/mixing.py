"""From shares of training domains to a data mixing law."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scaling_laws.fit.compound.columns import identifiers, require, with_columns
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.expression.fit import fit_expression
from scaling_laws.fit.features import numeric_column
from scaling_laws.forms.expression import Coefficient, ExpressionForm
from scaling_laws.forms.mixing import MIXING
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

CLOSED = 1e-3
"""Relative spread of the sums of shares up to which they are taken to add up to a constant."""
FLOORS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98)
"""Shares of the least loss at which the floor c is put to find starts: the rest is then a line in the logarithm."""


def fit_mixing(points: Points, request: CompoundRequest) -> Law:
    """Return the law of the loss over the shares of the domains.

    Raises:
        LawRefusedError: fewer than two domains have shares that vary.
        ValueError: a share is negative or no number.
    """
    names, shares = share_table(points, request.features)
    add_up = is_closed(shares)
    free = names[:-1] if add_up else names
    words = words_of(free)
    t = {name: f"t_{words[name].removeprefix(request.form.prefix)}" for name in free}
    exponent = " + ".join(f"{t[name]}*{words[name]}" for name in free)
    table = with_columns(points, {words[name]: shares[:, i] for i, name in enumerate(free)})
    form = ExpressionForm(
        name=request.form.name,
        formula=f"L = c + k*exp({exponent})",
        variables=tuple(words.values()),
        declared=(
            Coefficient("c", lower=0.0),
            Coefficient("k", is_positive=True),
            *(Coefficient(t[name], start=(-4.0, 4.0)) for name in free),
        ),
        fixed=request.fixed,
        starts=_starts(shares[:, : len(free)], points.loss, tuple(t[name] for name in free)),
    )
    law = fit_expression(table, form, objective=request.objective, intervals=request.intervals)
    return replace(law, findings=(*law.findings, *([_reference(names[-1])] if add_up else [])))


def share_table(points: Points, features: tuple[str, ...] = ()) -> tuple[tuple[str, ...], FloatArray]:
    """Return the domains and their shares, (points, domains): those named, or the columns that begin with r_.

    Raises:
        LawRefusedError: fewer than two domains have shares that vary.
        ValueError: a share is negative or no number.
    """
    names = features or tuple(name for name in points.features if name.startswith(MIXING.prefix))
    return names, _shares(points, names)


def is_closed(shares: FloatArray) -> bool:
    """Whether the shares of every mixture add up to the same."""
    totals = shares.sum(axis=1)
    return bool(np.ptp(totals) <= CLOSED * totals.max())


def words_of(names: Sequence[str]) -> dict[str, str]:
    """Return the names of domains as the law's formula writes them."""
    return identifiers(names, taken=("c", "k", "N", "D", "C", "loss", "L"))


def _shares(points: Points, names: tuple[str, ...]) -> FloatArray:
    require(points, "Mixing", *names)
    columns = [numeric_column(points, name) for name in names]
    for name, column in zip(names, columns, strict=True):
        if np.any(column < 0):
            row = int(np.argmax(column < 0))
            raise ValueError(
                f"{name} is the share of a domain and cannot be negative; row {row + 1} has {column[row]}."
            )
    if len(names) < 2 or sum(np.ptp(column) > 0 for column in columns) < 2:
        message = (
            f"Mixing needs the shares of at least two domains that vary, and there are {len(names)}: name the columns "
            "as features, or let their names begin with r_."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))
    return np.column_stack(columns)


def _starts(shares: FloatArray, loss: FloatArray, names: tuple[str, ...]) -> tuple[dict[str, float], ...]:
    """Return a start for each of several floors: what is above it is a line in its logarithm."""
    design = np.column_stack([np.ones(len(loss)), shares])
    starts = []
    for floor in FLOORS:
        c = floor * float(loss.min())
        k, *t = np.linalg.lstsq(design, np.log(loss - c))[0].tolist()
        starts.append({"c": c, "k": float(np.exp(np.clip(k, -50, 50))), **dict(zip(names, t, strict=True))})
    return tuple(starts)


def _reference(name: str) -> Finding:
    message = (
        f"The shares add up to one, so that each t is compared with that of {name}, which is 0 by convention: a "
        f"negative t means that a token of its domain lowers this loss more than one of {name}."
    )
    return Finding(FindingCode.CHOSEN, message)
