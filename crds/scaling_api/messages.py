"""What is wrong with a value, in words: what is allowed, then what was found."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic_core import ErrorDetails

Context: TypeAlias = Mapping[str, Any]

_ABOUT_FIELDS: Mapping[str, str] = {
    "missing": "this field is required",
    "extra_forbidden": "this field does not exist",
}
_EXPECTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "invalid_key": "text as the name of a field",
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "datetime_type": "a date and time such as 2026-11-30T12:00:00Z",
    "datetime_parsing": "a date and time such as 2026-11-30T12:00:00Z",
    "datetime_from_date_parsing": "a date and time such as 2026-11-30T12:00:00Z",
}


def _length(bound: str, limit: int, noun: str) -> str:
    return f"must have {bound} {limit} {noun}{'' if limit == 1 else 's'}"


def _number(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


_BOUNDS: Mapping[str, Callable[[Context], str]] = {
    "greater_than": lambda context: f"must be above {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {_number(context['ge'])}",
    "less_than": lambda context: f"must be below {context['lt']:g}",
    "less_than_equal": lambda context: f"must be at most {_number(context['le'])}",
    "too_short": lambda context: _length("at least", context["min_length"], "item"),
    "too_long": lambda context: _length("at most", context["max_length"], "item"),
    "string_too_short": lambda context: _length("at least", context["min_length"], "character"),
    "string_too_long": lambda context: _length("at most", context["max_length"], "character"),
    "enum": lambda context: f"must be {context['expected']}",
    "literal_error": lambda context: f"must be {context['expected']}",
}


def message_of(detail: ErrorDetails) -> str:
    """Return what is allowed and what was found, as a clause."""
    if detail["type"] in _ABOUT_FIELDS:
        return _ABOUT_FIELDS[detail["type"]]
    return f"{_allowed(detail)}, found {shown(detail['input'])}"


def _allowed(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}"
    return _BOUNDS[kind](detail["ctx"]) if kind in _BOUNDS else detail["msg"].removeprefix("Value error, ")


def ended(sentence: str) -> str:
    """Return the sentence with a full stop, unless it ends already."""
    return sentence if sentence.endswith((".", "?", "!", "…")) else f"{sentence}."


def shown(found: object) -> str:
    """Return what was found as JSON, cut to one line."""
    if isinstance(found, dict):
        return "a mapping" if found else "an empty mapping"
    if isinstance(found, list | tuple):
        return f"a list of {len(found)}" if found else "an empty list"
    text = json.dumps(found, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
