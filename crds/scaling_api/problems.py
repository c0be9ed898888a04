"""One line a mistake: the field's path, what was found, what is allowed."""

import json
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic.alias_generators import to_camel


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
    return tuple(Problem(_path(e["loc"]), _message(e["type"], e["msg"], e.get("input"))) for e in error.errors())


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{to_camel(part)}"
    return text.removeprefix(".")


def _message(kind: str, message: str, found: object) -> str:
    match kind:
        case "extra_forbidden":
            return "this field does not exist"
        case "missing":
            return "this field is required"
        case "value_error" if isinstance(found, dict | list):
            return message.removeprefix("Value error, ")
        case _:
            return f"{message.removeprefix('Value error, ')}, found {_shown(found)}"


def _shown(found: object) -> str:
    try:
        text = json.dumps(found, default=str)
    except ValueError:
        text = repr(found)
    return text if len(text) <= 80 else text[:77] + "..."
