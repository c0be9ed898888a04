"""YAML and JSON text as trees that remember their lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from scaling_cli.errors import CommandError
from scaling_cli.scalars import Scalar, read_number, read_scalar

if TYPE_CHECKING:
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import Event

MAX_NODES = 200_000
"""Values of a document, those behind aliases counted each time."""
MAX_DEPTH = 64
_TAG = "tag:yaml.org,2002:"
_PART = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+)\]")

Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"
Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True)
class Leaf:
    """A scalar."""

    line: int
    value: Scalar
    size: int = 1


@dataclass(frozen=True)
class Items:
    """A list."""

    line: int
    nodes: "tuple[Node, ...]"
    size: int


@dataclass(frozen=True)
class Fields:
    """A mapping; `lines` says where each key stands."""

    line: int
    nodes: "dict[str, Node]"
    lines: dict[str, int]
    size: int


Node: TypeAlias = Leaf | Items | Fields


def read_documents(text: str, *, source: str) -> list[Node]:
    """Return the documents in `text`, which is YAML 1.2 or JSON; empty ones are left out.

    Raises:
        CommandError: not YAML, a key given twice, or too large; the message starts with `source` and the line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _Composer(YAML(typ="safe", pure=True).parse(text), source=source).documents()
    except YAMLError as error:
        raise CommandError(_sentence(error, source=source)) from None


def to_json(node: Node) -> Json:
    """Return `node` as plain values."""
    match node:
        case Leaf():
            return node.value
        case Items():
            return [to_json(item) for item in node.nodes]
        case Fields():
            return {key: to_json(value) for key, value in node.nodes.items()}


def line_of(node: Node, path: Path) -> int:
    """Return the line of the field at `path`; of the nearest one above it, where it is missing."""
    line = node.line
    for part in path:
        if isinstance(node, Fields) and isinstance(part, str) and part in node.nodes:
            line, node = node.lines[part], node.nodes[part]
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node.nodes):
            node = node.nodes[part]
            line = node.line
        else:
            break
    return line


def parse_path(text: str) -> Path:
    """Return the parts of a path such as `spec.sweep.model.parameters[2]`."""
    return tuple(name or int(index) for name, index in _PART.findall(text))


def _is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is None


def _sentence(error: "YAMLError", *, source: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    where = f"{source}:{mark.line + 1}" if mark else source
    if "'\\t'" in problem:
        problem = "a tab stands where YAML wants spaces; indent with spaces"
    elif "unacceptable character" in problem:
        problem = "this is not a text file"
    elif context := getattr(error, "context", None):
        problem = f"{context}, {problem}"
    return f"{where}: cannot be read as YAML: {problem}."


class _Composer:
    """Makes trees of a parser's events."""

    def __init__(self, events: "Iterator[Event]", *, source: str) -> None:
        self._events = events
        self._source = source
        self._anchors: dict[str, Node] = {}

    def documents(self) -> list[Node]:
        from ruamel.yaml.events import DocumentStartEvent

        found = []
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                self._anchors = {}
                found.append(self._node(next(self._events), depth=0))
        return [node for node in found if not _is_null(node)]

    def _node(self, event: "Event", *, depth: int) -> Node:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise self._error(line, f"values are nested more than {MAX_DEPTH} deep")
        node: Node
        match event:
            case AliasEvent():
                return self._alias(event.anchor, line=line)
            case ScalarEvent():
                node = self._leaf(event.value, event.tag, plain=event.implicit[0], line=line)
            case SequenceStartEvent():
                node = self._items(line, depth=depth)
            case MappingStartEvent():
                node = self._fields(line, depth=depth)
            case _:
                raise self._error(line, f"unexpected {type(event).__name__}")
        if node.size > MAX_NODES:
            raise self._error(line, f"the document holds more than {MAX_NODES:,} values")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, name: str, *, line: int) -> Node:
        if name not in self._anchors:
            raise self._error(line, f"the alias *{name} has no anchor &{name} before it")
        return self._anchors[name]

    def _leaf(self, text: str, tag: object, *, plain: bool, line: int) -> Leaf:
        name = None if tag is None else str(tag).removeprefix(_TAG)
        if name is None:
            return Leaf(line, read_scalar(text) if plain else text)
        if name == "str":
            return Leaf(line, text)
        if name in {"int", "float"} and (number := read_number(text)) is not None:
            return Leaf(line, number)
        raise self._error(line, f"the tag {tag} with the value {text[:40]!r} means nothing here")

    def _items(self, line: int, *, depth: int) -> Items:
        from ruamel.yaml.events import SequenceEndEvent

        nodes: list[Node] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            nodes.append(self._node(event, depth=depth + 1))
        return Items(line, tuple(nodes), 1 + sum(node.size for node in nodes))

    def _fields(self, line: int, *, depth: int) -> Fields:
        from ruamel.yaml.events import MappingEndEvent

        nodes: dict[str, Node] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            key, key_line = self._key(event)
            value = self._node(next(self._events), depth=depth + 1)
            if key == "<<":
                merged += value.nodes if isinstance(value, Items) else [value]
                continue
            if key in nodes:
                raise self._error(key_line, f"the field {key} is given twice, first on line {lines[key]}; keep one")
            nodes[key], lines[key] = value, key_line
        for extra in merged:
            self._merge(extra, nodes, lines, line=line)
        return Fields(line, nodes, lines, 1 + sum(node.size for node in nodes.values()))

    def _key(self, event: "Event") -> tuple[str, int]:
        line = event.start_mark.line + 1
        value = getattr(event, "value", None)
        if not isinstance(value, str):
            raise self._error(line, "a field's name must be text")
        return value, line

    def _merge(self, extra: Node, nodes: dict[str, Node], lines: dict[str, int], *, line: int) -> None:
        if not isinstance(extra, Fields):
            raise self._error(line, "<< takes a mapping, or a list of mappings")
        for key, node in extra.nodes.items():
            if key not in nodes:
                nodes[key], lines[key] = node, extra.lines[key]

    def _error(self, line: int, message: str) -> CommandError:
        return CommandError(f"{self._source}:{line}: {message}.")
