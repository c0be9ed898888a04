"""What is wrong with a value, in words: what is allowed, then what was found."""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from scaling_api.rules import Schema

Location: TypeAlias = tuple[int | str, ...]
Context: TypeAlias = Mapping[str, Any]

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
    if detail["type"] == "missing":
        return "this field is required"
    return f"{_allowed(detail)}, found {shown(detail['input'])}"


def _allowed(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}"
    return _BOUNDS[kind](detail["ctx"]) if kind in _BOUNDS else detail["msg"].removeprefix("Value error, ")


def shown(found: object) -> str:
    """Return what was found as JSON, cut to one line."""
    if isinstance(found, dict):
        return "a mapping" if found else "an empty mapping"
    if isinstance(found, list | tuple):
        return f"a list of {len(found)}" if found else "an empty list"
    text = json.dumps(found, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


class FieldNames:
    """The fields that a model has, for those who write another."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._schema = model.model_json_schema()

    def hint(self, location: Location) -> str:
        """Return the nearest field to the unknown one at `location`, or the list of all, as the end of a sentence."""
        names = sorted(self._names(location[:-1]))
        if near := get_close_matches(str(location[-1]), names, n=1):
            return f"; did you mean {near[0]}?"
        return f"; the fields are {', '.join(names)}" if names else ""

    def _names(self, location: Location) -> list[str]:
        node = self._resolved(self._schema)
        for part in location:
            by_name = node.get("properties", {}).get(part)
            node = self._resolved(by_name or node.get("items") or {})
        return list(node.get("properties", {}))

    def _resolved(self, node: Schema) -> Schema:
        if "anyOf" in node:  # an optional field: the other option is null
            node = node["anyOf"][0]
        named: Schema = self._schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
        return named
