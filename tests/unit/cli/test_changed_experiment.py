"""Trials of an experiment that has changed since stay in the folder, and out of its laws."""

import json
from pathlib import Path

import pytest

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialMetrics, TrialRecord, TrialStatus
from scaling_cli.results import current_records, open_results
from scaling_laws.design import plan_trials
from scaling_trainer.journal import AttemptEnded
from scaling_trainer.results import ResultsFolder


def experiment(rate: float) -> ScalingExperiment:
    return ScalingExperiment.model_validate(
        {
            "metadata": {"name": "changed"},
            "spec": {
                "task": {"language": {"corpus": {"python": {}}, "contextLength": 32}},
                "sweep": {"model": {"parameters": ["10k"]}, "data": {"tokens": ["100k", "200k"]}},
                "training": {"learningRate": rate},
            },
        }
    )


def finish(folder: Path, rate: float) -> set[str]:
    """Write a finished sweep of that learning rate into the folder, and return its trials' ids."""
    changed = experiment(rate)
    trials = plan_trials(changed.spec, corpus_fingerprint="0" * 64).trials
    with ResultsFolder.open(folder, changed) as results:
        results.write_file("plan.json", json.dumps({"trials": [{"id": trial.id} for trial in trials]}).encode())
        for trial in trials:
            status = TrialStatus(state=TrialState.SUCCEEDED, attempts=1, metrics=TrialMetrics(loss=2.0))
            row = {"record": TrialRecord(spec=trial, status=status).model_dump(mode="json"), "at": "2026-01-01T00:00Z"}
            results.append(AttemptEnded.model_validate(row))
    return {trial.id for trial in trials}


def test_only_the_trials_of_the_last_plan_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = finish(tmp_path / "out", 1e-3), finish(tmp_path / "out", 2e-3)
    results = open_results(tmp_path / "out")
    assert set(results.records()) == before | after
    assert {record.spec.id for record in current_records(results)} == after
    assert f"{len(before)} finished trials" in capsys.readouterr().err
