"""docs/api.md: both kinds, field by field, from the same schemas as the CRDs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from scaling_api.rules import VALIDATIONS, Schema

Manifest: TypeAlias = dict[str, Any]

OR = r"\|"  # a bar that does not end a table's cell

_INTRODUCTION = """\
# The API

<!-- Written by `python -m scaling_api.generate` from the models in crds/scaling_api: change those. -->

Group `scalinglaws.dev`, version `v1alpha1`. `kubectl explain scalingexperiment.spec` shows the same text.

* **Numbers.** A *count* is a whole number or text with a decimal suffix: `30000`, `30k`, `1.5M`, `2G` (or `2B`), `1T`,
  `1e17`, `1_000`. *Bytes* also take `Ki`, `Mi`, `Gi`, `Ti`. FLOPs and money are plain numbers, such as `1e17` or
  `100000000000000000`. All mean the same through `scaling`, `kubectl` and any client that reads YAML 1.2; a YAML 1.1
  reader takes `1e17` for text, which is fine for a count: for FLOPs write `1.0e+17`.
* **Strict.** Unknown fields are refused, text is no number, and a field set to null is a field left out (but
  `kubectl apply --server-side` takes null only for fields that have a default, and for `ttlSecondsAfterFinished`).
* **Lists.** A list "by name" may not have two items of one name; server-side apply merges it item by item.
* **Required** fields are marked with \\*. Every other field may be left out.
"""


def reference_page(*definitions: Manifest) -> str:
    """Return the page, in Markdown."""
    return "\n".join([_INTRODUCTION, *(line for definition in definitions for line in _kind(definition))]) + "\n"


def _kind(definition: Manifest) -> Iterator[str]:
    names, version = definition["spec"]["names"], definition["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    short = ", ".join(f"`{name}`" for name in names["shortNames"])
    yield f"## {names['kind']}\n\n{schema['description']} Short names: {short}.\n"
    columns = (
        f"{column['name']} ({column['description'].rstrip('.')})" for column in version["additionalPrinterColumns"]
    )
    yield f"Columns of `kubectl get -o wide`: {', '.join(columns)}.\n"
    yield from _rules(schema)
    for part in ("spec", "status"):
        yield from _object(part, schema["properties"][part])


def _object(path: str, schema: Schema) -> Iterator[str]:
    yield f"### {path}\n\n{schema['description']}\n"
    if fields := schema.get("properties", {}):
        yield "| Field | Type | Default | Meaning |\n| --- | --- | --- | --- |"
        required = schema.get("required", [])
        yield from (_row(name, field, is_required=name in required) for name, field in fields.items())
        yield ""
    yield from _rules(schema)
    for name, field in fields.items():
        inner = field.get("items", field)
        if inner.get("properties"):
            yield from _object(f"{path}.{name}{'[]' if 'items' in field else ''}", inner)


def _row(name: str, field: Schema, *, is_required: bool) -> str:
    default = f"`{_inline(field['default'])}`" if field.get("default") not in (None, {}, []) else ""
    mark = r" \*" if is_required else ""
    cells = (f"`{name}`{mark}", _type(field), default, field["description"])
    return f"| {' | '.join(cell.replace('|', OR) for cell in cells)} |"


def _inline(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{key}: {_inline(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case _:
            return str(value)


def _type(field: Schema) -> str:
    if "enum" in field:
        return " | ".join(f"`{word}`" for word in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return _quantity(field)
    kind: str = field["type"]
    return _TYPES[kind](field) if kind in _TYPES else kind


def _list(field: Schema) -> str:
    by = f" by {field['x-kubernetes-list-map-keys'][0]}" if "x-kubernetes-list-map-keys" in field else ""
    low = f"{field['minItems']} to" if "minItems" in field else "at most"
    return f"list{by} of {low} {field['maxItems']}: {_type(field['items'])}"


def _object_or_map(field: Schema) -> str:
    if "additionalProperties" not in field:
        return "object"
    return f"map of at most {field['maxProperties']}: {_type(field['additionalProperties'])}"


def _text(field: Schema) -> str:
    return "time" if field.get("format") == "date-time" else f"text, at most {field['maxLength']}"


def _quantity(field: Schema) -> str:
    if field["minimum"] == 0:
        return "quantity"
    return "bytes" if "Ki" in field["pattern"] else "count"


def _interval(field: Schema) -> str:
    low = f"{'above' if field.get('exclusiveMinimum') else 'from'} {field['minimum']:g}" if "minimum" in field else ""
    high = f"{'below' if field.get('exclusiveMaximum') else 'to'} {field['maximum']:g}" if "maximum" in field else ""
    return " ".join(filter(None, (field["type"], low, high)))


_TYPES: Mapping[str, Callable[[Schema], str]] = {
    "array": _list,
    "object": _object_or_map,
    "integer": _interval,
    "number": _interval,
    "string": _text,
}


def _rules(schema: Schema) -> Iterator[str]:
    sentences = [f"* {_sentence(rule)}" for rule in schema.get(VALIDATIONS, [])]
    if sentences:
        yield "\n".join(["Rules:", "", *sentences, ""])


def _sentence(rule: Schema) -> str:
    where = rule.get("fieldPath", "").removeprefix(".")
    clause = f"`{where}`: {rule['message']}" if where else rule["message"]
    return clause[0].upper() + clause[1:] + "."
