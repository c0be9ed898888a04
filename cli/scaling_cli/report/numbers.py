"""Numbers as people read them: 10.2k parameters, 1.7e12 FLOPs, 0.42 ± 0.05."""

from collections.abc import Sequence
from math import floor, isfinite, log10

MISSING = "–"
_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "kappa": "κ", "lambda": "λ", "eta": "η"}
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def count(value: float | None) -> str:
    """Return a count with three significant digits and a decimal suffix, such as 10.2k."""
    if value is None or not isfinite(value):
        return MISSING
    if abs(value) >= 1e15:
        return flops(value)
    # 999,950 is 1M, not 1000k: the suffix belongs to the number as it is written.
    rounded = float(f"{value:.3g}")
    for scale, suffix in _DECIMAL:
        if abs(rounded) >= scale:
            return f"{significant(rounded / scale, 3)}{suffix}"
    return significant(rounded, 3)


def flops(value: float | None) -> str:
    """Return FLOPs in scientific notation without clutter, such as 1.7e12."""
    if value is None or not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def size(n_bytes: float | None) -> str:
    """Return bytes with three significant digits and a binary suffix, such as 45.2 KiB."""
    if n_bytes is None or not isfinite(n_bytes):
        return MISSING
    for scale, suffix in _BINARY:
        if abs(n_bytes) >= scale:
            return f"{significant(n_bytes / scale, 3)} {suffix}"
    return f"{n_bytes:.0f} B"


def duration(seconds: float | None) -> str:
    """Return a time in its two largest units, such as 2 min 50 s."""
    if seconds is None or not isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m} min"
    return f"{m} min {s} s" if m else f"{s} s"


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number with that many significant digits, trailing zeros left out."""
    if value is None or not isfinite(value):
        return MISSING
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{float(value):.0f}" if 0 <= int(exponent) < 6 else f"{mantissa}e{int(exponent)}"


def nats(value: float | None, *, signed: bool = False) -> str:
    """Return a loss with four decimals."""
    if value is None or not isfinite(value):
        return MISSING
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def estimate(value: float | None, uncertainty: float | None) -> str:
    """Return a value with the decimals that its uncertainty supports: two digits of the uncertainty."""
    if value is None or not isfinite(value):
        return MISSING
    decimals = _decimals(uncertainty)
    if decimals is None or abs(value) >= 1e7:
        return significant(value)
    return f"{value:.{decimals}f}"


def uncertain(value: float | None, standard_error: float | None) -> str:
    """Return `value ± standard error`, both with the decimals that the error supports."""
    if value is None or standard_error is None or not isfinite(standard_error):
        return estimate(value, None)
    return f"{estimate(value, standard_error)} ± {estimate(standard_error, standard_error)}"


def interval(lower: float | None, upper: float | None) -> str:
    """Return `[lower, upper]` with decimals fitting the interval's width; a missing limit is left open."""
    if lower is None and upper is None:
        return MISSING
    width = (upper - lower) / 4 if lower is not None and upper is not None else None
    return f"[{estimate(lower, width)}, {estimate(upper, width)}]"


def count_interval(lower: float | None, upper: float | None) -> str:
    """Return `[lower, upper]` of counts, such as [52k, 110k]."""
    return MISSING if lower is None and upper is None else f"[{count(lower)}, {count(upper)}]"


def span(values: Sequence[float]) -> str:
    """Return the range of counts, such as 10.2k–115k, or the one value."""
    if not values:
        return MISSING
    low, high = count(min(values)), count(max(values))
    return low if low == high else f"{low}–{high}"


def plural(number: int, noun: str) -> str:
    """Return a count with its noun in singular or plural, such as 32 points."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def symbol(name: str) -> str:
    """Return a coefficient's name as formulas write it."""
    return _GREEK.get(name, name)


def _decimals(uncertainty: float | None) -> int | None:
    if uncertainty is None or not isfinite(uncertainty) or uncertainty <= 0:
        return None
    return min(12, max(0, 1 - floor(log10(uncertainty))))
