"""Counts, FLOPs and bytes as people write them: `30k`, `1.5M`, `1e17`, `64Mi`.

A count is a whole number or text with a decimal suffix, so that it survives every YAML reader: some read
`1e6` as a number, others as text, and both mean a million here. FLOPs and cost are plain numbers, which may
exceed any integer that JSON carries exactly.
"""

import re
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from scaling_api.rules import VALIDATIONS, Rule, Schema

MAX_COUNT = 10**18
"""Far above any model or corpus, and far enough below 2^63 for every reader of JSON."""
COUNT_PATTERN = r"^[0-9][0-9_]*(\.[0-9]+)?([eE]\+?[0-9]{1,2}|[kMGBT])?$"
BYTES_PATTERN = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$"
QUANTITY_PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"
MAX_LENGTH = 32
_SUFFIX = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
A_COUNT = "a whole number from 1 to 10^18, or one with a suffix such as 30k, 1.5M, 2G"
BYTES = "a whole number of bytes from 1 to 10^18, or one with a suffix such as 64Mi, 1.5Gi"
A_NUMBER = "a number such as 1e17, without quotes or suffix"
A_QUANTITY = "a quantity such as 4, 500m or 320Gi"


def parse_count(value: object) -> int:
    """Return the whole number that `value` writes, such as 30000 for `30k`.

    Raises:
        ValueError: not a count; the message says what is allowed.
    """
    return _whole(value, COUNT_PATTERN, allowed=A_COUNT)


def parse_bytes(value: object) -> int:
    """Return the number of bytes that `value` writes, such as 67108864 for `64Mi`.

    Raises:
        ValueError: not a number of bytes; the message says what is allowed.
    """
    return _whole(value, BYTES_PATTERN, allowed=BYTES)


def _whole(value: object, pattern: str, *, allowed: str) -> int:
    number = _exact(value, pattern)
    if number is None or number != number.to_integral_value() or not 1 <= number <= MAX_COUNT:
        raise _expected(allowed)
    return int(number)


def _exact(value: object, pattern: str) -> Decimal | None:
    """Return what `value` writes, without rounding; None where it writes no finite number."""
    if isinstance(value, str):
        return _from_text(value) if len(value) <= MAX_LENGTH and re.fullmatch(pattern, value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _from_text(text: str) -> Decimal:
    mantissa = re.match(r"[0-9_.]+([eE]\+?[0-9]+)?", text)
    assert mantissa is not None
    return Decimal(mantissa[0].replace("_", "")) * _SUFFIX[text[mantissa.end() :]]


def _strict_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _expected(A_NUMBER)
    return value


def _kube_quantity(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
    is_text = isinstance(value, str) and len(value) <= MAX_LENGTH and re.fullmatch(QUANTITY_PATTERN, value)
    if not (is_number or is_text):
        raise _expected(A_QUANTITY)
    return value


def _expected(allowed: str) -> PydanticCustomError:
    return PydanticCustomError("quantity", "expected {allowed}", {"allowed": allowed})


def _int_or_string(pattern: str, *rules: Rule, minimum: int) -> WithJsonSchema:
    bounds: Schema = {"pattern": pattern, "maxLength": MAX_LENGTH, "minimum": minimum, "maximum": MAX_COUNT}
    validations: Schema = {VALIDATIONS: [rule.as_validation for rule in rules]} if rules else {}
    return WithJsonSchema({"x-kubernetes-int-or-string": True, **bounds, **validations})


def _whole_text(quantity: str, allowed: str) -> Rule:
    """Return the rule that a number written as text is whole and within the bounds.

    `quantity` is the CEL of the text in the notation of Kubernetes' quantities, which hold decimal suffixes exactly.
    A fraction with a binary suffix, such as 1.5Gi, counts as whole where it is as a double.
    """
    bounds = f"quantity({quantity}).isGreaterThan(quantity('0')) && !quantity({quantity}).isGreaterThan(quantity('1E'))"
    double = f"quantity({quantity}).asApproximateFloat()"
    whole = f"(quantity({quantity}).isInteger() || {double} == double(int({double})))"
    return Rule(f"type(self) != string || ({bounds} && {whole})", f"expected {allowed}")


Count: TypeAlias = Annotated[
    int,
    BeforeValidator(parse_count),
    _int_or_string(COUNT_PATTERN, _whole_text("self.replace('_', '').replace('B', 'G')", A_COUNT), minimum=1),
]
Bytes: TypeAlias = Annotated[
    int, BeforeValidator(parse_bytes), _int_or_string(BYTES_PATTERN, _whole_text("self", BYTES), minimum=1)
]
Flops: TypeAlias = Annotated[float, BeforeValidator(_strict_number), Field(gt=0, le=1e40)]
Money: TypeAlias = Annotated[float, BeforeValidator(_strict_number), Field(ge=0, le=1e15)]
KubeQuantity: TypeAlias = Annotated[
    str | int, BeforeValidator(_kube_quantity), _int_or_string(QUANTITY_PATTERN, minimum=0)
]
