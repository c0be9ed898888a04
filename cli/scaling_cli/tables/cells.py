"""Numbers as tables write them: counts with suffixes and grouped digits, and why a text is none."""

import re

_SCALES = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_SUFFIXED = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s?([kmbgt])", re.IGNORECASE)
# One group alone may as well be a decimal comma: 1,234 is 1.234 where commas are decimal.
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3}){2,}|\d{1,3}(?:[ \u00a0\u202f]\d{3})+|\d{1,3}(?:'\d{3})+")
_SEPARATORS = re.compile(r"[, '\u00a0\u202f]")
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_SHOWN = 40


def as_count(cell: object) -> float | None:
    """Return the count that a text such as 70M, 1.5 B or 10,000,000 writes; None where it writes none."""
    text = cell.strip() if isinstance(cell, str) else ""
    if match := _SUFFIXED.fullmatch(text):
        return float(match[1]) * _SCALES[match[2].lower()]
    return float(_SEPARATORS.sub("", text)) if _GROUPED.fullmatch(text) else None


def why_no_number(cell: object) -> str:
    """Return what keeps a cell from being a number, to stand behind the name of its row."""
    text = str(cell).strip()
    shown = f"has {text[:_SHOWN]!r}, which is not a number"
    if _COMMA.fullmatch(text):
        return f"{shown}: a comma alone may stand for decimals or for thousands; write a point, or nothing"
    if text.endswith("%"):
        return f"{shown}: write a percentage as a share or without its sign"
    return shown
