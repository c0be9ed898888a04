"""A results folder belongs to one experiment and one run at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_plan import ended, experiment, started, trial_id

from scaling_api.v1alpha1.execution import Execution
from scaling_trainer.errors import ConfigurationError, DiskFullError, ResultsFolderError
from scaling_trainer.results import ResultsFolder


def finished(folder: Path, name: str = "a") -> None:
    with ResultsFolder.open(folder, experiment()) as results:
        results.append(started(name))
        results.append(ended(name))


def test_results_are_there_for_the_next_run_and_for_readers(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "results"
    finished(folder)
    with ResultsFolder.open(folder, experiment()) as results:
        assert results.epoch == 2
        assert results.records().keys() == {trial_id("a")}
        assert results.attempts(trial_id("a")) == 1
        assert results.attempts(trial_id("b")) == 0
        results.append(started("b"))
        results.append(ended("b"))
        assert results.attempts(trial_id("b")) == 1
        assert results.records().keys() == {trial_id("a"), trial_id("b")}
        reader = ResultsFolder.read(folder)
    assert reader.records() == {row.record.spec.id: row.record for row in (ended("a"), ended("b"))}
    assert reader.experiment == experiment()


def test_each_epoch_writes_its_own_file_alone(tmp_path: Path) -> None:
    finished(tmp_path, "a")
    first = (tmp_path / "journal/0001.jsonl").read_bytes()
    finished(tmp_path, "b")
    assert (tmp_path / "journal/0001.jsonl").read_bytes() == first
    assert b"ended" in (tmp_path / "journal/0002.jsonl").read_bytes()


def test_a_second_run_is_refused_while_one_is_going_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaling_trainer.results._LOCK_PATIENCE_S", 0.05)
    results = ResultsFolder.open(tmp_path, experiment())
    for fresh in (False, True):
        with pytest.raises(
            ResultsFolderError, match=rf"Another run \(process {os.getpid()} on .*\) is using {tmp_path}"
        ):
            ResultsFolder.open(tmp_path, experiment(), fresh=fresh)
    ResultsFolder.read(tmp_path)
    results.close()
    results.close()
    finished(tmp_path)


def test_a_failed_open_lets_go_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaling_trainer.results._LOCK_PATIENCE_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr("scaling_trainer.results.read_journal", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ResultsFolder.open(tmp_path, experiment())
    finished(tmp_path)


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from scripted_plan import experiment;"
        "from scaling_trainer.results import ResultsFolder;"
        "r = ResultsFolder.open(Path(sys.argv[1]), experiment()); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, env=environment)
    assert done.returncode == -9
    finished(tmp_path)
    assert ResultsFolder.read(tmp_path).records()


def test_another_experiments_folder_is_refused(tmp_path: Path) -> None:
    finished(tmp_path)
    for fresh in (False, True):
        with pytest.raises(ResultsFolderError, match=r"holds the results of the experiment scripted, not of other"):
            ResultsFolder.open(tmp_path, experiment("other"), fresh=fresh)
    assert ResultsFolder.read(tmp_path).records()


def test_the_same_experiment_may_change(tmp_path: Path) -> None:
    finished(tmp_path)
    spec = experiment().spec.model_copy(update={"execution": Execution(parallel_trials=3)})
    changed = experiment().model_copy(update={"spec": spec})
    with ResultsFolder.open(tmp_path, changed) as results:
        assert results.records()
    assert ResultsFolder.read(tmp_path).experiment == changed


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "diary.txt").write_text("private")
    with pytest.raises(ResultsFolderError, match=r"holds other files and no results.*Choose another folder"):
        ResultsFolder.open(tmp_path, experiment(), fresh=fresh)
    (tmp_path / "thesis.txt").unlink()
    with pytest.raises(ResultsFolderError, match="holds other files and no results"):
        ResultsFolder.open(tmp_path, experiment(), fresh=fresh)
    assert (tmp_path / "journal" / "diary.txt").read_text() == "private"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal"]


def test_fresh_removes_what_is_ours_alone(tmp_path: Path) -> None:
    finished(tmp_path)
    (tmp_path / "trials" / "x").mkdir()
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    with ResultsFolder.open(tmp_path, experiment(), fresh=True) as results:
        assert results.records() == {}
        assert results.epoch == 1
        assert results.attempts(trial_id("a")) == 0
    assert not (tmp_path / "trials" / "x").exists()
    assert not (tmp_path / "plan.json").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_fresh_does_not_follow_links(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    finished(folder)
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (folder / "trials").rmdir()
    (folder / "trials").symlink_to(elsewhere)
    ResultsFolder.open(folder, experiment(), fresh=True).close()
    assert (elsewhere / "file").exists()


def test_a_run_killed_while_it_made_its_folder_goes_on(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "trials").mkdir()
    finished(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for folder in (path, path / "inner"):
        with pytest.raises(ResultsFolderError, match="is a file, where a results folder is wanted"):
            ResultsFolder.open(folder, experiment())


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"kind": "Pod", "metadata": {"name": "scripted"}}'])
def test_a_damaged_experiment_is_a_sentence(tmp_path: Path, content: str) -> None:
    finished(tmp_path)
    (tmp_path / "experiment.json").write_text(content)
    for attempt in (
        lambda: ResultsFolder.read(tmp_path),
        lambda: ResultsFolder.open(tmp_path, experiment(), fresh=True),
    ):
        with pytest.raises(ResultsFolderError, match=r"experiment\.json is not an experiment that was run here"):
            attempt()
    assert (tmp_path / "journal/0001.jsonl").exists()


def test_an_experiment_of_another_version_is_a_sentence(tmp_path: Path) -> None:
    finished(tmp_path)
    path = tmp_path / "experiment.json"
    path.write_text(path.read_text().replace('"seeds": 1', '"seeds": 1, "planets": 9'))
    with pytest.raises(ResultsFolderError, match=r"cannot be read by this version: .*planets"):
        ResultsFolder.read(tmp_path)
    finished(tmp_path, "b")
    assert len(ResultsFolder.read(tmp_path).records()) == 2


@pytest.mark.parametrize("make", [False, True])
def test_reading_what_is_no_results_folder_is_a_sentence(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "folder"
    if make:
        folder.mkdir()
    with pytest.raises(ResultsFolderError, match=r"is not a results folder: it has no experiment\.json"):
        ResultsFolder.read(folder)


def test_a_read_only_file_system_is_a_sentence(small_disk: Path) -> None:
    finished(small_disk / "r")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ResultsFolderError, match=r"cannot be used \(Read-only file system\)"):
        ResultsFolder.open(small_disk / "r", experiment())
    assert ResultsFolder.read(small_disk / "r").records()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_others_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ResultsFolderError, match=r"cannot be used \(Permission denied\)"):
        ResultsFolder.open(tmp_path / "r", experiment())


def test_a_full_disk_is_a_sentence_with_what_is_free(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(2**21))
    with pytest.raises(DiskFullError, match=r"0\.0 MiB of 1\.0 MiB are free.*finished trials are kept") as caught:
        ResultsFolder.open(small_disk / "r", experiment())
    assert isinstance(caught.value, ConfigurationError)


def test_warnings_of_the_journal_are_there(tmp_path: Path) -> None:
    finished(tmp_path)
    with (tmp_path / "journal/0001.jsonl").open("ab") as file:
        file.write(b'{"event":"ended","rec')
    with ResultsFolder.open(tmp_path, experiment()) as results:
        assert "was cut off" in results.warnings[0]
        assert results.records()
    assert len(ResultsFolder.read(tmp_path).warnings) == 1


def test_files_are_written_whole(tmp_path: Path) -> None:
    with ResultsFolder.open(tmp_path, experiment()) as results:
        results.write_file("plan.json", b"{}")
        results.write_file("plan.json", b"[]")
    assert (tmp_path / "plan.json").read_bytes() == b"[]"
