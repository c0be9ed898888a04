"""From a file to a valid experiment, or one line for each mistake in it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_cli.documents import Fields, Node, line_of, parse_path, read_documents, to_json
from scaling_cli.errors import CommandError
from scaling_cli.streams import standard_input

if TYPE_CHECKING:
    from pydantic import ValidationError

    from scaling_api.problems import Problem
    from scaling_api.v1alpha1 import ScalingExperiment

MAX_BYTES = 4 * 2**20
"""Of a file of experiments. The API server takes no object above 1.5 MiB."""
KIND = "ScalingExperiment"


@dataclass(frozen=True)
class Source:
    """Where an experiment was read, to name the line of each mistake."""

    name: str
    root: Node

    def error(self, problems: "Iterable[Problem]") -> CommandError:
        """Return the mistakes as an error, a line each, in the order of the file."""
        placed = sorted((line_of(self.root, parse_path(problem.path)), str(problem)) for problem in problems)
        return CommandError("\n".join(f"{self.name}:{line}: {problem}" for line, problem in placed))


@dataclass(frozen=True)
class LoadedExperiment:
    """A valid experiment and where it was read."""

    experiment: "ScalingExperiment"
    source: Source


def load_experiment(file: str) -> LoadedExperiment:
    """Return the ScalingExperiment in `file`, YAML or JSON; `-` is standard input.

    Raises:
        CommandError: no such file, not YAML, not one experiment, or mistakes in it; a line each.
    """
    name = "standard input" if file == "-" else file
    root = _only_experiment(read_documents(_read_text(file, name=name), source=name), name=name)
    return LoadedExperiment(_validated(root, name=name), Source(name, root))


def load_fittable(file: str) -> LoadedExperiment:
    """Return the same as `load_experiment`, if its laws exist.

    Raises:
        CommandError: as there, or a law of no known form, column or expression; a line each.
    """
    loaded = load_experiment(file)
    from scaling_laws.law_requests import unfittable  # numerical libraries, which mistakes above do without

    if problems := unfittable(loaded.experiment.spec):
        raise loaded.source.error(problems)
    return loaded


def _read_text(file: str, *, name: str) -> str:
    try:
        raw = standard_input().read(MAX_BYTES + 1) if file == "-" else _read_bytes(Path(file))
    except FileNotFoundError:
        raise CommandError(f"{name}: there is no such file.") from None
    except IsADirectoryError:
        raise CommandError(f"{name}: this is a folder; name a file with a {KIND}.") from None
    except OSError as error:
        raise CommandError(f"{name}: cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_BYTES:
        raise CommandError(f"{name}: larger than {MAX_BYTES // 2**20} MiB, which no {KIND} is.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: this is not UTF-8 text (byte {error.start} cannot be read).") from None


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _only_experiment(documents: list[Node], *, name: str) -> Node:
    if not documents:
        raise CommandError(f"{name}: the file is empty; it should hold a {KIND}.")
    if len(documents) == 1:
        return documents[0]
    experiments = [d for d in documents if isinstance(d, Fields) and _text(d, "kind") == KIND]
    if len(experiments) != 1:
        lines = ", ".join(str(d.line) for d in experiments) or "none"
        raise CommandError(
            f"{name}: holds {len(documents)} documents, of which exactly one should be a {KIND}; "
            f"found {len(experiments)} (lines {lines})."
        )
    return experiments[0]


def _text(node: Fields, key: str) -> object:
    return getattr(node.nodes.get(key), "value", None)


def _validated(root: Node, *, name: str) -> "ScalingExperiment":
    from pydantic import ValidationError

    from scaling_api.v1alpha1 import ScalingExperiment

    _check_kind(root, name=name)
    try:
        return ScalingExperiment.model_validate(to_json(root))
    except ValidationError as error:
        raise Source(name, root).error(_problems(error)) from None


def _check_kind(root: Node, *, name: str) -> None:
    from scaling_api.v1alpha1.base import API_VERSION

    if not isinstance(root, Fields):
        raise CommandError(
            f"{name}:{root.line}: expected a {KIND}, a mapping with apiVersion, kind, metadata and spec."
        )
    for key, expected in (("kind", KIND), ("apiVersion", API_VERSION)):
        found = _text(root, key)
        if found is None:
            raise CommandError(f"{name}:{root.line}: {key} is missing; expected `{key}: {expected}`.")
        if found != expected:
            raise CommandError(f"{name}:{root.lines[key]}: {key} is {found}; expected {expected}.")


def _problems(error: "ValidationError") -> "tuple[Problem, ...]":
    from scaling_api.problems import path_of, problems_of

    unknown = {path_of(d["loc"]) for d in error.errors() if d["type"] == "extra_forbidden"}
    return tuple(_advised(problem) if problem.path in unknown else problem for problem in problems_of(error))


def _advised(problem: "Problem") -> "Problem":
    from scaling_cli.suggestions import advice_for

    *parents, unknown = parse_path(problem.path)
    return replace(problem, message=f"{problem.message}; {advice_for(str(unknown), parents)}")
