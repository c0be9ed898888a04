"""Unquoted YAML scalars, read as kubectl reads them, so that a file means the same here and in a cluster.

kubectl turns YAML into JSON before it sends it. Three habits of that road matter here: `1_000`, `0x10` and `010`
are integers, `yes` and `off` are booleans, and a whole float below 2^63, such as `1e6`, arrives as an integer.
"""

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None

_TRUE = frozenset(word for base in ("y", "yes", "true", "on") for word in (base, base.capitalize(), base.upper()))
_FALSE = frozenset(word for base in ("n", "no", "false", "off") for word in (base, base.capitalize(), base.upper()))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_NAN = frozenset((".nan", ".NaN", ".NAN"))
_INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MAX_INT64 = 2**63 - 1
_LONGEST_NUMBER = 400
"""Characters; the longest finite double has 309 digits, and no field takes an integer of more than 19."""


def read_scalar(text: str) -> Scalar:
    """Return the value that an unquoted scalar stands for; text, where it is nothing else."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    number = read_number(text)
    return text if number is None else number


def read_number(text: str) -> int | float | None:
    """Return the number that `text` writes, whole floats below 2^63 as integers; None where it writes none."""
    if text in _NAN:
        return math.nan
    if infinity := _INFINITY.fullmatch(text):
        return -math.inf if infinity[1] == "-" else math.inf
    if not text or text[0] not in "+-.0123456789" or len(text) > _LONGEST_NUMBER:
        return None
    plain = text.replace("_", "")
    if integer := _INTEGER.fullmatch(plain):
        return _integer(*integer.groups())
    if not _FLOAT.fullmatch(plain):
        return None
    number = float(plain)
    return _as_sent(number) if math.isfinite(number) else None


def _integer(sign: str, hexadecimal: str | None, binary: str | None, octal: str | None, decimal: str | None) -> int:
    if hexadecimal is not None:
        value = int(hexadecimal, 16)
    elif binary is not None:
        value = int(binary, 2)
    elif octal is not None:
        value = int(octal, 8)
    else:
        assert decimal is not None
        value = int(decimal)
    return -value if sign == "-" else value


def _as_sent(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) <= _MAX_INT64 else number
