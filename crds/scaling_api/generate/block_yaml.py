"""YAML in block style, the same bytes for the same value, read alike by YAML 1.1 and 1.2."""

import json
import re
from collections.abc import Iterator
from typing import Any

# Text that no reader takes for anything but text, and that no indicator of YAML starts or ends.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ,;./()'’=-]*[A-Za-z0-9_.)]|[A-Za-z_]")
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


def to_yaml(value: Any) -> str:
    """Return `value`, made of dicts, lists and scalars, as one YAML document.

    Raises:
        TypeError: a value is of another kind.
    """
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _after(f"{_scalar(key)}:", item, indent="  " if isinstance(item, dict) else "")
    elif isinstance(value, list) and value:
        for item in value:
            yield from _item(item)
    else:
        yield _scalar(value)


def _after(key: str, item: Any, *, indent: str) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        yield key
        yield from (indent + line for line in _lines(item))
    else:
        yield f"{key} {_scalar(item)}"


def _item(item: Any) -> Iterator[str]:
    first, *rest = _lines(item)
    yield f"- {first}"
    yield from (f"  {line}" for line in rest)


def _scalar(value: Any) -> str:
    match value:
        case str():
            is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
            return value if is_plain else json.dumps(value, ensure_ascii=False)
        case bool() | int() | None:
            return json.dumps(value)
        case float():
            return _float(value)
        case {} | []:
            return json.dumps(value)
        case _:
            raise TypeError(f"cannot write {value!r}")


def _float(value: float) -> str:
    """Return the shortest text; YAML 1.1 takes an exponent for text where the mantissa has no point."""
    text = repr(value)
    return text if "e" not in text or "." in text else text.replace("e", ".0e")
