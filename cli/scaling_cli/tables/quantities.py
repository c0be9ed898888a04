"""Bits and shares as teams write them: `int4`, `bf16`, `W4A16`, `50%`, `2:4`, and columns whose header says percent."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scaling_cli.errors import CommandError
from scaling_cli.tables.where import as_number
from scaling_laws.points import FloatArray

_BITS_BY_WORD: Mapping[str, float] = {
    "half": 16, "single": 32, "float": 32, "double": 64, "ternary": 1.58, "binary": 1,
    "none": 16, "dense": 16, "unquantized": 16,
}  # fmt: skip
"""Weights that nobody quantized count as 16 bits: forms tell them from others by 16 and more."""
_BITS_BY_TYPE = re.compile(r"(?:^|[^a-z0-9])(?:u?int|i|nf|(?:mx|nv)?fp|bf|b?float|tf|f|w|q)[-_ ]?(\d{1,2})(?!\d)")
_BITS_BY_UNIT = re.compile(r"(\d{1,2}(?:\.\d+)?)[-_ ]?bits?\b")
_BITS_OF_PARTS = re.compile(r"e(\d)m(\d)")
_PERCENTAGE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s?%")
_OF_GROUPS = re.compile(r"(\d{1,2}):(\d{1,2})")
_SHARES_BY_WORD = {"none": 0.0, "dense": 0.0}
_SAYS_PERCENT = re.compile(r"%|percent|(?:^|[^a-z])pct(?:$|[^a-z])", re.IGNORECASE)
_EXAMPLES = 4


def as_bits(text: str) -> float | None:
    """Return the bits of a weight that a type's name says, such as 4 for `nf4`; None where it says none."""
    word = text.strip().lower()
    if word in _BITS_BY_WORD:
        return _BITS_BY_WORD[word]
    if match := _BITS_BY_TYPE.search(word) or _BITS_BY_UNIT.search(word):
        return float(match[1]) if float(match[1]) > 0 else None
    match = _BITS_OF_PARTS.fullmatch(word)
    return 1.0 + float(match[1]) + float(match[2]) if match else None  # a sign, the exponent, the mantissa


def as_share(text: str) -> float | None:
    """Return the share that a percentage or a pattern such as 2:4 (2 of 4 weights stay) says; None where none."""
    word = text.strip().lower()
    if match := _PERCENTAGE.fullmatch(word):
        return float(match[1]) / 100
    if (match := _OF_GROUPS.fullmatch(word)) and 0 < int(match[1]) <= int(match[2]):
        return 1.0 - int(match[1]) / int(match[2])
    return _SHARES_BY_WORD.get(word)


_READERS: Mapping[str, Callable[[str], float | None]] = {"P": as_bits, "S": as_share, "accuracy": as_share}
SHARES = frozenset(("S", "accuracy"))


def as_quantity(feature: str, text: str) -> float | None:
    """Return the number that a text says of a feature such as P or S; None where it says none."""
    return _READERS[feature](text) if feature in _READERS else None


def read_quantity(feature: str, cells: Sequence[object], column: str) -> tuple[FloatArray, str] | None:
    """Return the numbers of a column of bits or shares, and a sentence where they are not what is written there.

    Args:
        feature: what the form calls it, such as P.
        cells: those of the rows in use.
        column: its header.

    Returns:
        None where the feature is of another kind, or where cells say no such quantity.
    """
    if feature not in _READERS:
        return None
    numbers = [_read(feature, cell) for cell in cells]
    if any(number is None for number in numbers):
        return None
    values = np.array(numbers, dtype=np.float64)
    texts = {str(cell).strip(): value for cell, value in zip(cells, values.tolist(), strict=True) if _is_text(cell)}
    if texts:
        shown = ", ".join(f"{text} is {value:g}" for text, value in list(texts.items())[:_EXAMPLES])
        return values, f"{feature} is read from the text of {column!r}: {shown}."
    return _as_shares(feature, values, column) if feature in SHARES else (values, "")


def _read(feature: str, cell: object) -> float | None:
    number = as_number(cell)
    return _READERS[feature](str(cell)) if number is None else number


def _is_text(cell: object) -> bool:
    return as_number(cell) is None


def _as_shares(feature: str, values: FloatArray, column: str) -> tuple[FloatArray, str]:
    """Return shares; what lies beyond one and is called percent, or can be nothing else, is divided by 100.

    Raises:
        CommandError: the values are neither shares nor percentages.
    """
    largest = float(values.max())
    is_share = ((values > 0) & (values < 1)).any() and not _SAYS_PERCENT.search(column)
    if 1 < largest <= 100 and not is_share:
        return values / 100, f"{feature} is {column!r}/100, which is in percent."
    if largest > 1 or float(values.min()) < 0:
        raise CommandError(
            f"The column {column!r} is {feature}, a share from 0 to 1, and has values from {values.min():g} to "
            f"{largest:g}. Write shares or percentages, or say which column is meant: --columns {feature}=…"
        )
    return values, ""
