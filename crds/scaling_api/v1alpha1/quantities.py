"""Counts, FLOPs and bytes as people write them: `30k`, `1.5M`, `1e17`, `64Mi`.

A count is an integer or a string with a decimal suffix, so that it survives every YAML reader: some read
`1e6` as a number, others as text, and both mean a million here. FLOPs and cost are plain numbers, which may
exceed any integer that JSON carries exactly.
"""

import re
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

MAX_COUNT = 2**63 - 1
MAX_EXACT_FLOAT = 2**53 - 1  # a float beyond this may already have lost its last digits
COUNT_PATTERN = r"^[0-9][0-9_]*(\.[0-9]+)?([eE]\+?[0-9]{1,2})?[kMGBT]?$"
BYTES_PATTERN = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$"
_SUFFIX = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def parse_count(value: object) -> int:
    """Return the whole number that `value` writes, such as 30000 for `30k`.

    Raises:
        ValueError: not a count; the message says what is allowed.
    """
    return _whole(value, COUNT_PATTERN, allowed="a whole number, or one with a suffix such as 30k, 1.5M, 2G")


def parse_bytes(value: object) -> int:
    """Return the number of bytes that `value` writes, such as 67108864 for `64Mi`.

    Raises:
        ValueError: not a number of bytes; the message says what is allowed.
    """
    return _whole(value, BYTES_PATTERN, allowed="a whole number of bytes, or one with a suffix such as 64Mi, 1.5Gi")


def _whole(value: object, pattern: str, *, allowed: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected {allowed}")
    if isinstance(value, float):
        if not (value.is_integer() and 0 <= value <= MAX_EXACT_FLOAT):
            raise ValueError(f"expected {allowed}")
        return int(value)
    number = value if isinstance(value, int) else _from_text(value, pattern, allowed=allowed)
    if not 0 <= number <= MAX_COUNT:
        raise ValueError(f"expected {allowed}, at most 2^63-1")
    return number


def _from_text(text: str, pattern: str, *, allowed: str) -> int:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"expected {allowed}")
    mantissa = re.match(r"[0-9_.]+([eE]\+?[0-9]+)?", text)
    assert mantissa is not None
    exact = Decimal(mantissa[0].replace("_", "")) * _SUFFIX[text[mantissa.end() :]]
    if exact != exact.to_integral_value():
        raise ValueError(f"{text} is not a whole number; expected {allowed}")
    return int(exact)


def _strict_number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("expected a number such as 1e17, without quotes or suffix")
    return value


def _int_or_string(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": pattern, "maxLength": 32})


Count: TypeAlias = Annotated[int, BeforeValidator(parse_count), Field(ge=1), _int_or_string(COUNT_PATTERN)]
Bytes: TypeAlias = Annotated[int, BeforeValidator(parse_bytes), Field(ge=1), _int_or_string(BYTES_PATTERN)]
Flops: TypeAlias = Annotated[float, BeforeValidator(_strict_number), Field(gt=0, le=1e40)]
Money: TypeAlias = Annotated[float, BeforeValidator(_strict_number), Field(ge=0, le=1e15)]
