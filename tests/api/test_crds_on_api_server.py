"""The API server accepts and refuses what Python does: run with KUBECONFIG set to a local, throwaway one."""

import json
import re
from typing import Any

import pytest
from api_examples import BASE, FOLDER, LITERAL_FIELDS, changed, get, put, read, rows, with_literal

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.quantities import parse_bytes, parse_count

READ = {"count": parse_count, "bytes": parse_bytes, "flops": float}
STATUS = {
    "bestLoss": 1.25,
    "plan": {"trials": 48, "points": 32, "trainingFlops": 1.5e12},
    "trials": {"succeeded": 40},
    "spent": {"trainingFlops": 1.5e12},
    "summary": {"trials": "40/48", "loss": "1.25", "law": "α 0.42 [0.3, 0.5]", "spent": "1.5e+12 FLOPs"},
    "conditions": [
        {"type": kind, "status": "True", "reason": "Done", "lastTransitionTime": "2026-11-30T12:00:00Z"}
        for kind in ("Fitted", "Complete")
    ],
    "laws": [
        {
            "name": "chinchilla",
            "form": "Chinchilla",
            "points": 32,
            "coefficients": [
                {"name": "E", "value": 1.04},
                {"name": "alpha", "value": 0.42},
                {"name": "beta", "value": 0.63},
            ],
        }
    ],
}


def offer(kubectl, document: dict[str, Any] | str) -> tuple[str, dict[str, Any] | None]:
    """Return what the API server says against the object, and the object as it would be stored."""
    text = document if isinstance(document, str) else json.dumps(document)
    result = kubectl("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", document=text)
    return result.stderr, json.loads(result.stdout) if result.returncode == 0 else None


@pytest.mark.parametrize("row", rows("accepted"), ids=lambda row: row["what"])
def test_what_python_accepts_is_accepted_and_understood_alike(kubectl, row):
    says, stored = offer(kubectl, changed(row))
    assert stored, says
    again = {"metadata": {"name": stored["metadata"]["name"]}, "spec": stored["spec"]}
    assert ScalingExperiment.model_validate(again).spec == ScalingExperiment.model_validate(changed(row)).spec


@pytest.mark.parametrize("row", rows("refused"), ids=lambda row: row["what"])
def test_what_python_refuses_is_refused_at_the_same_field(kubectl, row):
    says, stored = offer(kubectl, changed(row))
    assert stored is None
    assert row["at"] in says
    assert row.get("server", row["says"]) in says


@pytest.mark.parametrize("kind", LITERAL_FIELDS)
@pytest.mark.parametrize("row", rows("literals"), ids=lambda row: row["text"])
def test_a_literal_means_the_same_number(kubectl, row, kind):
    says, stored = offer(kubectl, with_literal(row["text"], kind))
    if row[kind] is None:
        assert stored is None
    else:
        assert stored, says
        assert READ[kind](get(stored, LITERAL_FIELDS[kind])) == row[kind]


def test_the_whole_api_at_once_is_accepted(kubectl):
    for verb in (["create"], ["apply"], ["apply", "--server-side"]):
        result = kubectl(*verb, "--dry-run=server", "--validate=strict", "-f", str(FOLDER / "design.yaml"))
        assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def created(kubectl) -> str:
    assert kubectl("apply", "--server-side", "-f", str(BASE)).returncode == 0
    return "base"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.task.language.contextLength", 256, "task is immutable"),
        ("spec.training", {"batchSize": 4}, "training is immutable"),
        ("spec.sweep.seeds", 3, ""),
        ("spec.suspend", True, ""),
        ("spec.training", {"batchSize": 8}, ""),
    ],
)
def test_task_and_training_are_immutable_and_the_rest_is_not(kubectl, created, path, value, says):
    experiment = read(BASE)
    put(experiment, path, value)
    applied = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", document=json.dumps(experiment))
    assert (applied.returncode == 0) == (not says)
    assert says in applied.stderr


def test_the_columns_show_the_answer(kubectl, created):
    patch = ["patch", "se", created, "--subresource=status", "--type=merge", "-p", json.dumps({"status": STATUS})]
    assert kubectl(*patch).returncode == 0
    header, row = kubectl("get", "se").stdout.splitlines()
    assert header.split() == ["NAME", "TRIALS", "LOSS", "LAW", "SPENT", "FITTED", "COMPLETE", "AGE"]
    shown = [created, "40/48", "1.25", "α 0.42 [0.3, 0.5]", "1.5e+12 FLOPs", "True", "True"]
    assert re.split(r"  +", row)[:7] == shown
    assert created in kubectl("get", "scaling").stdout


def test_a_trial_and_its_status_are_recorded(kubectl):
    trial = read(FOLDER / "trial.yaml")
    assert kubectl("create", "-f", str(FOLDER / "trial.yaml")).returncode == 0
    stored = json.loads(kubectl("get", "strial", trial["metadata"]["name"], "-o", "json").stdout)
    assert stored["status"]["metrics"] == trial["status"]["metrics"], "one write records spec and status"
    header, row = kubectl("get", "strial").stdout.splitlines()
    assert header.split() == ["NAME", "KIND", "N", "D", "PIPELINE", "LOSS", "STATE", "AGE"]
    assert row.split()[1:7] == ["Pipeline", "32768", "500224", "int4", "1.8125", "Succeeded"]


@pytest.mark.parametrize(
    ("state", "change", "says"),
    [
        ("Running", {"spec": {"tokens": 1_000_000}}, "spec is immutable"),
        ("Running", {"spec": {"id": "0123456789abcdef"}}, "spec is immutable"),
        ("Running", {"status": {"state": "Interrupted", "attempts": 2}}, ""),
        ("Running", {"status": {"state": "Succeeded", "metrics": {"loss": 1.5}}}, ""),
        ("Succeeded", {"status": {"metrics": {"loss": 1.5}}}, "a finished trial's status is immutable"),
        ("Cached", {"status": {"state": "Pending"}}, "a finished trial's status is immutable"),
        ("Diverged", {"status": None}, "a finished trial's status is immutable"),
        ("Failed", {"status": {"state": "Succeeded"}}, "a finished trial's status is immutable"),
        ("Succeeded", {"spec": {"seed": 7}}, "spec is immutable"),
        ("Succeeded", {"metadata": {"labels": {"mine": "yes"}}}, ""),
    ],
)
def test_a_record_changes_until_its_trial_has_finished_and_never_in_its_spec(kubectl, state, change, says):
    trial = read(FOLDER / "trial.yaml")
    trial["metadata"]["name"] = name = f"record-{state.lower()}"
    trial["status"]["state"] = state
    assert kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", document=json.dumps(trial)).returncode == 0
    words = ["patch", "strial", name, "--type=merge", "--dry-run=server", "-p", json.dumps(change)]
    patched = kubectl(*words)
    assert (patched.returncode == 0) == (not says), patched.stderr
    assert says in patched.stderr


def test_a_status_is_not_written_with_the_spec(kubectl, created):
    experiment = {**read(BASE), "metadata": {"name": "other"}, "status": STATUS}
    _, stored = offer(kubectl, experiment)
    assert stored is not None
    assert "status" not in stored


def test_explain_reads_as_the_docstrings(kubectl):
    page = kubectl("explain", "scalingexperiment.spec.sweep").stdout
    assert "The set of trials that the experiment asks for." in page
    assert "Grid" in page
    assert "Target parameter counts N" in kubectl("explain", "se.spec.sweep.model.parameters").stdout
