"""Numbers as people read them."""

import math

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def count(number: float) -> str:
    """Return a count in three digits: `950`, `30k`, `1.25M`, `70.2B`; beyond thousands of billions as a power."""
    if not math.isfinite(number):
        return str(number)
    for unit, suffix in _SUFFIXES:
        if 0.9995 * unit <= abs(number) < 999.5e12:
            return f"{number / unit:.3g}{suffix}"
    if abs(number) >= 999.5:
        return power(number)
    return f"{number:.3g}" if 0 < abs(number) < 100 else f"{number:.0f}"


def power(number: float) -> str:
    """Return FLOPs and their like in three digits: `3.46e13`."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    mantissa, exponent = f"{number:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def significant(number: float | None, digits: int = 6) -> str:
    """Return a number in that many significant digits; a dash where there is none."""
    if number is None:
        return "–"
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    if 1e-4 <= abs(number) < 10**digits:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
        return f"{number:.{decimals}f}"
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: `45 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 0.95:
        return "under 1 s"
    whole = round(seconds)
    for large, small, unit, below in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= large:
            first, rest = divmod(whole, large)
            second = rest // small
            return f"{first} {unit} {second} {below}" if second else f"{first} {unit}"
    return f"{whole} s"


def some(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 trial`, `1,200 trials`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
