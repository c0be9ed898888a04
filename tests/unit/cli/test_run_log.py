"""`scaling logs` and `scaling trials` of a results folder."""

from pathlib import Path

import pytest
from cli_testing import EXPERIMENT, Scaling, write
from fake_executor import Script

from scaling_api.v1alpha1.trial import TrialKind


@pytest.fixture
def folder(scaling: Scaling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run with trials that failed."""
    script = Script(fails=lambda trial: trial.kind is TrialKind.PIPELINE and trial.tokens > 1_900_000)
    monkeypatch.setattr("scaling_trainer.executors.local.LocalExecutor", script.executor)
    monkeypatch.setattr("scaling_cli.running._checked_corpus", lambda local, folder: ())
    monkeypatch.setattr("scaling_trainer.probe.gemm_gflops", lambda threads: 168.4)
    monkeypatch.setattr("scaling_cli.report.write_report", lambda folder, **_: Path(folder) / "report.html")
    scaling("run", write(tmp_path, EXPERIMENT), "--out", tmp_path / "out")
    return tmp_path / "out"


def test_a_folder_tells_of_its_attempts(scaling: Scaling, folder: Path) -> None:
    lines = scaling("logs", folder).stdout.splitlines()
    assert len(lines) == 2 * 160
    assert lines[0].startswith("2026-11-23T00:00:00Z trial ")
    assert lines[0].endswith(": attempt 1 begins, on core 0")
    failed = [line for line in lines if "Failed, Application, Scripted: It was told to fail." in line]
    assert len(failed) == 16
    assert ": Succeeded, loss " in "".join(lines)
    assert scaling("logs", folder, "--tail", 2).stdout.splitlines() == lines[-2:]
    assert (
        scaling("logs", folder, "--trial", "ffffffff").stderr == f"{folder} tells of no attempt at a trial ffffffff.\n"
    )
    trial = failed[0].split()[2].removesuffix(":")
    assert len(scaling("logs", folder, "--trial", trial[:8]).stdout.splitlines()) == 2


def test_what_a_trial_printed_is_pointed_to(scaling: Scaling, folder: Path) -> None:
    (folder / "logs/0001-lane0.log").write_text("a traceback")
    (folder / "logs/0001-lane1.log").write_text("of another lane")
    assert scaling("logs", folder).stderr == f"What trials printed is in {folder}/logs/0001-lane0.log.\n"


def test_a_folder_has_no_status(scaling: Scaling, folder: Path) -> None:
    result = scaling("status", folder)
    assert result.exit_code == 2
    assert f"scaling logs {folder}" in result.stderr
    assert "there is no such folder" in scaling("logs", folder / "none").stderr


def test_in_a_narrow_terminal_no_cell_of_a_trial_is_folded(
    scaling: Scaling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = scaling("trials", folder, "-o", "table", "--state", "Succeeded").stdout.splitlines()
    rows = [line for line in lines if "Succeeded" in line]
    assert len(rows) == 144
    assert max(map(len, lines)) <= 80
    assert all(len(row.split()[0]) == 8 for row in rows)
    monkeypatch.setenv("COLUMNS", "120")
    wide = scaling("trials", folder, "-o", "table", "--failed").stdout
    assert "Scripted: It was told to fail." in " ".join(wide.split())
