"""The tables of examples/, which Python and a real API server are both held to."""

import copy
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "examples"
BASE = FOLDER / "base.yaml"

# Where a literal of the table stands, by what it is read as.
LITERAL_FIELDS = {
    "count": "spec.sweep.model.parameters[0]",
    "flops": "spec.budget.trainingFlops",
    "bytes": "spec.ask.servingMemory[0]",
}


def read(source: Path | str) -> Any:
    return YAML(typ="safe", pure=True).load(source)


def rows(table: str) -> list[dict[str, Any]]:
    return read(FOLDER / f"{table}.yaml")


def changed(row: dict[str, Any]) -> dict[str, Any]:
    """Return base.yaml with the row's changes."""
    experiment = read(BASE)
    for path, value in row["set"].items():
        put(experiment, path, copy.deepcopy(value))
    return experiment


def with_literal(text: str, kind: str) -> str:
    """Return base.yaml, as text, with the literal where a count, FLOPs or bytes stand."""
    spec = {
        "count": f"sweep: {{model: {{parameters: [{text}]}}, data: {{tokens: [1M]}}}}",
        "flops": f"sweep: {{model: {{parameters: [1M]}}, data: {{tokens: [1M]}}}}\n  budget: {{trainingFlops: {text}}}",
        "bytes": f"sweep: {{model: {{parameters: [1M]}}, data: {{tokens: [1M]}}}}\n  ask: {{servingMemory: [{text}]}}",
    }[kind]
    return BASE.read_text().partition("  sweep:")[0] + f"  {spec}\n"


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        tree = tree.setdefault(name, {})
    tree[last] = value


def get(tree: Any, path: str) -> Any:
    for name, index in re.findall(r"([A-Za-z]+)|\[([0-9]+)\]", path):
        tree = tree[name] if name else tree[int(index)]
    return tree
