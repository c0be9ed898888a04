"""How to run the experiment again: the commands, and the experiment without anything secret."""

import re
from io import StringIO
from typing import Any

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_cli.report.view import ReportView

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")  # user:password@ of a URI
_SIGNATURE = re.compile(r"\?.*$")  # signed URLs carry their key in the query


def commands(view: ReportView) -> list[tuple[str, str]]:
    """Return what to do and how, one step each."""
    steps = [
        ("Save the experiment below as experiment.yaml and run it.", f"scaling run experiment.yaml --out {view.name}")
    ]
    if view.law is not None:
        fit = f"scaling fit {view.name} --form {view.law.form}"
        steps.append(("Fit the law again from the recorded trials alone.", fit))
    return [*steps, ("Write this report again.", f"scaling report {view.name}")]


def experiment_yaml(experiment: ScalingExperiment) -> str:
    """Return the experiment as YAML: what was set, without values of environment variables or URIs' credentials."""
    from ruamel.yaml import YAML

    document = experiment.model_dump(mode="json", exclude_unset=True, exclude={"status"})
    head = {
        "apiVersion": experiment.api_version,
        "kind": experiment.kind,
        "metadata": {"name": experiment.metadata.name},
    }
    yaml, stream = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.dump(head | {"spec": _without_secrets(document["spec"])}, stream)
    return stream.getvalue()


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        hidden = {"value": "(hidden)"} if key == "env" and "value" in value else {}
        return {k: _without_secrets(v, k) for k, v in value.items()} | hidden
    if isinstance(value, list):
        return [_without_secrets(item, key) for item in value]
    if isinstance(value, str) and key == "uri":
        return _SIGNATURE.sub("", _CREDENTIALS.sub("", value))
    return value
