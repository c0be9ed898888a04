"""Values that an API object can hold: finite numbers, sentences and lists within their bounds."""

from collections.abc import Iterable
from math import isfinite

import numpy as np

from scaling_api.v1alpha1.status import FindingStatus, Interval
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.points import FloatArray

LONGEST_SENTENCE = 1024
LONGEST_NAME = 63
FINDINGS_OF_AN_ANSWER = 8
FINDINGS_OF_A_LAW = 32


def clipped(text: str, length: int = LONGEST_SENTENCE) -> str:
    """Return the text, cut with an ellipsis where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 3] + "..."


def finite(value: float | None) -> float | None:
    """Return the number as a float, None for NaN and infinity."""
    return float(value) if value is not None and isfinite(value) else None


def interval(value: float, draws: FloatArray | None, *, level: float) -> Interval:
    """Return a positive value with the percentile limits of its draws; a limit that is not finite is left open.

    Args:
        value: the estimate.
        draws: of the same quantity, (draws,); None gives no limits.
        level: share of the draws between the limits.
    """
    if draws is None or not len(draws):
        return Interval(value=float(value))
    lower, upper = percentiles(draws, level=level)
    return Interval(value=float(value), lower=finite(lower), upper=finite(upper))


def percentiles(draws: FloatArray, *, level: float) -> tuple[float, float]:
    """Return the two limits that hold the middle `level` of the draws; infinite draws count as extremes, NaN not."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    tails = ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
    if np.isfinite(known).all():
        return float(np.quantile(known, tails[0])), float(np.quantile(known, tails[1]))
    ordered = np.sort(known)
    lower, upper = (ordered[round(tail * (len(known) - 1))] for tail in tails)  # infinities cannot be interpolated
    return float(lower), float(upper)


def caveats(law: Law) -> tuple[Finding, ...]:
    """Return what whatever is answered by a law must repeat: that its optimum is not certified."""
    if not law.has(FindingCode.NOT_CONVERGED):
        return ()
    text = f"The {law.form} law that answers is not certified, see its findings: take this number as a guess."
    return (Finding(FindingCode.NOT_CONVERGED, text),)


def finding_statuses(findings: Iterable[Finding], *, limit: int) -> tuple[FindingStatus, ...]:
    """Return at most `limit` findings, each code and sentence once, as API values."""
    unique = dict.fromkeys(findings)
    values = [FindingStatus(code=f.code.value, message=clipped(f.message)) for f in unique]
    return tuple(values[:limit])
