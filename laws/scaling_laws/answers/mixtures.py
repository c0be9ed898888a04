"""Mixtures that a data mixing law is asked about, checked as those that it was fitted to."""

from collections.abc import Sequence

import numpy as np

from scaling_laws.answers.attribution import Model
from scaling_laws.fit.compound.mixing import CLOSED, is_closed, share_table, words_of
from scaling_laws.points import Points


def mixture(model: Model, points: Points, names: Sequence[str]) -> dict[str, float]:
    """Return the shares by the names that the law's formula calls them.

    Where the points' shares add up to a constant, one domain may be left out: it takes the rest.

    Args:
        model: shares by domain.
        points: of the law.
        names: of all domains, in the law's order; none: the columns that begin with r_.

    Raises:
        ValueError: a share is negative or not known, or they do not add up as those of the points do.
    """
    names, table = share_table(points, tuple(names))
    if unknown := [name for name in model if name not in names]:
        raise ValueError(f"{unknown[0]} is no domain of the law; these are {', '.join(names)}.")
    given = {name: float(model[name]) for name in names if name in model}
    if negative := [name for name in given if not given[name] >= 0]:
        raise ValueError(
            f"{negative[0]} is the share of a domain and cannot be negative, as {given[negative[0]]:g} is."
        )
    missing = [name for name in names if name not in given]
    if is_closed(table):
        total = float(table.sum(axis=1).mean())
        given |= _rest(given, missing, total)
        names = names[:-1]
    elif missing:
        raise ValueError(f"The law depends on {', '.join(missing)}; name the shares of all domains.")
    words = words_of(names)
    return {words[name]: given[name] for name in names}


def _rest(given: dict[str, float], missing: Sequence[str], total: float) -> dict[str, float]:
    """Return the share of the domain that is left out."""
    found = sum(given.values())
    rest = total - found
    if len(missing) > 1:
        raise ValueError(f"Name the shares of all domains but one; {', '.join(missing)} are missing.")
    if rest < -CLOSED * total or (not missing and rest > CLOSED * total):
        raise ValueError(f"The shares add up to {found:.4g}, and those of the points to {np.round(total, 6):g}.")
    return dict.fromkeys(missing, max(rest, 0.0))
