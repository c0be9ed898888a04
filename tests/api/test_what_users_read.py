"""What kubectl tells a user: documentation of each field, and every mistake of an object at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[2]
WRONG = """
apiVersion: scalinglaws.dev/v1alpha1
kind: ScalingExperiment
metadata: {name: wrong}
spec:
  task: {language: {corpus: {python: {}}, contextLength: 64}}
  sweep:
    model: {parameters: [10k, 1.5Q]}
    data: {tokens: [-1]}
  budget: {trainingFlops: lots}
"""


def objects(kind: str) -> Iterator[str]:
    """Yield the paths of the objects in a kind's schema, as kubectl explain takes them."""
    crd = YAML(typ="safe").load(REPOSITORY / f"crds/{kind}s.yaml")
    yield from inner(kind.removesuffix("s"), crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], depth=4)


def inner(path: str, schema: dict[str, Any], *, depth: int) -> Iterator[str]:
    schema = schema.get("items", schema)
    if "properties" in schema and depth:
        yield path
        for name, field in schema["properties"].items():
            yield from inner(f"{path}.{name}", field, depth=depth - 1)


def test_every_mistake_is_named_with_its_field(kubectl) -> None:
    refused = kubectl("apply", "--dry-run=server", "-f", "-", document=WRONG)
    assert refused.returncode != 0
    for line in (
        'spec.budget.trainingFlops: Invalid value: "string"',
        "spec.sweep.data.tokens[0]: Invalid value: -1",
        'spec.sweep.model.parameters[1]: Invalid value: "1.5Q"',
    ):
        assert line in refused.stderr


def test_a_misspelt_field_is_named(kubectl) -> None:
    document = WRONG.replace("1.5Q", "20k").replace("-1", "1M").replace("lots", "1e15").replace("sweep:", "sweeep:")
    refused = kubectl("apply", "--dry-run=server", "-f", "-", document=document)
    assert 'unknown field "spec.sweeep"' in refused.stderr


@pytest.mark.parametrize("path", ["scalingexperiment.spec.sweep", "se.spec.execution.pools", "strial.spec"])
def test_a_page_of_documentation_begins_with_a_sentence(kubectl, path: str) -> None:
    page = kubectl("explain", path).stdout
    description = page.partition("DESCRIPTION:\n")[2].partition("FIELDS:")[0].strip()
    assert description.endswith(".")
    assert description[0].isupper()


def test_every_field_of_the_spec_is_documented(kubectl) -> None:
    """Of kubectl's pages, those of the first four levels; that no field at all lacks a description is a unit test."""
    paths = [path for path in objects("scalingexperiment") if path.count(".") <= 2]
    assert "scalingexperiment.spec.sweep" in paths
    for path in paths:
        page = kubectl("explain", path).stdout
        assert page, path
        assert "no description" not in page, path
