"""What every object of the API shares: strict, frozen models with camelCase names, and rules."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

from scaling_api.rules import Matches, Rule, Schema, broken, rules_of, with_rules

GROUP = "scalinglaws.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class ApiModel(BaseModel):
    """A piece of the API: it accepts what the API server accepts, and never changes after validation.

    So text is no number, 1 is not true, unknown fields are refused, a field set to null is a field left out,
    and what is read from outside has camelCase names. Python code constructs with its own snake_case names.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        strict=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )

    api_rules: ClassVar[tuple[tuple[Rule, str], ...]] = ()
    """Each rule with the name of the method that checks it."""

    @classmethod
    def model_validate(
        cls, obj: object, *, by_alias: bool | None = None, by_name: bool | None = None, **options: Any
    ) -> Self:
        """Validate what was read from outside: by the API's names alone, unless asked otherwise."""
        return super().model_validate(obj, by_alias=by_alias, by_name=bool(by_name), **options)

    @classmethod
    def model_validate_json(
        cls,
        json_data: str | bytes | bytearray,
        *,
        by_alias: bool | None = None,
        by_name: bool | None = None,
        **options: Any,
    ) -> Self:
        """Validate JSON: by the API's names alone, unless asked otherwise."""
        return super().model_validate_json(json_data, by_alias=by_alias, by_name=bool(by_name), **options)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Collect the rules of the class."""
        cls.api_rules = (*cls.api_rules, *rules_of(vars(cls)))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Tell the API server the rules."""
        reference = handler(schema)
        model = handler.resolve_ref_schema(reference)
        model.update(with_rules(model, [rule for rule, _ in cls.api_rules]))
        return reference

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, found: object) -> object:
        if not isinstance(found, dict):
            return found
        nulls = {name for name, value in found.items() if value is None and cls._has(name)}
        return {name: value for name, value in found.items() if name not in nulls} if nulls else found

    @model_validator(mode="after")
    def _keeps_its_rules(self) -> Self:
        checked = ((rule, getattr(self, check)()) for rule, check in self.api_rules)
        if mistakes := [(rule.field, f"{rule.message}, found {found}") for rule, found in checked if found is not None]:
            raise broken(*mistakes)
        return self

    @classmethod
    def _has(cls, name: object) -> bool:
        return name in cls.model_fields or any(field.alias == name for field in cls.model_fields.values())

    def given(self, *names: str) -> str:
        """Return which of the fields are set, as text, such as `uri, claimName` or `none`."""
        return ", ".join(to_camel(name) for name in names if getattr(self, name) is not None) or "none"


class Choice(StrEnum):
    """One of a fixed set of words."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Accept a member's text for the member, which strict models would refuse."""
        return {**handler(source), "strict": False}


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise PydanticCustomError("int_type", "expected a whole number")
    return value


def _no_number(value: object) -> object:
    if isinstance(value, int | float):
        raise PydanticCustomError("datetime_type", "expected a date and time")
    return value


def _without_nulls(found: object) -> object:
    return {key: value for key, value in found.items() if value is not None} if isinstance(found, dict) else found


T = TypeVar("T")
Int: TypeAlias = Annotated[int, Strict(False), BeforeValidator(_number)]
"""A whole number; 1e3 is one, as it is after kubectl has made JSON of it."""
Time: TypeAlias = Annotated[datetime, Strict(False), BeforeValidator(_no_number)]
"""A date and time, in ISO 8601."""
NullIsAbsent = BeforeValidator(_without_nulls)
"""Of a map: an item set to null is left out, as it is by the API server."""
Many: TypeAlias = Annotated[tuple[T, ...], Strict(False)]
"""A list."""

NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_MEANING = "lower-case letters, digits and dashes, starting with a letter, not ending with a dash, at most {} long"

NAME_LENGTH = 42  # leaves room for what is appended in the names of RayJobs (47) and trials (63)

# A name that can become part of a Kubernetes object's name or label.
ShortName: TypeAlias = Annotated[str, Matches(NAME_PATTERN, NAME_MEANING.format(NAME_LENGTH), NAME_LENGTH)]
PoolName: TypeAlias = Annotated[str, Matches(NAME_PATTERN, NAME_MEANING.format(20), 20)]
ObjectName: TypeAlias = Annotated[
    str,
    Matches(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "the name of a Kubernetes object: lower-case letters, digits, dashes and dots, at most 253 long",
        253,
    ),
]
TrialId: TypeAlias = Annotated[str, Matches(r"^[0-9a-f]{16}$", "16 hexadecimal digits", 16)]
Sha256: TypeAlias = Annotated[str, Matches(r"^[0-9a-f]{64}$", "64 hexadecimal digits, lower case", 64)]
Uri: TypeAlias = Annotated[str, Field(min_length=1, max_length=2048)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
