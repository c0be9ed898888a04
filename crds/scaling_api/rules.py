"""Rules of the API, each written once: its CEL for the API server, its check for Python, one message for both.

What JSON schema can say (bounds, patterns, required fields) is said by the fields' types. A rule is for what it
cannot say: how fields of one object depend on each other.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

Schema: TypeAlias = dict[str, Any]
Reason: TypeAlias = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]

VALIDATIONS = "x-kubernetes-validations"
BROKEN_RULES = "broken_rules"


@dataclass(frozen=True)
class Rule:
    """What must hold for an object, in the API server's language."""

    cel: str
    """True where the rule is kept; `self` is the object."""
    message: str
    """What must hold, as a clause. Python adds what was found."""
    field: str = ""
    """Path, below the object, of the field to blame."""
    reason: Reason = "FieldValueInvalid"

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Let the rule stand in `Annotated`, for what only the API server can check."""
        return with_rules(handler(schema), [self])

    @property
    def as_validation(self) -> Schema:
        """The entry of x-kubernetes-validations."""
        field_path = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.cel, "message": self.message, "reason": self.reason, **field_path}


Check = TypeVar("Check", bound=Callable[[Any], str | None])


def rule(cel: str, message: str, *, field: str = "", reason: Reason = "FieldValueInvalid") -> Callable[[Check], Check]:
    """Mark a model's method as the Python side of a rule: it returns what breaks the rule, or None."""

    def mark(check: Check) -> Check:
        check.__dict__["rule"] = Rule(cel, message, field=field, reason=reason)
        return check

    return mark


def rules_of(namespace: Mapping[str, object]) -> tuple[tuple[Rule, str], ...]:
    """Return each rule in a class's namespace with the name of its method."""
    found = ((getattr(value, "rule", None), name) for name, value in namespace.items())
    return tuple((marked, name) for marked, name in found if isinstance(marked, Rule))


def exactly_one(*fields: str) -> str:
    """Return the CEL that is true where exactly one of the fields is set."""
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].exists_one(isSet, isSet)"


def with_rules(schema: Schema, rules: Iterable[Rule]) -> Schema:
    """Return the JSON schema with the rules added to those that it has."""
    added = [rule.as_validation for rule in rules]
    return {**schema, VALIDATIONS: [*schema.get(VALIDATIONS, []), *added]} if added else schema


def broken(*found: tuple[str, str]) -> PydanticCustomError:
    """Return the error that carries several mistakes, each the path below the object and a message."""
    text = "; ".join(message for _, message in found).replace("{", "{{").replace("}", "}}")
    return PydanticCustomError(BROKEN_RULES, "{text}", {"text": text, "found": found})


@dataclass(frozen=True)
class Matches:
    """Text that matches a pattern which people are told about in words."""

    pattern: str
    """In the common subset of Python's and Go's regular expressions, from ^ to $."""
    meaning: str
    """Completes "must be ..."."""
    max_length: int
    min_length: int = 1

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Check the text after its type."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Tell the pattern and the bounds."""
        shortest = {"minLength": self.min_length} if self.min_length > 1 else {}
        return {**handler(schema), "pattern": self.pattern, "maxLength": self.max_length, **shortest}

    def check(self, text: str) -> str:
        """Return `text` where it matches.

        Raises:
            PydanticCustomError: it does not; the message says what does.
        """
        fits = self.min_length <= len(text) <= self.max_length and re.fullmatch(self.pattern, text)
        if not fits:
            raise PydanticCustomError("text", "must be {meaning}", {"meaning": self.meaning})
        return text


@dataclass(frozen=True)
class UniqueBy:
    """A list whose items differ in one field: for the API server a map, merged item by item."""

    key: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Check the list after its items."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Tell the API server the key."""
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}

    def check(self, items: tuple[object, ...]) -> tuple[object, ...]:
        """Return the items where no two have the same key.

        Raises:
            PydanticCustomError: some do; each is a mistake of its own.
        """
        keys = [getattr(item, self.key) for item in items]
        again = [(f"[{i}]", f"{self.key} must be unique, found {k} twice") for i, k in enumerate(keys) if k in keys[:i]]
        if again:
            raise broken(*again)
        return items
