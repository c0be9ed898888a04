"""What trials say is in the container's log, each line with the trial's id."""

import sys
import time
from pathlib import Path

import pytest
from scripted_plan import trial, trial_id

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailureClass, TrialMetrics, TrialStatus
from scaling_trainer import container_log
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.messages import Lost, Progress, Ready, Returned, Work
from scaling_trainer.executors.ray.trial_words import TrialWords, told

A, B = trial_id("a"), trial_id("b")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """This process is in one of Ray's containers, whose log is this file."""
    path = tmp_path / "container.log"
    path.touch()
    monkeypatch.setenv("KUBERAY_GEN_RAY_START_CMD", "ray start")
    monkeypatch.setattr(container_log, "_FIRST_PROCESS", str(path))
    return path


def test_lines_carry_the_id_of_the_trial_that_printed_them(log: Path, tmp_path: Path) -> None:
    printed = tmp_path / "lane.log"
    printed.write_text("before the first trial\n")
    words = TrialWords(printed=printed)
    words.heard(Ready())
    words.begin(Work(trial=trial("a"), attempt="1-1"), lane=3)
    words.heard(Progress(step=10, last_step=2000))
    words.heard(Progress(step=20, last_step=2000))
    with printed.open("a") as stream:
        stream.write("Traceback:\n\n  of a\nhalf a li")
    words.heard(Returned(status=TrialStatus(state=TrialState.SUCCEEDED, metrics=TrialMetrics(loss=1.25))))
    with printed.open("a") as stream:
        stream.write("ne\n")
    words.begin(Work(trial=trial("b"), attempt="1-1"), lane=3)
    words.heard(Lost(failure=failure(FailureClass.INFRASTRUCTURE, "WorkerKilled", "It was killed.")))
    first, *lines = log.read_text().splitlines()
    assert first == "before the first trial"
    assert lines[0].startswith(f"trial {A}: attempt 1-1 begins, on lane 3")
    assert lines[1:6] == [
        f"trial {A}: step 10 of 2,000",
        f"trial {A}: Traceback:",
        f"trial {A}:   of a",
        f"trial {A}: Succeeded, loss 1.25",
        f"trial {A}: half a line",
    ]
    assert lines[6].startswith(f"trial {B}: attempt 1-1 begins")
    assert lines[7:] == [f"trial {B}: Infrastructure, WorkerKilled: It was killed."]


def test_what_a_silent_trial_prints_comes_by_itself(log: Path, tmp_path: Path) -> None:
    printed = tmp_path / "lane.log"
    words = TrialWords(printed=printed)
    words.begin(Work(trial=trial("a"), attempt="1-1"), lane=0)
    printed.write_text("a word\n")
    deadline = time.monotonic() + 30
    while f"trial {A}: a word\n" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_workers_of_a_gang_are_heard_too(log: Path) -> None:
    with told(A):
        sys.stderr.write("one\ntwo")
        sys.stdout.write("!\n\nrest")
    assert log.read_text().splitlines() == [f"trial {A}: {text}" for text in ("one", "two!", "rest")]


def test_outside_of_a_container_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERAY_GEN_RAY_START_CMD", raising=False)
    words = TrialWords(printed=tmp_path / "none")
    words.begin(Work(trial=trial("a"), attempt="1-1"), lane=0)
    words.heard(Progress(step=1, last_step=2))
    before = sys.stderr
    with told(A):
        assert sys.stderr is before
