"""One line a mistake: the field's path, what was found, what is allowed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from scaling_api.messages import message_of
from scaling_api.rules import BROKEN_RULES

Location: TypeAlias = tuple[int | str, ...]


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


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Return one Problem for each mistake in `error`, in the order of the fields."""
    details = error.errors(include_url=False)
    locations = [detail["loc"] for detail in details]
    own = (detail for detail in details if not _follows_from_another(detail, locations))
    return tuple(problem for detail in own for problem in _problems(detail))


def _follows_from_another(detail: ErrorDetails, locations: Sequence[Location]) -> bool:
    """A list is also too short once its bad items are left out: that is no mistake of its own."""
    here = detail["loc"]
    return detail["type"] == "too_short" and any(loc[: len(here)] == here and loc != here for loc in locations)


def _problems(detail: ErrorDetails) -> Iterator[Problem]:
    path = path_of(detail["loc"])
    if detail["type"] != BROKEN_RULES:
        yield Problem(path, message_of(detail))
        return
    for field, message in detail["ctx"]["found"]:
        yield Problem(_joined(path, field), message)


def path_of(location: Location) -> str:
    """Return the location as the API server writes it, such as spec.sweep.data.tokens[0]."""
    path = ""
    for part in location:
        if part != "[key]":  # pydantic's mark for a mapping's key rather than its value
            path = _joined(path, part if isinstance(part, str) and part.isidentifier() else f"[{part}]")
    return path


def _joined(path: str, field: str) -> str:
    return path + field if field.startswith("[") else f"{path}.{field}".strip(".")
