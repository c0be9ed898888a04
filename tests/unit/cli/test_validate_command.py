from pathlib import Path

import pytest
from api_examples import BASE, LITERAL_FIELDS, get, rows, with_literal
from cli_testing import EXPERIMENT, Scaling, write

VALID = BASE.read_text()
MISTAKES = """\
apiVersion: scalinglaws.dev/v1alpha1
kind: ScalingExperiment
metadata: {name: bytes-lm}
spec:
  task:
    language: {corpus: {python: {}}, contextLength: "64"}
  sweep:
    model: {parameters: [30k, 1.5]}
    tokens: [1M]
    data:
      tokens: [0.5M]
      treatments:
      - {name: noisy, token_noise: .1}
    seeds: yes
    sedes: 3
    compression:
    - {name: p, stages: [{prune: {sparsity: 3}}]}
    - name: q
      stages: [{finetune: {}}]
  foo: 3
"""


@pytest.mark.parametrize("kind", LITERAL_FIELDS)
@pytest.mark.parametrize("row", rows("literals"), ids=lambda row: str(row["text"]))
def test_literals_mean_through_the_command_what_the_table_says(
    scaling: Scaling, tmp_path: Path, row: dict[str, object], kind: str
) -> None:
    from scaling_cli.experiments import load_experiment

    path = write(tmp_path, with_literal(str(row["text"]), kind))
    result = scaling("validate", path)
    if row[kind] is None:
        assert result.exit_code == 2
        assert f": {LITERAL_FIELDS[kind]}: " in result.stderr
        assert result.stderr.count("\n") == 1
    else:
        assert result.exit_code == 0, result.stderr
        fields = load_experiment(str(path)).experiment.model_dump(mode="json")
        assert get(fields, LITERAL_FIELDS[kind]) == row[kind]


def test_each_mistake_is_a_line_with_file_line_path_found_and_allowed(scaling: Scaling, tmp_path: Path) -> None:
    path = write(tmp_path, MISTAKES)
    result = scaling("validate", path)
    assert result.exit_code == 2
    lines = [line.removeprefix(f"{path}:") for line in result.stderr.splitlines()]
    assert lines == [
        '6: spec.task.language.contextLength: expected a whole number, found "64"',
        "8: spec.sweep.model.parameters[1]: expected a whole number from 1 to 10^18, or one with a suffix such as 30k, "
        "1.5M, 2G, found 1.5",
        "9: spec.sweep.tokens: this field does not exist; did you mean spec.sweep.data.tokens?",
        "13: spec.sweep.data.treatments[0].token_noise: this field does not exist; did you mean tokenNoise?",
        "14: spec.sweep.seeds: expected a whole number, found true",
        "15: spec.sweep.sedes: this field does not exist; did you mean seeds?",
        "17: spec.sweep.compression[0].stages[0].prune.sparsity: must be below 1, found 3",
        "19: spec.sweep.compression[1].stages[0].finetune.fraction: this field is required",
        "20: spec.foo: this field does not exist; the fields here are ask, budget, execution, laws, suspend, sweep, "
        "task, training, ttlSecondsAfterFinished",
    ]


def test_every_file_is_checked_and_one_bad_file_fails_the_command(scaling: Scaling, tmp_path: Path) -> None:
    good, bad = write(tmp_path, VALID, "good.yaml"), write(tmp_path, "kind: Pod\n", "bad.yaml")
    result = scaling("validate", bad, good)
    assert result.exit_code == 2
    assert f"{good}: valid" in result.stdout
    assert f"{bad}:1: kind is Pod; expected ScalingExperiment." in result.stderr


def test_json_is_an_experiment_too(scaling: Scaling, tmp_path: Path) -> None:
    import json

    from scaling_cli.experiments import load_experiment

    fields = load_experiment(str(write(tmp_path, VALID))).experiment.model_dump(mode="json", exclude_defaults=True)
    fields |= {"apiVersion": "scalinglaws.dev/v1alpha1", "kind": "ScalingExperiment"}
    result = scaling("validate", write(tmp_path, json.dumps(fields, indent="\t"), "e.json"))
    assert (result.exit_code, result.stderr) == (0, "")


def test_one_experiment_among_other_documents_is_taken(scaling: Scaling, tmp_path: Path) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n---\n"
    assert scaling("validate", write(tmp_path, secret + VALID)).exit_code == 0
    twice = scaling("validate", write(tmp_path, f"{VALID}\n---\n{VALID}"))
    assert twice.exit_code == 2
    assert "holds 2 documents, of which exactly one should be a ScalingExperiment; found 2" in twice.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- 1\n", "expected a ScalingExperiment"),
        (b"hello\n", "expected a ScalingExperiment"),
        (b"kind: ScalingExperiment\n", "apiVersion is missing; expected `apiVersion: scalinglaws.dev/v1alpha1`"),
        (b"kind: ScalingExperiment\napiVersion: v1\n", "apiVersion is v1; expected scalinglaws.dev/v1alpha1"),
        (b"\xff\xfe\x00k", "this is not UTF-8 text"),
        (b"a: 1\n" * 1_000_000, "larger than 4 MiB"),
    ],
)
def test_what_is_no_experiment_is_one_sentence(scaling: Scaling, tmp_path: Path, content: bytes, message: str) -> None:
    result = scaling("validate", write(tmp_path, content))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_file_and_a_folder_are_sentences(scaling: Scaling, tmp_path: Path) -> None:
    assert "there is no such file" in scaling("validate", tmp_path / "nothing.yaml").stderr
    assert "this is a folder" in scaling("validate", tmp_path).stderr


def test_a_law_of_no_form_is_a_mistake_in_the_words_of_plan(scaling: Scaling, tmp_path: Path) -> None:
    path = write(tmp_path, EXPERIMENT.replace("form: Chinchilla", "form: Chinchila"))
    found = scaling("validate", path)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "there is no form Chinchila; did you mean Chinchilla?" in found.stderr
    assert found.stderr.strip() in scaling("plan", path).stderr
