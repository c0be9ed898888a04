import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_testing import EXPERIMENT, Scaling, write
from fake_executor import Script

from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialKind

TRIALS = 160


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Nothing is trained, no corpus is read, no chart is drawn."""
    script = Script()
    monkeypatch.setattr("scaling_trainer.executors.local.LocalExecutor", script.executor)
    monkeypatch.setattr("scaling_cli.running._checked_corpus", lambda local, folder: ())
    monkeypatch.setattr("scaling_trainer.probe.gemm_gflops", lambda threads: 168.4)
    monkeypatch.setattr("scaling_cli.report.write_report", lambda folder, **_: Path(folder) / "report.html")
    return script


def document(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_run_shows_plan_laws_answers_and_report(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    result = scaling("run", write(tmp_path, EXPERIMENT))
    assert result.exit_code == 0, result.stderr
    for part in (
        "160: 32 trunk segments, 32 dense points, 32 controls, 64 compressed",
        "Results go to results/tiny.",
        "168 GFLOP/s",
        "chinchilla  L = E + A/N^alpha + B/D^beta",
        "pillars  Joint: the dense law is that of chinchilla",
        "What compression costs",
        "Compute-optimal training",
        "Best model for a serving memory",
        "The report is results/tiny/report.html",
    ):
        assert part in result.stdout
    assert "Core 1: its process was lost." in result.stderr
    assert {"plan.json", "laws.json", "run.json", "experiment.json"} <= {f.name for f in Path("results/tiny").iterdir()}


def test_with_json_one_document_is_all_of_standard_output(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    found = document(scaling("run", write(tmp_path, EXPERIMENT), "--json", "--out", tmp_path / "out"))
    assert found["trials"] == {"Succeeded": TRIALS}
    assert found["reused"] == 0
    assert found["exitCode"] == 0
    assert found["gemmGflops"] == 168.4
    assert [law["name"] for law in found["laws"]] == ["chinchilla", "pillars", "linear"]
    assert {answer["question"] for answer in found["answers"]} == {"trainingFlops", "servingMemory"}
    assert [pipeline["pipeline"] for pipeline in found["pipelines"]["pillars"]] == ["int3", "p50"]
    kept = json.loads((tmp_path / "out/laws.json").read_text())
    assert kept["laws"] == found["laws"]
    assert len(json.loads((tmp_path / "out/plan.json").read_text())["trials"]) == TRIALS


def test_finished_trials_are_not_repeated(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    path = write(tmp_path, EXPERIMENT)
    first = document(scaling("run", path, "--json"))
    again = scaling("run", path)
    assert len(script.ran) == TRIALS
    assert "160 finished trials reused, 0 to run." in again.stdout
    assert "of the corpus" not in again.stderr
    assert "Nothing to train: all 160 trials were there" in again.stdout
    assert document(scaling("run", path, "--json"))["laws"] == first["laws"]
    assert scaling("run", path, "--fresh").exit_code == 0
    assert len(script.ran) == 2 * TRIALS


def test_a_changed_experiment_reuses_what_is_the_same(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    scaling("run", write(tmp_path, EXPERIMENT))
    changed = write(tmp_path, EXPERIMENT.replace("seeds: 2", "seeds: 3"))
    assert "160 finished trials reused, 80 to run." in scaling("run", changed).stdout


def test_an_interrupted_run_says_how_to_go_on(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    script.interrupted_after = 40
    path = write(tmp_path, EXPERIMENT)
    result = scaling("run", path)
    assert result.exit_code == 130
    assert result.stderr.endswith(f"Stopped. 40 of 160 trials are finished and kept; go on with: scaling run {path}\n")
    assert not Path("results/tiny/laws.json").exists()
    script.interrupted_after = float("inf")
    assert document(scaling("run", path, "--json"))["reused"] == 40
    assert len(script.ran) == TRIALS


def test_failed_trials_end_with_three_and_the_laws_of_the_rest(
    scaling: Scaling, script: Script, tmp_path: Path
) -> None:
    path = write(tmp_path, EXPERIMENT)
    script.fails = lambda trial: trial.kind is TrialKind.PIPELINE and trial.seed == 1 and trial.tokens > 1_900_000
    result = scaling("run", path, "--json")
    assert result.exit_code == 3
    assert "8 of 160 trials have no result (8 failed). Try again with: scaling run" in result.stderr
    assert "N 10.2k, D 2M, seed 1, int3: failed. It was told to fail." in result.stderr
    assert document(result)["laws"][0]["coefficients"]
    script.fails = lambda trial: False
    assert scaling("run", path).exit_code == 0
    assert len(script.ran) == TRIALS + 8


def test_the_budget_keeps_trials_from_running_and_the_rest_is_fitted(
    scaling: Scaling, script: Script, tmp_path: Path
) -> None:
    whole = document(scaling("plan", write(tmp_path, EXPERIMENT), "--json"))["trainingFlops"]
    limited = write(tmp_path, f"{EXPERIMENT}  budget: {{trainingFlops: {0.9 * whole:.6e}}}\n")
    assert "budget.trainingFlops allows" in scaling("plan", limited).stdout
    result = scaling("run", limited)
    assert result.exit_code == 3
    assert "budget.trainingFlops is used up: with the trial" in result.stderr
    assert f"Raise the limit in {limited} and go on with: scaling run {limited}" in result.stderr
    assert "Spent over all runs:" in result.stdout
    assert "chinchilla  L = E + A/N^alpha + B/D^beta" in result.stdout
    ran = len(script.ran)
    assert 0 < ran < TRIALS
    again = scaling("run", limited, "--json")
    assert again.exit_code == 3
    assert len(script.ran) == ran, "what an earlier run has spent counts"
    found = document(again)
    assert found["budgetExhausted"].startswith("budget.trainingFlops")
    assert 0.5 * whole < found["spent"]["trainingFlops"] <= 0.9 * whole
    assert scaling("run", write(tmp_path, EXPERIMENT)).exit_code == 0
    assert len(script.ran) == TRIALS


def test_time_that_an_earlier_run_began_is_over(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    script.interrupted_after = 40
    scaling("run", write(tmp_path, EXPERIMENT))
    script.interrupted_after = float("inf")
    result = scaling("run", write(tmp_path, f"{EXPERIMENT}  budget: {{wallTime: 1m}}\n"))
    assert result.exit_code == 3
    assert "budget.wallTime is used up: 1m have passed since the first start at 2026-11-23" in result.stderr
    assert len(script.ran) == 40


def test_a_suspended_experiment_is_planned_and_not_run(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    path = write(tmp_path, f"{EXPERIMENT}  suspend: true\n")
    result = scaling("run", path)
    assert result.exit_code == 0
    assert "160: 32 trunk segments" in result.stdout
    assert "spec.suspend is true: nothing is trained." in result.stdout
    found = document(scaling("run", path, "--json"))
    assert found["suspended"] is True
    assert found["trialCount"] == TRIALS
    assert not script.ran
    assert not Path("results").exists()


def test_what_only_a_person_can_set_right_ends_with_two(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    script.stopped = Failure(failure_class=FailureClass.CONFIGURATION, reason="DiskFull", message="There is no room.")
    result = scaling("run", write(tmp_path, EXPERIMENT))
    assert result.exit_code == 2
    assert "There is no room. 159 of 160 trials have no result (159 not run)." in result.stderr


def test_a_report_that_cannot_be_written_does_not_hide_why_trials_are_missing(
    scaling: Scaling, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scaling_cli.report.write_report", full)
    path = write(tmp_path, EXPERIMENT)
    script.stopped = Failure(failure_class=FailureClass.CONFIGURATION, reason="DiskFull", message="There is no room.")
    first, last = scaling("run", path).stderr.splitlines()[-2:]
    assert first.startswith("The report cannot be written to")
    assert last.startswith("There is no room. 159 of 160 trials have no result")
    script.stopped = None
    whole = scaling("run", path)
    assert whole.exit_code == 2
    assert "The report cannot be written to" in whole.stderr.splitlines()[-1]


def test_a_refused_law_ends_with_four_and_was_announced(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    one_size = EXPERIMENT.replace("[10k, 20k, 33k, 115k]", "[10k]")
    result = scaling("run", write(tmp_path, one_size))
    assert result.exit_code == 4
    warning = "All dense points have N = 10,240: how the loss depends on N cannot be told, and chinchilla, pillars will"
    assert warning in " ".join(result.stdout.split())
    assert "refused, TooFewLevels" in result.stdout
    assert "3 laws were refused. chinchilla: All 8 points have the same N" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("form: Joint", "form: Jiont", ": spec.laws[1].form: there is no form Jiont; did you mean Joint?"),
        (
            "form: Chinchilla",
            "form: Chinchilla, features: [C]",
            "spec.laws[0].features: features are for the forms Linear",
        ),
        ("seeds: 2", "compute: [{strategy: FSDP}]", "spec.sweep.compute[0].strategy: FSDP shares a model among"),
        ("seeds: 2", "limits: {tokensPerParameter: {min: 9999}}", "spec.sweep: the sweep is empty"),
        ("python: {}", "uri: nowhere.txt", "spec.task.language.corpus"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_spent(
    scaling: Scaling, script: Script, tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in EXPERIMENT
    path = write(tmp_path, EXPERIMENT.replace(old, new, 1))
    for command in ("plan", "run"):
        result = scaling(command, path)
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert not Path("results").exists()


def test_trials_of_several_workers_are_for_ray(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    path = write(tmp_path, EXPERIMENT.replace("seeds: 2", "compute: [{workers: 2}]", 1))
    result = scaling("run", path)
    assert result.exit_code == 2
    assert "spec.sweep.compute[0].workers: the local executor trains each model with one process" in result.stderr
    assert "use --executor ray" in result.stderr
    planned = scaling("plan", path)
    assert planned.exit_code == 0
    shown = " ".join(planned.stdout.split())
    assert "Models that 2 workers share need `scaling run --executor ray`, or a cluster." in shown
    assert "workers share" not in scaling("plan", write(tmp_path, EXPERIMENT, "one.yaml")).stdout
    path = write(tmp_path, EXPERIMENT.replace("seeds: 2", "compute: [{workers: 99}]", 1))
    result = scaling("run", path, "--executor", "ray")
    assert result.exit_code == 2
    assert "spec.sweep.compute[0].workers: 99 workers cannot share a batch of 8 (training.batchSize)" in result.stderr


def test_settings_for_a_cluster_are_named_as_unused(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    text = EXPERIMENT + "  execution: {pools: [{name: a100}], image: trainer:1}\n"
    shown = " ".join(scaling("plan", write(tmp_path, text)).stdout.split())
    assert "spec.execution.pools (a100) is for a cluster" in shown
    assert "spec.execution.image is for a cluster and has no effect here." in shown


def test_a_folder_with_other_files_is_left_alone(scaling: Scaling, script: Script, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("x")
    for flag in ("--resume", "--fresh"):
        result = scaling("run", write(tmp_path, EXPERIMENT), "--out", folder, flag)
        assert result.exit_code == 2
        assert "holds other files and no results" in result.stderr
    assert [file.name for file in folder.iterdir()] == ["chapter.tex"]


def test_without_pytorch_the_command_says_how_to_install_it(
    scaling: Scaling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scaling_cli.planning.find_spec", lambda name: None)
    result = scaling("run", write(tmp_path, EXPERIMENT))
    assert result.exit_code == 2
    assert "pip install 'scaling-operator[trainer]'" in result.stderr
    assert scaling("plan", write(tmp_path, EXPERIMENT)).exit_code == 0


def test_a_corpus_that_is_too_small_is_refused_before_training(
    scaling: Scaling, script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    text = "\n\n".join(f"Sentence {i} of a rather short book, number {i * i}." for i in range(2000))
    corpus = write(tmp_path, text, "book.txt")
    result = scaling("run", write(tmp_path, EXPERIMENT.replace("python: {}", f"uri: {corpus}")))
    assert result.exit_code == 2
    assert "training tokens in windows of 64, and 2,200,064 are asked for" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize("output", ["csv", "json", "parquet"])
def test_an_export_refits_to_the_same_coefficients(
    scaling: Scaling, script: Script, tmp_path: Path, output: str
) -> None:
    treatments = EXPERIMENT.replace("2M]}", "2M], treatments: [{name: clean}, {name: noisy, tokenNoise: 0.1}]}")
    script.fails = lambda trial: trial.seed == 1 and trial.tokens < 600_000
    assert scaling("run", write(tmp_path, treatments), "--out", "out").exit_code == 3
    table = tmp_path / f"table.{output}"
    assert scaling("trials", "out", "-o", output, "--to", table).exit_code == 0
    kept = {law["form"]: law for law in json.loads(Path("out/laws.json").read_text())["laws"]}
    for form in ("Chinchilla", "Linear"):
        arguments = ("--form", form, "--bootstrap", 100, "--json")
        of_table = document(scaling("fit", table, *arguments))
        of_folder = document(scaling("fit", "out", *arguments))
        assert of_table["coefficients"] == of_folder["coefficients"]
        assert of_table["points"] == of_folder["points"] == kept[form]["points"]
        for coefficient in kept[form]["coefficients"]:
            found = of_table["coefficients"][coefficient["name"]]
            assert (found["value"], found["lower"]) == (coefficient["value"], coefficient["lower"])
    by_total = document(
        scaling("fit", table, "--form", "Chinchilla", "--bootstrap", 0, "--parameters", "total", "--json")
    )
    folder = document(
        scaling("fit", "out", "--form", "Chinchilla", "--bootstrap", 0, "--parameters", "total", "--json")
    )
    assert by_total["coefficients"] == folder["coefficients"] != of_folder["coefficients"]


def test_folders_without_results_are_sentences(scaling: Scaling, tmp_path: Path) -> None:
    for command in ("trials", "report"):
        assert "there is no such folder" in scaling(command, tmp_path / "nothing").stderr
        result = scaling(command, tmp_path)
        assert result.exit_code == 2
        assert "is not a results folder" in result.stderr
    assert "is not a results folder" in scaling("fit", tmp_path, "--form", "Chinchilla").stderr


def test_models_are_really_trained_and_reported(tmp_path: Path) -> None:
    """The whole road in a process of its own, on the smallest sweep that a law can be fitted on."""
    text = EXPERIMENT.replace("[10k, 20k, 33k, 115k]", "[10k, 20k, 33k]").replace(
        "[0.5M, 0.8M, 1.25M, 2M]", "[35k, 45k, 60k]"
    )
    text = text.replace("seeds: 2", "seeds: 1").replace("    - {name: p50", "    # - {name: p50")
    path = write(tmp_path, text + "  training: {evaluationSequences: 64}\n  execution: {parallelTrials: 2}\n")
    command = [sys.executable, "-m", "scaling_cli", "run", str(path), "--json"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=300, check=False)
    assert done.returncode in {0, 4}, done.stderr
    found = json.loads(done.stdout)
    assert found["trials"] == {"Succeeded": found["plan"]["trialCount"]}
    assert found["laws"][2]["coefficients"]
    page = tmp_path / "results/tiny/report.html"
    assert "<html" in page.read_text()
    page.unlink()
    report = [sys.executable, "-m", "scaling_cli", "report", "results/tiny"]
    subprocess.run(report, cwd=tmp_path, capture_output=True, timeout=120, check=True)
    assert page.exists()
