"""A model's JSON schema as a structural schema, which is all that the API server accepts."""

from typing import Any

from pydantic import BaseModel

from scaling_api.rules import VALIDATIONS, Rule, Schema, with_rules

_DROPPED = {"title", "propertyNames", "anyOf", "const", "$ref", "$defs", "ge", "gt", "le", "lt"}
# pydantic leaves the bounds of a type that has a validator of its own under their Python names.
_BOUNDS = {"minimum": ("ge", "gt", "exclusiveMinimum"), "maximum": ("le", "lt", "exclusiveMaximum")}
_ORDER = ("description", "type", "format", "enum", "default")
_FORMATS = {"integer": "int64", "number": "double"}


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of `model` without references, unions, nulls and titles."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(node: Schema, definitions: Schema) -> Schema:
    full = _inlined(node, definitions)
    plain = {key: value for key, value in full.items() if key not in _DROPPED} | _bounds(full) | _choice(full)
    plain = _with_large_bound(plain)
    if isinstance(plain.get("additionalProperties"), bool):
        del plain["additionalProperties"]
    for key in ("items", "additionalProperties"):
        if key in plain:
            plain[key] = _structural(plain[key], definitions)
    if "properties" in plain:
        plain["properties"] = {name: _structural(field, definitions) for name, field in plain["properties"].items()}
    return _ordered(_with_default(_with_format(plain)))


def _inlined(node: Schema, definitions: Schema) -> Schema:
    """Return the node with what it refers to; what stands beside the reference wins, and rules add up."""
    inner: Schema = {}
    if "$ref" in node:
        inner = definitions[node["$ref"].removeprefix("#/$defs/")]
    elif "anyOf" in node:
        (inner,) = (option for option in node["anyOf"] if option != {"type": "null"})
    if not inner:
        return node
    inner = _inlined(inner, definitions)
    rules = [*inner.get(VALIDATIONS, []), *node.get(VALIDATIONS, [])]
    return {**inner, **node, **({VALIDATIONS: rules} if rules else {})}


def _bounds(node: Schema) -> Schema:
    """Return exclusive bounds in the boolean form; where both are given, the exclusive one is the tighter."""
    bounds: Schema = {}
    for end, (inclusive, python_exclusive, exclusive) in _BOUNDS.items():
        if inclusive in node:
            bounds[end] = node[inclusive]
        for name in {python_exclusive, exclusive} & node.keys():
            bounds |= {end: node[name], exclusive: True}
    return bounds


def _with_large_bound(node: Schema) -> Schema:
    """Return the node with a bound beyond 64 bits as a rule: as a bound it would overflow for whole numbers."""
    if not node.get("maximum", 0) >= 2**63:
        return node
    bound = node.pop("maximum")
    return with_rules(node, [Rule(f"self <= {float(bound)!r}", f"must be at most {bound:g}")])


def _choice(node: Schema) -> Schema:
    return {"enum": [node["const"]]} if "const" in node else {}


def _with_format(node: Schema) -> Schema:
    kind = node.get("type")
    if kind == "array":
        return {"x-kubernetes-list-type": "atomic", **node}
    return {"format": _FORMATS[kind], **node} if kind in _FORMATS else node


def _with_default(node: Schema) -> Schema:
    default = node.pop("default", None)
    if default is None:
        return node
    return {
        **node,
        "default": {} if isinstance(default, dict) else _without_nulls(default),
    }  # {}: inner defaults fill it


def _without_nulls(value: Any) -> Any:
    """Return the default of a list with its items whole, as the API server checks its rules on them as they are."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _ordered(node: Schema) -> Schema:
    first = [key for key in _ORDER if key in node]
    return {key: node[key] for key in (*first, *(key for key in node if key not in first))}
