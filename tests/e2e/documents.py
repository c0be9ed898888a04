"""The experiments of the suite: variations of small.yaml."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments import Experiment
from ruamel.yaml import YAML

Document = dict[str, Any]
Run = Callable[[Document], Experiment]


def small(
    name: str = "small",
    *,
    parameters: Sequence[str] | None = None,
    tokens: Sequence[str] | None = None,
    compression: Sequence[Document] | None = None,
    **spec: Any,
) -> Document:
    """Return small.yaml, with changes of the sweep and further fields of the spec."""
    document: Document = YAML(typ="safe", pure=True).load(Path(__file__).with_name("small.yaml"))
    document["metadata"]["name"] = name
    sweep = document["spec"]["sweep"]
    sweep["model"]["parameters"] = parameters or sweep["model"]["parameters"]
    sweep["data"]["tokens"] = tokens or sweep["data"]["tokens"]
    sweep["compression"] = compression or sweep["compression"]
    document["spec"].update(spec)
    return document


def lasting(name: str = "lasting", **spec: Any) -> Document:
    """Return an experiment that trains for about a minute on two cores: time to kill something in the middle."""
    return small(name, tokens=["0.75M", "1.5M", "3M"], **spec)


def written(document: Document, folder: Path) -> Path:
    """Write an experiment where `scaling run` reads it."""
    path = folder / "experiment.yaml"
    path.write_text(json.dumps(document))
    return path
