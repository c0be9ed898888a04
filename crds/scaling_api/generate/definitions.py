"""Both kinds as CustomResourceDefinitions."""

from typing import Any, TypeAlias

from pydantic import BaseModel

from scaling_api.generate.structural import structural_schema
from scaling_api.rules import Schema
from scaling_api.v1alpha1 import ScalingExperiment, ScalingTrial
from scaling_api.v1alpha1.base import GROUP, VERSION

Manifest: TypeAlias = dict[str, Any]

_ROOT_FIELDS = {
    "apiVersion": {"description": f"{GROUP}/{VERSION}.", "type": "string"},
    "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
}


def experiment_definition() -> Manifest:
    """Return the CustomResourceDefinition of ScalingExperiment."""
    columns = [
        _column("Trials", "string", ".status.summary.trials", "Finished trials of all."),
        _column("Loss", "string", ".status.summary.loss", "Lowest loss so far, in nats."),
        _column("Law", "string", ".status.summary.law", "Exponents of the first law, with confidence limits."),
        _column("Spent", "string", ".status.summary.spent", "Training FLOPs, accelerator-hours and cost so far."),
        _column("Fitted", "string", _condition("Fitted"), "Whether the laws could be fitted."),
        _column("Complete", "string", _condition("Complete"), "Whether all is done."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
        _column("Cluster", "string", _condition("ClusterReady", "reason"), "Where its cluster stands.", wide=True),
        _column("Failed", "integer", ".status.trials.failed", "Trials given up after their retries.", wide=True),
        _column("Suspended", "string", _condition("Suspended"), "Whether it stands still.", wide=True),
        _column("Why", "string", _condition("Complete", "reason"), "What it is at, or how it ended.", wide=True),
    ]
    return _definition(
        ScalingExperiment,
        columns,
        plural="scalingexperiments",
        short=["se", "scalingexp"],
        categories=["all", "scaling"],
        has_status=True,
    )


def trial_definition() -> Manifest:
    """Return the CustomResourceDefinition of ScalingTrial."""
    columns = [
        _column("Kind", "string", ".spec.kind", "What the trial does."),
        _column("N", "integer", ".spec.parameters.matmul", "Parameters of blocks and head."),
        _column("D", "integer", ".spec.tokens", "Training tokens."),
        _column("Pipeline", "string", ".spec.pipeline.name", "Compression."),
        _column("Loss", "number", ".status.metrics.loss", "Held-out loss in nats."),
        _column("State", "string", ".status.state", "Where it stands."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
        _column("Treatment", "string", ".spec.treatment.name", "Data quality.", wide=True),
        _column("Seed", "integer", ".spec.seed", "Of initial weights and data order.", wide=True),
        _column("Attempts", "integer", ".status.attempts", "Attempts so far.", wide=True),
    ]
    # One write a change of state: a status subresource would take two, and the operator alone writes either part.
    return _definition(
        ScalingTrial, columns, plural="scalingtrials", short=["strial"], categories=["scaling"], has_status=False
    )


def _definition(
    model: type[BaseModel],
    columns: list[Manifest],
    *,
    plural: str,
    short: list[str],
    categories: list[str],
    has_status: bool,
) -> Manifest:
    kind = model.__name__
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), "shortNames": short}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema(model)},
        **({"subresources": {"status": {}}} if has_status else {}),
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {**names, "categories": categories},
            "versions": [version],
        },
    }


def _root_schema(model: type[BaseModel]) -> Schema:
    """Return the schema with the fields that every kind has as the API server wants them: without bounds."""
    schema = structural_schema(model)
    kind = {"kind": {"description": f"{model.__name__}.", "type": "string"}}
    return {**schema, "required": ["spec"], "properties": {**schema["properties"], **_ROOT_FIELDS, **kind}}


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> Manifest:
    priority = {"priority": 1} if wide else {}
    return {"name": name, "type": kind, "jsonPath": path, "description": description, **priority}


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'
