"""values.schema.json: the chart's own values, and below `settings` what the operator's model says."""

import json
from typing import Any

from scaling_operator.settings import Settings

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
LABELS: Schema = {"type": "object", "additionalProperties": STRING}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
SECONDS: Schema = {"type": "integer", "minimum": 0}


def closed(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


# What pydantic calls the bounds of a number that a function looks at first.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}

MONITOR = closed(enabled=BOOLEAN, interval=STRING, labels=LABELS)
CHART = {
    "global": OBJECT,
    "image": closed(
        repository=STRING, tag=STRING, digest=STRING, pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]}
    ),
    "imagePullSecrets": OBJECTS,
    "nameOverride": STRING,
    "fullnameOverride": STRING,
    "resources": OBJECT,
    "nodeSelector": LABELS,
    "tolerations": OBJECTS,
    "affinity": OBJECT,
    "priorityClassName": STRING,
    "podLabels": LABELS,
    "podAnnotations": LABELS,
    "terminationGracePeriodSeconds": SECONDS,
    "command": {"type": "array", "items": STRING},
    "env": OBJECTS,
    "volumes": OBJECTS,
    "volumeMounts": OBJECTS,
    "podSecurityContext": OBJECT,
    "serviceAccount": closed(create=BOOLEAN, name=STRING, annotations=LABELS),
    "rbac": closed(create=BOOLEAN, userRoles=BOOLEAN),
    "metrics": closed(service=BOOLEAN, serviceMonitor=MONITOR, podMonitor=MONITOR),
}


def values_schema() -> str:
    """Return the text of values.schema.json."""
    settings = Settings.model_json_schema()
    definitions = {name: _nullable(found) for name, found in settings.pop("$defs").items()}
    properties = {**CHART, "settings": {"$ref": "#/$defs/Settings"}}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **closed(**properties),
        "$defs": {**definitions, "Settings": _nullable(settings)},
    }
    return json.dumps(_without_notes(schema), indent=1) + "\n"


def _nullable(model: Schema) -> Schema:
    """Let every field be null, which is a field left out."""
    fields = model.get("properties", {})
    nullable = {name: {"anyOf": [field, {"type": "null"}]} for name, field in fields.items()}
    return {**model, "properties": nullable} if fields else model


def _without_notes(schema: Any) -> Any:
    """Leave out what only the API server reads, titles and defaults: values.yaml holds these."""
    if isinstance(schema, list):
        return [_without_notes(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: item for name, item in schema.items() if not name.startswith("x-kubernetes")}
    is_noted = "type" in kept or "anyOf" in kept or "$ref" in kept
    notes = {"title", "default"} if is_noted else set()
    return {_BOUNDS.get(name, name): _without_notes(item) for name, item in kept.items() if name not in notes}
