import json

import pytest
from api_examples import FOLDER, LITERAL_FIELDS, changed, get, read, rows, with_literal
from pydantic import ValidationError

from scaling_api.generate.structural import structural_schema
from scaling_api.problems import Problem, problems_of
from scaling_api.v1alpha1 import ScalingExperiment, ScalingTrial
from scaling_api.v1alpha1.base import ApiModel

REPOSITORY_EXAMPLES = sorted((FOLDER.parents[3] / "examples").glob("*.yaml"))


def problems(found: object) -> list[Problem]:
    with pytest.raises(ValidationError) as refused:
        ScalingExperiment.model_validate(found)
    return list(problems_of(refused.value))


@pytest.mark.parametrize("row", rows("accepted"), ids=lambda row: row["what"])
def test_what_is_fine_is_accepted_and_survives_a_round_trip(row):
    experiment = ScalingExperiment.model_validate(changed(row))
    assert ScalingExperiment.model_validate(experiment.model_dump(mode="json")) == experiment
    assert ScalingExperiment.model_validate_json(experiment.model_dump_json()) == experiment


@pytest.mark.parametrize("row", rows("refused"), ids=lambda row: row["what"])
def test_a_mistake_gives_one_message_with_its_path(row):
    (problem,) = problems(changed(row))
    assert problem.path.startswith(row["at"])
    assert problem.message.startswith(row.get("python", row["says"])) or row["says"] in problem.message
    assert problem.message.endswith(f", found {row['found']}") if "found" in row else True


@pytest.mark.parametrize("example", [FOLDER / "design.yaml", *REPOSITORY_EXAMPLES], ids=lambda path: path.name)
def test_examples_survive_a_round_trip(example):
    experiment = ScalingExperiment.model_validate(read(example))
    assert ScalingExperiment.model_validate(json.loads(experiment.model_dump_json())) == experiment


@pytest.mark.parametrize("kind", LITERAL_FIELDS)
@pytest.mark.parametrize("row", rows("literals"), ids=lambda row: row["text"])
def test_a_literal_means_one_number(row, kind):
    document = read(with_literal(row["text"], kind))
    if row[kind] is None:
        (problem,) = problems(document)
        assert problem.path == LITERAL_FIELDS[kind]
    else:
        spec = ScalingExperiment.model_validate(document).model_dump()
        assert get(spec, LITERAL_FIELDS[kind]) == row[kind]


def test_a_trial_survives_a_round_trip():
    trial = ScalingTrial.model_validate(read(FOLDER / "trial.yaml"))
    assert ScalingTrial.model_validate(json.loads(trial.model_dump_json())) == trial


def test_every_mistake_has_its_message_in_the_order_of_the_fields():
    found = changed(
        {"set": {"spec.sweep.seeds": "2", "spec.suspend": "yes", "spec.sweep.model.parameters": ["30q", 0]}}
    )
    assert [problem.path for problem in problems(found)] == [
        "spec.sweep.model.parameters[0]",
        "spec.sweep.model.parameters[1]",
        "spec.sweep.seeds",
        "spec.suspend",
    ]


def test_every_broken_rule_of_an_object_has_its_message():
    found = changed({"set": {"spec.sweep.design": "List"}})
    assert [problem.path for problem in problems(found)] == [
        "spec.sweep.model",
        "spec.sweep.data.tokens",
        "spec.sweep.combinations",
    ]


@pytest.mark.parametrize("found", [None, 3, "text", []])
def test_what_is_no_object_at_all_is_refused(found):
    (problem,) = problems(found)
    assert str(problem).startswith("expected a mapping of fields, found ")


def test_fields_that_are_not_text_are_refused():
    (problem,) = problems(read("{metadata: {name: a}, spec: {}, 3: 4}") | {})[-1:]
    assert problem == Problem("[3]", "expected text as the name of a field, found 3")


def test_braces_in_a_value_do_not_disturb_a_message():
    found = changed({"set": {"spec.execution.storage": {"claimName": "a", "credentialsSecret": "b{x}"}}})
    assert problems(found)[0].message.endswith('found "b{x}"')


def test_python_code_may_use_its_own_names_where_documents_may_not():
    language = type(ScalingExperiment.model_validate(changed({"set": {}})).spec.task.language)
    assert language(corpus={"python": {}}, context_length=64).context_length == 64
    with pytest.raises(ValidationError):
        language.model_validate({"corpus": {"python": {}}, "context_length": 64})
    with pytest.raises(ValidationError):
        language.model_validate_json('{"corpus": {"python": {}}, "context_length": 64}')


def models_of(model: type[ApiModel]) -> set[type[ApiModel]]:
    """Return the model and all below it."""
    found, ahead = set(), [model]
    while ahead:
        found.add(here := ahead.pop())
        annotations = [annotation for field in here.model_fields.values() for annotation in [field.annotation]]
        ahead += [inner for annotation in annotations for inner in _models_in(annotation) if inner not in found]
    return found


def _models_in(annotation: object) -> list[type[ApiModel]]:
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


WRONG = {
    "integer": ["1", 1.5, True, [], {}],
    "number": ["1", True, [], {}],
    "boolean": ["true", 0, 1, 1.0, [], {}],
    "string": [1, 1.5, True, [], {}],
    "array": ["a", 1, 1.5, True, {}],
    "object": ["a", 1, 1.5, True, []],
    "int-or-string": [1.5, True, [], {}],
}
LEAVES = [
    (model, name, schema)
    for model in sorted(models_of(ScalingExperiment) | models_of(ScalingTrial), key=lambda model: model.__name__)
    for name, schema in structural_schema(model).get("properties", {}).items()
]


@pytest.mark.parametrize(("model", "field", "schema"), LEAVES, ids=[f"{m.__name__}.{f}" for m, f, _ in LEAVES])
def test_every_field_refuses_the_types_that_the_api_server_refuses(model, field, schema):
    kind = "int-or-string" if schema.get("x-kubernetes-int-or-string") else schema["type"]
    for wrong in WRONG[kind]:
        with pytest.raises(ValidationError) as refused:
            model.model_validate({field: wrong})
        assert any(error["loc"][:1] == (field,) for error in refused.value.errors()), wrong
