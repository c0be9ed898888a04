"""What fails, fails alone: the right trials are tried again, the right sentences are told."""

import os
import signal
import time
from pathlib import Path

import pytest
from scripted_plan import Run, family, trial, trial_id
from scripted_trials import calls

from scaling_api.v1alpha1.execution import Retries
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailureClass
from scaling_trainer.executors.base import (
    AttemptFailed,
    Event,
    LaneReplaced,
    Notice,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)
from scaling_trainer.journal import AttemptEnded, read_journal
from scaling_trainer.results import ResultsFolder

A, B, C = (trial_id(name) for name in "abc")


def chain() -> list:
    return [trial("a"), trial("b", "a"), trial("c", "b"), trial("other")]


def expected_losses(tmp_path: Path, trials: list) -> dict[str, float | None]:
    records = Run(tmp_path / "undisturbed", trials)().records
    return {id_: record.status.metrics.loss for id_, record in records.items()}


def found_losses(folder: Path) -> dict[str, float | None]:
    return {id_: record.status.metrics.loss for id_, record in ResultsFolder.read(folder).records().items()}


APPLICATION = {
    "raise": ("RuntimeError", "mistake (scripted_trials.py"),
    "unshowable": ("UnshowableError", "UnshowableError"),
    "surrogate": ("ValueError", "broken"),
    "long": ("ValueError", "xxx"),
    "memory": ("OutOfMemory", "ran out of memory"),
    "recursion": ("RecursionError", "recursion"),
    "systemexit": ("SystemExit", "3"),
    "interrupt": ("KeyboardInterrupt", "KeyboardInterrupt"),
    "exit": ("WorkerExited", "with status 5"),
    "segfault": ("WorkerCrashed", "SIGSEGV"),
}


@pytest.mark.parametrize("fault", APPLICATION)
def test_a_trials_own_failure_is_retried_then_told(tmp_path: Path, fault: str) -> None:
    reason, words = APPLICATION[fault]
    run = Run(tmp_path, chain(), {"a": f"fault={fault}"}, retries=Retries(application=2))
    outcome = run()
    failure = outcome.records[A].status.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == (FailureClass.APPLICATION, reason)
    assert words in failure.message
    assert outcome.records[A].status.state is TrialState.FAILED
    assert outcome.records[A].status.attempts == 3
    assert calls(tmp_path, "begin").count(A) == 3
    assert [e.attempt for e in run.events if isinstance(e, AttemptFailed)] == [1, 2]
    assert outcome.records[trial_id("other")].status.state is TrialState.SUCCEEDED
    assert outcome.stopped is None


def test_children_of_a_failed_trial_are_not_run_and_say_so(tmp_path: Path) -> None:
    run = Run(tmp_path, chain(), {"a": "fault=raise"}, max_failed_trials=1)
    outcome = run()
    for id_ in (B, C):
        status = outcome.records[id_].status
        assert status.state is TrialState.FAILED
        assert status.failure is not None
        assert status.failure.reason == "ParentFailed"
        assert A in status.failure.message
        assert status.attempts == 0
    assert not {B, C} & set(calls(tmp_path, "begin"))
    assert {e.record.spec.id for e in run.events if isinstance(e, TrialEnded)} == outcome.records.keys()


def test_failed_trials_are_tried_again_by_the_next_run(tmp_path: Path) -> None:
    Run(tmp_path, chain(), {"a": "fault=raise"})()
    outcome = Run(tmp_path, chain())()
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    assert outcome.records[A].status.attempts == 3
    assert found_losses(tmp_path) == expected_losses(tmp_path, chain())


def test_diverged_trials_are_results_and_their_children_are_never_run(tmp_path: Path) -> None:
    run = Run(tmp_path, chain(), {"a": "state=Diverged"}, max_failed_trials=0)
    outcome = run()
    again = Run(tmp_path, chain(), {"a": "state=Diverged"})
    for records in (outcome.records, again().records):
        assert records[A].status.state is TrialState.DIVERGED
        failure = records[B].status.failure
        assert failure is not None
        assert failure.reason == "ParentFailed"
        assert "diverged" in failure.message
    assert calls(tmp_path, "begin").count(A) == 1
    assert outcome.stopped is None
    rows = [row for row in read_journal(tmp_path / "journal").rows if isinstance(row, AttemptEnded)]
    assert sum(row.record.spec.id == B for row in rows) == 1


def test_too_many_failed_trials_stop_the_run(tmp_path: Path) -> None:
    trials = [trial(str(i)) for i in range(30)]
    outcome = Run(tmp_path, trials, "fault=raise", retries=Retries(application=0), max_failed_trials=3)()
    assert outcome.stopped is not None
    assert outcome.stopped.reason == "TooManyFailedTrials"
    assert "4 trials have failed" in outcome.stopped.message
    assert "mistake" in outcome.stopped.message
    assert len(outcome.records) in {4, 5}  # the other lane may have failed too before it was stopped


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("return_nonsense", "TypeError"),
        ("return_nan", "ValidationError"),
        ("return_nothing_finished", "InvalidResult"),
    ],
)
def test_what_is_no_result_is_a_failure(tmp_path: Path, function: str, reason: str) -> None:
    outcome = Run(tmp_path, [trial("a"), trial("b")], function=f"scripted_trials:{function}")()
    for record in outcome.records.values():
        assert record.status.failure is not None
        assert record.status.failure.reason == reason


@pytest.mark.parametrize("function", ["no_such_module:run", "scripted_trials:no_such_function"])
def test_a_function_that_cannot_be_imported_stops_the_run(tmp_path: Path, function: str) -> None:
    outcome = Run(tmp_path, [trial("a")], function=function)()
    assert outcome.stopped is not None
    assert outcome.stopped.failure_class is FailureClass.CONFIGURATION
    assert f"{function}, which runs trials, cannot be imported" in outcome.stopped.message


def test_processes_that_cannot_start_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    outcome = Run(tmp_path, [trial("a")])()
    assert outcome.stopped is not None
    assert outcome.stopped.reason == "WorkersCannotStart"


@pytest.mark.parametrize("fault", ["kill", "fork", "mute"])
def test_a_killed_process_is_replaced_and_its_trial_resumed(tmp_path: Path, fault: str) -> None:
    trials = [trial("a", steps=9), trial("b", "a"), trial("other")]
    run = Run(tmp_path, trials, {"a": f"every=2 fault={fault} at=7 once"}, retries=Retries(application=0))
    begin = time.monotonic()
    outcome = run()
    assert time.monotonic() - begin < 10
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    started = [e for e in run.events if isinstance(e, TrialStarted) and e.trial.id == A]
    assert [(e.attempt, e.resumed) for e in started] == [(1, False), (2, True)]
    (replaced,) = [e for e in run.events if isinstance(e, LaneReplaced)]
    assert "killed by SIGKILL" in replaced.reason
    (failed,) = [e for e in run.events if isinstance(e, AttemptFailed)]
    assert (failed.failure.failure_class, failed.failure.reason) == (FailureClass.INFRASTRUCTURE, "WorkerKilled")
    assert found_losses(tmp_path) == expected_losses(tmp_path, trials)


def test_a_trial_that_is_always_killed_is_given_up(tmp_path: Path) -> None:
    run = Run(tmp_path, chain(), {"a": "fault=kill"}, retries=Retries(application=5, infrastructure=2))
    outcome = run()
    assert outcome.records[A].status.attempts == 3
    failure = outcome.records[A].status.failure
    assert failure is not None
    assert "memory" in failure.message
    assert outcome.records[trial_id("other")].status.state is TrialState.SUCCEEDED


def test_a_process_killed_from_outside_is_replaced(tmp_path: Path) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, TrialProgress) and event.trial.id == A and event.step > 3 and not killed:
            lines = (tmp_path / "calls.log").read_text().splitlines()
            killed.append(next(line.split()[2] for line in lines if f"begin {A}" in line))
            os.kill(int(killed[0]), signal.SIGKILL)

    killed: list[str] = []
    trials = [trial("a", steps=8), trial("b", steps=8)]
    outcome = Run(tmp_path, trials, "pause=0.1 every=1", on_event=kill)()
    assert killed
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    assert found_losses(tmp_path) == expected_losses(tmp_path, trials)


def test_a_mistake_of_the_user_stops_the_run_with_its_sentence(tmp_path: Path) -> None:
    trials = [trial(str(i), steps=5) for i in range(10)]
    scripts = {"default": "pause=0.05", "3": "fault=mistake at=1"}
    run = Run(tmp_path, trials, scripts)
    outcome = run()
    assert outcome.stopped is not None
    assert outcome.stopped.failure_class is FailureClass.CONFIGURATION
    assert outcome.stopped.message == "The corpus has 10 bytes; choose a larger one."
    assert calls(tmp_path, "begin").count(trial_id("3")) == 1
    assert trial_id("3") not in outcome.records
    assert not outcome.interrupted
    assert len(Run(tmp_path, trials)().records) == 10


@pytest.mark.parametrize("fault", ["full", "quota", "wrapped"])
def test_a_full_disk_in_a_trial_stops_the_run(tmp_path: Path, fault: str) -> None:
    trials = [trial(str(i)) for i in range(5)]
    outcome = Run(tmp_path, trials, {"2": f"fault={fault}"})()
    assert outcome.stopped is not None
    assert outcome.stopped.reason == "DiskFull"
    assert "are free" in outcome.stopped.message
    assert len(Run(tmp_path, trials)().records) == 5


def test_a_disk_that_really_fills_stops_the_run_and_more_room_lets_it_go_on(small_disk: Path) -> None:
    trials = family(3)
    folder = small_disk / "r"
    run = Run(folder, trials, "bytes=120000")
    outcome = run()
    assert outcome.stopped is not None
    assert outcome.stopped.reason == "DiskFull"
    assert "of 1.0 MiB are free" in outcome.stopped.message
    assert "Free some space" in outcome.stopped.message
    done = found_losses(folder)
    assert 2 <= len(done) < len(trials)
    assert ResultsFolder.read(folder).warnings == ()
    for ballast in folder.glob("trials/*/checkpoint/ballast"):
        ballast.unlink()
    outcome = Run(folder, trials)()
    assert outcome.stopped is None
    ended = calls(folder, "end")
    assert all(ended.count(id_) == 1 for id_ in done)
    assert found_losses(folder) == expected_losses(small_disk, trials)


def test_a_disk_too_full_for_the_journal_stops_the_run(small_disk: Path) -> None:
    def fill(event: Event) -> None:
        if isinstance(event, TrialStarted) and event.trial.id == trial_id("3"):
            with pytest.raises(OSError, match="No space"):
                (small_disk / "ballast").write_bytes(bytes(2**21))

    trials = [trial(str(i)) for i in range(60)]
    outcome = Run(small_disk / "r", trials, function="scripted_trials:do_nothing", on_event=fill)()
    assert outcome.stopped is not None
    assert outcome.stopped.reason == "DiskFull"
    (small_disk / "ballast").unlink()
    again = Run(small_disk / "r", trials, function="scripted_trials:do_nothing")()
    assert (again.stopped, len(again.records)) == (None, 60)
    assert ResultsFolder.read(small_disk / "r").warnings == ()


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_parents_lost_checkpoint_is_made_again(tmp_path: Path, damage: str) -> None:
    Run(tmp_path, [trial("a"), trial("b", "a")])()
    before = found_losses(tmp_path)
    for name in (A, B):
        manifest = tmp_path / "trials" / name / "checkpoint" / "manifest.json"
        manifest.unlink() if damage == "missing" else manifest.write_text("{}")
    run = Run(tmp_path, chain())
    outcome = run()
    assert outcome.stopped is None
    assert found_losses(tmp_path) == expected_losses(tmp_path, chain())
    assert found_losses(tmp_path).items() >= before.items()
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    notices = [e.message for e in run.events if isinstance(e, Notice)]
    assert any(f"The trial {A}" in message and "is run again" in message for message in notices)
    assert any(f"The trial {B}" in message for message in notices)
    assert not any("other numbers" in message for message in notices)


def test_siblings_that_find_a_damaged_checkpoint_wait_for_the_same_repair(tmp_path: Path) -> None:
    Run(tmp_path, [trial("a")])()
    (tmp_path / "trials" / A / "checkpoint" / "manifest.json").write_text("{}")
    trials = [trial("a"), *(trial(f"child {i}", "a") for i in range(6))]
    outcome = Run(tmp_path, trials, lanes=3)()
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    assert found_losses(tmp_path) == expected_losses(tmp_path, trials)
    assert calls(tmp_path, "end").count(A) == 2


def test_a_parent_that_gives_other_numbers_the_second_time_is_told_and_not_believed(tmp_path: Path) -> None:
    Run(tmp_path, [trial("a")])()
    before = found_losses(tmp_path)
    changed = [trial("a", steps=4), trial("b", "a")]
    (tmp_path / "trials" / A / "checkpoint" / "manifest.json").unlink()
    run = Run(tmp_path, changed)
    run()
    assert found_losses(tmp_path)[A] == before[A]
    assert any("gave other numbers" in e.message for e in run.events if isinstance(e, Notice))


def test_a_trials_own_damaged_checkpoint_is_discarded_and_said(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, TrialProgress) and event.step > 5:
            os.kill(os.getpid(), signal.SIGTERM)

    trials = [trial("a", steps=10)]
    assert Run(tmp_path, trials, "pause=0.1 every=4", on_event=stop)().interrupted
    (notes,) = (tmp_path / "trials" / A / "checkpoint").glob("notes-*")
    notes.write_bytes(notes.read_bytes().replace(b"[", b" "))
    run = Run(tmp_path, trials)
    outcome = run()
    assert outcome.records[A].status.state is TrialState.SUCCEEDED
    (notice,) = [e.message for e in run.events if isinstance(e, Notice)]
    assert "has SHA-256" in notice
    assert "It was removed, and its trial does that work again" in notice
    assert [e.resumed for e in run.events if isinstance(e, TrialStarted)] == [False]
    assert found_losses(tmp_path) == expected_losses(tmp_path, trials)


def test_a_torn_journal_runs_the_lost_trial_again(tmp_path: Path) -> None:
    Run(tmp_path, chain())()
    before = found_losses(tmp_path)
    path = tmp_path / "journal" / "0001.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    outcome = Run(tmp_path, chain())()
    assert len(outcome.records) in {4, 5}  # the other lane may have failed too before it was stopped
    assert found_losses(tmp_path) == before
    assert sorted(calls(tmp_path, "begin").count(t.id) for t in chain()) == [1, 1, 1, 2]
