"""What the driver tells becomes ScalingTrials, once; what cannot be true is refused, and the experiment goes on."""

from dataclasses import replace
from typing import Any

import pytest
from scene import UID, Scene, answer, infrastructure, is_idle, loss_of, record, row, running, scene, state, worker

from scaling_api.driver_protocol import DriverPhase, Row
from scaling_api.v1alpha1.status import Spent, TrialState
from scaling_api.v1alpha1.trial import TrialMetrics, TrialRecord, TrialSpec
from scaling_operator.decision import Cursor
from scaling_operator.observed import DriverAnswer

RUNNING, SUCCEEDED, FAILED = TrialState.RUNNING, TrialState.SUCCEEDED, TrialState.FAILED


def told(begun: Scene, *rows: Row, **fields: Any) -> Scene:
    """Return the scene after the driver has told more rows."""
    seen = begun.observed.driver
    assert isinstance(seen, DriverAnswer)
    last = rows[-1].number if rows else seen.read
    new = seen.state.model_copy(update={"last_row": last, **fields})
    return begun.but(driver=replace(seen, state=new, rows=rows))


def points(begun: Scene) -> list[TrialSpec]:
    return [trial for trial in begun.trials if trial.kind == "Dense"]


def test_rows_become_records_each_by_its_last_state() -> None:
    begun = running()
    first, second = points(begun)[:2]
    rows = (row(1, record(first, RUNNING)), row(2, record(second, RUNNING)), row(3, record(first, SUCCEEDED)))
    decision = told(begun, *rows).decide()
    assert [(r.spec.id, r.status.state) for r in decision.trials] == [(first.id, SUCCEEDED), (second.id, RUNNING)]
    assert decision.cursor == Cursor("000001-0123abcd", 3)
    assert decision.status is not None
    counts = decision.status.trials
    assert (counts.succeeded, counts.running, counts.pending) == (1, 1, 6)
    assert decision.status.best_loss == loss_of(first.id)
    assert decision.status.summary.trials == "1/8"


def test_rows_that_come_again_write_nothing() -> None:
    begun = running()
    rows = tuple(row(n + 1, record(trial, SUCCEEDED)) for n, trial in enumerate(begun.trials[:3]))
    once = told(begun, *rows).settled()
    again = told(once, *rows)
    assert is_idle(again.decide()), "a restarted operator reads an epoch from its beginning"
    assert again.decide().cursor is not None


@pytest.mark.parametrize("known", [SUCCEEDED, FAILED, TrialState.DIVERGED, TrialState.CACHED])
@pytest.mark.parametrize("new", [RUNNING, TrialState.PENDING, FAILED, SUCCEEDED, TrialState.INTERRUPTED])
def test_a_finished_trial_is_never_changed(known: TrialState, new: TrialState) -> None:
    begun = running()
    trial = points(begun)[0]
    begun = begun.with_records(record(trial, known))
    assert told(begun, row(1, record(trial, new, attempts=9))).decide().trials == ()


def test_a_row_of_an_earlier_attempt_is_old_news() -> None:
    begun = running()
    trial = points(begun)[0]
    begun = begun.with_records(record(trial, RUNNING, attempts=3))
    assert told(begun, row(1, record(trial, TrialState.INTERRUPTED, attempts=2))).decide().trials == ()
    (newer,) = told(begun, row(1, record(trial, TrialState.PENDING, attempts=3))).decide().trials
    assert newer.status.state is TrialState.PENDING


def foreign(begun: Scene) -> TrialRecord:
    trial = points(begun)[0].model_copy(update={"id": "f" * 16})
    return record(trial, SUCCEEDED)


def without_loss(begun: Scene) -> TrialRecord:
    return TrialRecord(spec=points(begun)[0], status=record(points(begun)[0], SUCCEEDED).status.model_copy(
        update={"metrics": TrialMetrics()}))  # fmt: skip


@pytest.mark.parametrize("lie", [foreign, without_loss])
def test_a_lie_is_refused_and_told_once_and_the_rest_is_recorded(lie: Any) -> None:
    begun = running()
    good = points(begun)[1]
    lied = told(begun, row(1, lie(begun)), row(2, record(good, SUCCEEDED)))
    decision = lied.decide()
    assert [r.spec.id for r in decision.trials] == [good.id]
    assert [event.reason for event in decision.events if event.type == "Warning"] == ["RowsRefused"]
    assert "row 1" in decision.events[0].message
    assert decision.cursor == Cursor("000001-0123abcd", 2), "it is not read again"
    assert is_idle(lied.passed().settled().decide())


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.INTERRUPTED, TrialState.PENDING])
def test_a_trial_that_was_begun_under_an_earlier_plan_is_no_lie(state: TrialState) -> None:
    begun = running()
    dropped = foreign(begun).spec
    decision = told(begun, row(1, record(dropped, state))).decide()
    assert not decision.trials
    assert not decision.events


def test_a_record_has_the_plans_spec_whatever_the_driver_says_of_it() -> None:
    begun = running()
    trial = points(begun)[0]
    lie = trial.model_copy(update={"tokens": trial.tokens * 1000, "cumulative_flops": 1.0})
    (written,) = told(begun, row(1, record(lie, SUCCEEDED))).decide().trials
    assert written.spec == trial


def test_what_could_not_be_read_is_told() -> None:
    begun = running()
    seen = begun.observed.driver
    assert isinstance(seen, DriverAnswer)
    unread = begun.but(driver=replace(seen, refused=("its rows were refused: more than 8 MiB",)))
    assert [event.reason for event in unread.decide().events] == ["RowsRefused"]


def test_a_driver_of_another_experiment_is_not_believed() -> None:
    begun = running()
    trial = points(begun)[0]
    other = told(begun, row(1, record(trial, SUCCEEDED)), experiment=UID.replace("0", "1"))
    decision = other.decide()
    assert decision.trials == ()
    assert decision.message is None
    assert other.passed().says("ClusterReady") == ("False", "DriverForeign")


def test_an_earlier_ray_jobs_driver_is_not_listened_to() -> None:
    begun = running()
    assert begun.status.ray_job is not None
    moved = begun.with_status(ray_job=begun.status.ray_job.model_copy(update={"attempt": 2, "uid": None}))
    late = moved.but(driver=answer(rows=[row(1, record(begun.trials[0], SUCCEEDED))]))
    assert late.decide().trials == ()


def test_failures_are_told_and_counted_by_class() -> None:
    begun = running()
    first, second, third = begun.trials[:3]
    broken = infrastructure("WorkerLost")
    rows = (
        row(1, record(first, TrialState.INTERRUPTED, failure=broken)),
        row(2, record(second, FAILED, failure=broken.model_copy(update={"reason": "NonFiniteLoss"}))),
        row(3, record(third, TrialState.DIVERGED)),
    )
    decision = told(begun, *rows).decide()
    assert [failure.reason for failure in decision.failures] == ["WorkerLost", "NonFiniteLoss"]
    assert {event.reason for event in decision.events} == {"TrialFailed", "TrialDiverged", "TrialsInterrupted"}
    assert decision.status is not None
    assert (decision.status.trials.failed, decision.status.trials.diverged) == (1, 1)


def test_children_of_a_failed_trial_are_not_told_one_by_one() -> None:
    begun = running()
    cause = infrastructure().model_copy(update={"reason": "NonFiniteLoss", "message": "The loss is not finite."})
    child = cause.model_copy(update={"reason": "ParentFailed", "message": "It was not run: its parent failed."})
    trials = begun.trials
    rows = [row(n, record(trial, FAILED, failure=child)) for n, trial in enumerate(trials[1:], start=1)]
    rows.append(row(len(trials), record(trials[0], FAILED, failure=cause)))
    events = [event for event in told(begun, *rows).decide().events if event.reason == "TrialFailed"]
    assert [trials[0].id in event.message for event in events] == [True]


def test_one_trial_that_was_interrupted_is_told_as_one() -> None:
    begun = running()
    events = told(begun, row(1, record(begun.trials[0], TrialState.INTERRUPTED))).decide().events
    assert [event.message for event in events] == ["1 trial was interrupted. It goes on from its checkpoint."]


def test_a_trial_that_left_the_plan_does_not_go_on() -> None:
    begun = running({"sweep": {"seeds": 2}})
    told_running = told(begun, *(row(n, record(trial, RUNNING)) for n, trial in enumerate(begun.trials, start=1)))
    smaller = told_running.settled().with_spec({"sweep": {"seeds": 1}}).settled()
    kept = {trial.id for trial in smaller.trials}
    gone = [trial for trial in begun.trials if trial.id not in kept]
    number = len(begun.trials) + 1
    one = told(smaller, row(number, record(gone[0], TrialState.INTERRUPTED))).decide().events
    assert [e.message for e in one if "nterrupted" in e.reason] == [
        "1 trial was interrupted. It is no longer in the plan."
    ]
    stays = next(trial for trial in begun.trials if trial.id in kept)
    rows = (row(number + n, record(trial, TrialState.INTERRUPTED)) for n, trial in enumerate((gone[0], stays)))
    both = told(smaller, *rows).decide().events
    assert [e.message for e in both if "nterrupted" in e.reason] == [
        "2 trials were interrupted. They go on from their checkpoints, but for 1 no longer in the plan."
    ]


def test_a_new_life_of_the_driver_is_an_infrastructure_failure_and_is_read_from_its_beginning() -> None:
    begun = running()
    trial = begun.trials[0]
    begun = told(begun, row(1, record(trial, RUNNING))).settled()
    restarted = begun.but(driver=DriverAnswer(
        1, state(epoch="000002-89abcdef", last_row=1), rows=(row(1, record(trial, TrialState.INTERRUPTED)),)
    ))  # fmt: skip
    decision = restarted.decide()
    assert [failure.reason for failure in decision.failures][-1] == "DriverRestarted"
    assert decision.cursor == Cursor("000002-89abcdef", 1)
    assert decision.trials[0].status.state is TrialState.INTERRUPTED
    assert decision.message is not None, "it has no plan yet"


def test_what_was_spent_only_grows() -> None:
    begun = running({"execution": {"pools": [{"name": "gpu", "accelerator": {"perNode": 4}, "hourlyPrice": 3.6}]}})
    spent = told(begun, spent=Spent(training_flops=5e9, accelerator_seconds=100.0, cost=0.1)).passed()
    assert spent.status.spent == Spent(training_flops=5e9, accelerator_seconds=100.0, cost=0.1)
    lower = told(spent, spent=Spent(training_flops=1e9, accelerator_seconds=1.0)).passed()
    assert lower.status.spent == spent.status.spent
    assert spent.status.summary.spent == "5.00e+09 FLOPs, 0.028 h, cost 0.10"


def test_pods_are_the_check_on_the_drivers_ledger() -> None:
    begun = running({"execution": {"pools": [{"name": "gpu", "accelerator": {"perNode": 4}, "hourlyPrice": 3.6}]}})
    started = begun.now.replace(hour=11)
    pods = (worker(1, pool="gpu", started_at=started), worker(2, pool="gpu", started_at=started, ended_at=begun.now))
    seen = told(begun.but(pods=pods)).passed().status.spent
    assert seen.accelerator_seconds == 2 * 4 * 3600
    assert seen.cost == pytest.approx(2 * 4 * 3.6)


def test_rows_wait_where_ids_are_not_known_yet() -> None:
    users = {"task": {"language": {"corpus": {"uri": "s3://texts/mine"}}}}
    begun = scene(users).settled()
    rows = [row(1, record(scene().trials[0], SUCCEEDED))]
    heard = begun.but(driver=answer(DriverPhase.WAITING, rows))
    assert heard.decide().trials == ()
    assert heard.decide().cursor is None
