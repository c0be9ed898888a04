"""One line a mistake: the field's path, what was found, what is allowed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scaling_api import rules
from scaling_api.messages import FieldNames, Location, message_of


@dataclass(frozen=True)
class Problem:
    """One mistake in an object that a user gave."""

    path: str
    """Of the field, such as spec.sweep.seeds."""
    message: str
    """What was found and what is allowed."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidExperimentError(ValueError):
    """What a user gave cannot be an experiment; `problems` lists every mistake."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def problems_of(error: ValidationError, model: type[BaseModel] | None = None) -> tuple[Problem, ...]:
    """Return one Problem for each mistake in `error`, in the order of the fields.

    With the `model` that refused the object, an unknown field's message names the fields that there are.
    """
    details = error.errors(include_url=False)
    locations = [detail["loc"] for detail in details]
    fields = FieldNames(model) if model else None
    return tuple(
        problem
        for detail in details
        if not _follows_from_another(detail, locations)
        for problem in _problems(detail, fields)
    )


def _follows_from_another(detail: ErrorDetails, locations: Sequence[Location]) -> bool:
    """A list is also too short once its bad items are left out: that is no mistake of its own."""
    here = detail["loc"]
    return detail["type"] == "too_short" and any(len(loc) > len(here) and loc[: len(here)] == here for loc in locations)


def _problems(detail: ErrorDetails, fields: FieldNames | None) -> Iterator[Problem]:
    path = path_of(detail["loc"])
    match detail["type"]:
        case rules.BROKEN_RULES:
            for field, message in detail["ctx"]["found"]:
                yield Problem(_joined(path, field), message)
        case "extra_forbidden":
            yield Problem(path, "this field does not exist" + (fields.hint(detail["loc"]) if fields else ""))
        case _:
            yield Problem(path, message_of(detail))


def path_of(location: Location) -> str:
    """Return the location as the API server writes it, such as spec.sweep.data.tokens[0]."""
    path = ""
    for part in location:
        if part != "[key]":  # pydantic's mark for a mapping's key rather than its value
            path = _joined(path, part if isinstance(part, str) and part.isidentifier() else f"[{part}]")
    return path


def _joined(path: str, field: str) -> str:
    return path + field if field.startswith("[") else f"{path}.{field}".strip(".")
