"""Trials of one worker on Ray: the same events, records and numbers as without it, and the same faults."""

import os
import signal
import time
from pathlib import Path

import pytest
from ray_runs import RayRun, lane_processes
from scripted_plan import Run, family, trial, trial_id
from scripted_trials import calls

from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailureClass
from scaling_trainer.executors.base import (
    AttemptFailed,
    Capacity,
    Event,
    LaneReplaced,
    Outcome,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)
from scaling_trainer.executors.ray.connection import Connection
from scaling_trainer.results import ResultsFolder

A = trial_id("a")


def losses(outcome: Outcome) -> dict[str, float | None]:
    return {id_: record.status.metrics.loss for id_, record in outcome.records.items()}


def test_numbers_and_order_are_those_of_local_lanes(ray_here: Connection, tmp_path: Path) -> None:
    run = RayRun(ray_here, tmp_path / "ray", family(2))
    outcome = run()
    assert losses(outcome) == losses(Run(tmp_path / "local", family(2))())
    begun, ended = calls(run.folder, "begin"), calls(run.folder, "end")
    assert sorted(begun) == sorted(ended) == sorted(outcome.records)
    for t in run.trials:
        assert all(ended.index(parent) < begun.index(t.id) for parent in t.parents)
    started = {e.trial.id for e in run.of(TrialStarted)}
    assert started == {e.record.spec.id for e in run.of(TrialEnded)} == outcome.records.keys()
    assert run.folder.joinpath("logs").exists()
    assert list((run.folder / "logs").iterdir()) == []


def test_lanes_are_kept_with_one_thread_each_and_the_same_environment(ray_here: Connection, tmp_path: Path) -> None:
    RayRun(ray_here, tmp_path, [trial(str(i)) for i in range(20)])()
    lines = [line.split() for line in (tmp_path / "calls.log").read_text().splitlines()]
    assert len({pid for _, _, pid, _ in lines}) <= 2
    assert {threads for *_, threads in lines} == {"1"}


def test_two_hundred_trivial_trials_take_little(ray_here: Connection, tmp_path: Path) -> None:
    run = RayRun(ray_here, tmp_path, [trial(str(i)) for i in range(200)], function="scripted_trials:do_nothing")
    moments: list[float] = []
    run.on_event = lambda event: moments.append(time.monotonic())
    assert len(run().records) == 200
    a_trial = (moments[-1] - moments[0]) / 200
    assert a_trial < 0.2, f"{a_trial * 1e3:.1f} ms a trial"


@pytest.mark.parametrize(
    ("fault", "failure_class", "reason"),
    [
        ("raise", FailureClass.APPLICATION, "RuntimeError"),
        ("exit", FailureClass.APPLICATION, "WorkerExited"),
        ("segfault", FailureClass.APPLICATION, "WorkerCrashed"),
        ("kill", FailureClass.INFRASTRUCTURE, "WorkerKilled"),
    ],
)
def test_a_fault_is_whose_it_would_be_without_ray(
    ray_here: Connection, tmp_path: Path, fault: str, failure_class: FailureClass, reason: str
) -> None:
    trials = [trial("a", steps=9), trial("b", "a"), trial("other")]
    run = RayRun(ray_here, tmp_path / "r", trials, {"a": f"every=2 fault={fault} at=7 once"})
    outcome = run()
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    (failed,) = run.of(AttemptFailed)
    assert isinstance(failed, AttemptFailed)
    assert (failed.failure.failure_class, failed.failure.reason) == (failure_class, reason)
    started = [(e.attempt, e.resumed) for e in run.of(TrialStarted) if e.trial.id == A]
    assert started == [(1, False), (2, True)]
    assert losses(outcome) == losses(Run(tmp_path / "local", trials)())


def test_a_lost_ray_worker_is_replaced_and_its_trial_resumed(ray_here: Connection, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, TrialProgress) and event.trial.id == A and event.step > 3 and not killed:
            lines = (tmp_path / "r/calls.log").read_text().splitlines()
            lane = next(int(line.split()[2]) for line in lines if f"begin {A}" in line)
            killed.append(int(Path(f"/proc/{lane}/stat").read_text().rpartition(")")[2].split()[1]))
            os.kill(killed[0], signal.SIGKILL)  # the actor's process, not the lane's own

    trials = [trial("a", steps=8), trial("b", steps=8)]
    execution = Execution(retries=Retries(application=0))
    run = RayRun(ray_here, tmp_path / "r", trials, "pause=0.1 every=1", execution=execution, on_event=kill)
    outcome = run()
    assert killed
    assert losses(outcome) == losses(Run(tmp_path / "local", trials)())
    (failed,) = run.of(AttemptFailed)
    assert isinstance(failed, AttemptFailed)
    assert (failed.failure.failure_class, failed.failure.reason) == (FailureClass.INFRASTRUCTURE, "WorkerLost")
    (replaced,) = run.of(LaneReplaced)
    assert isinstance(replaced, LaneReplaced)
    assert "\n" not in replaced.reason
    assert [e.resumed for e in run.of(TrialStarted) if e.trial.id == A] == [False, True]


def test_a_polite_signal_ends_the_run_promptly(ray_here: Connection, tmp_path: Path) -> None:
    asked: list[str] = []

    def stop(event: Event) -> None:
        if isinstance(event, TrialProgress) and event.step >= 3 and not asked:
            asked.append(event.trial.id)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    run = RayRun(ray_here, tmp_path, [trial("a", steps=200)], "pause=0.1 every=1", on_event=stop)
    outcome = run()
    assert outcome.interrupted
    assert outcome.records == {}, "it waited for the trial's end"
    assert signal.getsignal(signal.SIGINT) == before
    assert RayRun(ray_here, tmp_path, [trial("a", steps=50)], "every=1")().records.keys() == {A}


def test_a_function_that_cannot_be_imported_stops_the_run(ray_here: Connection, tmp_path: Path) -> None:
    stopped = RayRun(ray_here, tmp_path, [trial("a")], function="no_such_module:run")().stopped
    assert stopped is not None
    assert stopped.failure_class is FailureClass.CONFIGURATION
    assert "no_such_module:run, which runs trials, cannot be imported" in stopped.message


def test_what_is_up_is_told_at_any_time(ray_here: Connection, tmp_path: Path) -> None:
    run = RayRun(ray_here, tmp_path, [trial("a")])
    lanes: list[int] = []
    run.on_event = lambda event: lanes.append(run.executor.lanes if run.executor else 0)
    run()
    assert run.executor is not None
    assert set(lanes) == {1}
    assert run.executor.lanes == 0
    assert run.executor.capacity() == {"local": Capacity(nodes=1, accelerators=2)}
    run.executor.close()
    assert run.executor.capacity() != {}, "it was lent its Ray"


def test_no_process_is_left_when_the_listener_fails(ray_here: Connection, tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, TrialProgress):
            assert lane_processes()
            raise LookupError

    with pytest.raises(LookupError):
        RayRun(ray_here, tmp_path, [trial("a", steps=100)], "pause=0.05", on_event=fail)()
    assert ResultsFolder.read(tmp_path).records() == {}
