import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_examples import FOLDER, changed, read, rows
from hypothesis import given
from hypothesis import strategies as st

from scaling_api.generate.__main__ import COMMAND, generated_files, main, stale_files
from scaling_api.generate.block_yaml import to_yaml
from scaling_api.generate.definitions import experiment_definition, trial_definition
from scaling_api.v1alpha1 import ScalingExperiment

REPOSITORY = Path(__file__).parents[3]
STRUCTURAL = {
    "description", "type", "format", "enum", "default", "properties", "required", "items", "additionalProperties",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "minItems",
    "maxItems", "maxProperties", "nullable", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-validations", "x-kubernetes-int-or-string",
}  # fmt: skip
NAMED_LISTS = {
    "spec.sweep.data.treatments", "spec.sweep.compression", "spec.laws", "spec.execution.pools", "spec.execution.env",
    "status.conditions", "status.laws", "status.laws[].coefficients",
}  # fmt: skip


def root(definition: dict[str, Any]) -> dict[str, Any]:
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema that says what a value may be, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}".strip("."))
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], path + mark)


DEFINITIONS = {"experiment": experiment_definition(), "trial": trial_definition()}
NODES = [(kind, path, node) for kind, crd in DEFINITIONS.items() for path, node in nodes(root(crd))]
BOUNDED = [(kind, path, node) for kind, path, node in NODES if path.partition(".")[0] in {"spec", "status"}]


def test_the_files_are_up_to_date():
    assert stale_files(REPOSITORY) == [], f"run `{COMMAND}` and commit the result"


def test_check_names_what_is_stale_and_the_command_that_writes_it(tmp_path, capsys):
    for path, text in generated_files().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert main(["--check", "--repository", str(tmp_path)]) == 0
    (tmp_path / "docs/api.md").write_text("old")
    assert main(["--check", "--repository", str(tmp_path)]) == 1
    assert (tmp_path / "docs/api.md").read_text() == "old"
    assert capsys.readouterr().err == f"Out of date: docs/api.md. Run `{COMMAND}` and commit the result.\n"
    assert main(["--repository", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "docs/api.md\n"
    assert stale_files(tmp_path) == []


@pytest.mark.parametrize("name", ["scalingexperiments", "scalingtrials"])
def test_a_yaml_reader_finds_in_the_file_what_was_written(name):
    written = experiment_definition() if name == "scalingexperiments" else trial_definition()
    assert read(REPOSITORY / "crds" / f"{name}.yaml") == written


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


@given(JSON)
def test_yaml_reads_back_as_it_was_written(value):
    assert json.dumps(read(to_yaml(value))) == json.dumps(value)


@pytest.mark.parametrize(
    "word", ["yes", "No", "on", "null", "~", "1e3", "0x10", "2026-11-30", "- a", "a: b", "a #b", ""]
)
def test_text_that_a_reader_could_take_for_something_else_is_quoted(word):
    assert to_yaml({"key": word}) == f"key: {json.dumps(word)}\n"


def test_floats_have_a_point_for_readers_of_yaml_1_1():
    assert to_yaml([1e40, 1e-7, 2.5]) == "- 1.0e+40\n- 1.0e-07\n- 2.5\n"


@pytest.mark.parametrize(("kind", "path", "node"), NODES, ids=[f"{kind}:{path}" for kind, path, _ in NODES])
def test_every_node_is_structural(kind, path, node):
    assert node.keys() <= STRUCTURAL
    assert "type" in node or node["x-kubernetes-int-or-string"]
    is_described = node.get("description") or path.endswith(("[]", "{}")) or path.startswith("metadata")
    assert is_described, "every field has a description; of metadata the API server takes none"


@pytest.mark.parametrize(("kind", "path", "node"), BOUNDED, ids=[f"{kind}:{path}" for kind, path, _ in BOUNDED])
def test_every_list_map_and_text_is_bounded(kind, path, node):
    match node.get("type"):
        case "array":
            is_named = kind == "experiment" and path in NAMED_LISTS
            assert node["maxItems"] > 0
            assert is_named == (node["x-kubernetes-list-type"] == "map") or kind == "trial"
        case "string":
            assert {"maxLength", "enum"} & node.keys() or node["format"] == "date-time"
        case "object":
            assert "properties" in node or node["maxProperties"] > 0
        case "integer" | "number":
            assert node["format"] in {"int64", "double"}


def test_rules_blame_fields_that_exist():
    paths = {path for kind, path, _ in NODES if kind == "experiment"} | {"metadata.name"}
    for kind, path, node in NODES:
        for rule in node.get("x-kubernetes-validations", []):
            if kind == "experiment":
                assert f"{path}{rule.get('fieldPath', '')}".strip(".") in paths


def test_every_rule_has_an_example_that_breaks_it():
    said = [row["says"] for row in rows("refused")]
    messages = {
        rule["message"]
        for kind, _, node in NODES
        if kind == "experiment"
        for rule in node.get("x-kubernetes-validations", [])
        if "oldSelf" not in rule["rule"]
    }
    assert len(messages) >= 25
    assert [message for message in messages if not any(message.startswith(words) for words in said)] == []


def filled(value: Any, schema: dict[str, Any]) -> Any:
    """Return the value with defaults, as the API server fills them in."""
    if isinstance(value, list):
        return [filled(item, schema["items"]) for item in value]
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    given_ = {name: item for name, item in value.items() if item is not None}
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    return {name: filled(item, fields.get(name, {})) for name, item in (defaults | given_).items()}


def without_empty(value: Any) -> Any:
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    items = {name: without_empty(item) for name, item in value.items() if item is not None}
    return {name: item for name, item in items.items() if item != {}}


def test_defaults_are_the_same_in_python_and_in_the_api_server():
    schema = root(experiment_definition())["properties"]["spec"]
    found = changed({"set": {"spec.execution.pools": [{"name": "a", "accelerator": {}}]}})
    found["spec"]["sweep"]["model"]["parameters"] = found["spec"]["sweep"]["data"]["tokens"] = [1]
    from_python = ScalingExperiment.model_validate(found).spec.model_dump(mode="json")
    assert without_empty(filled(found["spec"], schema)) == without_empty(from_python)


def test_task_and_training_are_immutable():
    fields = root(experiment_definition())["properties"]["spec"]["properties"]
    immutable = [
        name
        for name, field in fields.items()
        if any(rule["rule"] == "self == oldSelf" for rule in field.get("x-kubernetes-validations", []))
    ]
    assert immutable == ["task", "training"]
    assert "default" in fields["training"], "else leaving it out would be a way round"


def test_both_kinds_have_names_and_columns_and_an_experiment_a_status_of_its_own():
    for definition, plural, short, subresources in (
        (experiment_definition(), "scalingexperiments", ["se", "scalingexp"], {"status": {}}),
        (trial_definition(), "scalingtrials", ["strial"], None),
    ):
        spec, version = definition["spec"], definition["spec"]["versions"][0]
        assert definition["metadata"]["name"] == f"{plural}.scalinglaws.dev"
        assert (spec["scope"], spec["names"]["shortNames"]) == ("Namespaced", short)
        assert version.get("subresources") == subresources
        assert version["additionalPrinterColumns"]


def test_the_reference_has_every_field():
    page = generated_files()["docs/api.md"]
    for _, path, _ in BOUNDED:
        assert f"`{path.replace('[]', '').replace('{}', '').rpartition('.')[2]}`" in page or "." not in path
    assert (FOLDER / "design.yaml").is_file()
