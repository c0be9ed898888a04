"""`scaling fit` of a results folder: each form on the trials that it speaks of, and held-out documents."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_testing import EXPERIMENT, Scaling, write
from fake_executor import Script

from scaling_trainer.evaluate import DocumentLosses, save_document_losses


@pytest.fixture
def folder(scaling: Scaling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results of a scripted run."""
    monkeypatch.setattr("scaling_trainer.executors.local.LocalExecutor", Script().executor)
    monkeypatch.setattr("scaling_cli.running._checked_corpus", lambda local, folder: ())
    monkeypatch.setattr("scaling_trainer.probe.gemm_gflops", lambda threads: 168.4)
    monkeypatch.setattr("scaling_cli.report.write_report", lambda folder, **_: Path(folder) / "report.html")
    assert scaling("run", write(tmp_path, EXPERIMENT), "--out", tmp_path / "out").exit_code == 0
    return tmp_path / "out"


def fitted(scaling: Scaling, folder: Path, form: str, *options: object) -> dict[str, Any]:
    result = scaling("fit", folder, "--form", form, "--bootstrap", 50, "--json", *options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_each_form_sees_its_trials(scaling: Scaling, folder: Path) -> None:
    assert fitted(scaling, folder, "Chinchilla")["points"] == 32
    assert fitted(scaling, folder, "Linear")["points"] == 96
    assert fitted(scaling, folder, "loss = E + A/N^a + k*exp(-bits)")["points"] == 96


def test_documents_widen_the_intervals(scaling: Scaling, folder: Path) -> None:
    result = scaling("fit", folder, "--form", "Chinchilla", "--documents")
    assert result.exit_code == 2
    assert "32 of 32 trials have no losses by document" in " ".join(result.stderr.split())
    rng = np.random.default_rng(0)
    tokens, hardness = rng.integers(50, 150, 30), np.exp(0.3 * rng.standard_normal(30))
    for line in (folder / "trials").iterdir():
        save_document_losses(line, DocumentLosses(np.arange(30), tokens, 2.0 * tokens * hardness))
    for trial in json.loads((folder / "plan.json").read_text())["trials"]:
        path = folder / "trials" / trial["id"]
        path.mkdir(parents=True, exist_ok=True)
        save_document_losses(path, DocumentLosses(np.arange(30), tokens, 2.0 * tokens * hardness))
    plain, wide = fitted(scaling, folder, "Chinchilla"), fitted(scaling, folder, "Chinchilla", "--documents")
    assert wide["coefficients"]["E"]["standardError"] > plain["coefficients"]["E"]["standardError"]
    assert "30 at a time" in wide["notes"][0]


def test_only_folders_have_documents(scaling: Scaling, tmp_path: Path) -> None:
    table = write(tmp_path, "N,D,loss\n1,2,3\n", "points.csv")
    result = scaling("fit", table, "--form", "Chinchilla", "--documents")
    assert result.exit_code == 2
    assert "only a results folder" in " ".join(result.stderr.split())
