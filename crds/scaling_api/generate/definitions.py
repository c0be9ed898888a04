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
        _column("Done", "integer", ".status.trials.succeeded", "Trials that have a result."),
        _column("Trials", "integer", ".status.plan.trials", "Trials in all."),
        _column("Loss", "number", ".status.bestLoss", "Lowest loss so far, in nats."),
        _column("Alpha", "number", _coefficient("alpha"), "Exponent of N in the first law."),
        _column("Beta", "number", _coefficient("beta"), "Exponent of D in the first law."),
        _column("FLOPs", "number", ".status.spent.trainingFlops", "Training FLOPs spent by all attempts."),
        _column("Fitted", "string", _condition("Fitted"), "Whether the laws could be fitted."),
        _column("Complete", "string", _condition("Complete"), "Whether all is done."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
        _column("Cost", "number", ".status.spent.cost", "Money spent, where pools have a price.", wide=True),
        _column("Failed", "integer", ".status.trials.failed", "Trials given up after their retries.", wide=True),
        _column("Suspended", "string", _condition("Suspended"), "Whether it stands still.", wide=True),
        _column("Why", "string", _condition("Fitted", "reason"), "Why the laws are as they are.", wide=True),
    ]
    return _definition(
        ScalingExperiment,
        columns,
        plural="scalingexperiments",
        short=["se", "scalingexp"],
        categories=["all", "scaling"],
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
    return _definition(ScalingTrial, columns, plural="scalingtrials", short=["strial"], categories=["scaling"])


def _definition(
    model: type[BaseModel], columns: list[Manifest], *, plural: str, short: list[str], categories: list[str]
) -> Manifest:
    kind = model.__name__
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), "shortNames": short}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema(model)},
        "subresources": {"status": {}},
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


def _coefficient(name: str) -> str:
    return f'.status.laws[0].coefficients[?(@.name=="{name}")].value'


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'
