"""How an experiment ends: done, given up, asked something else; and how it is opened again."""

from typing import Any

import pytest
from scene import (
    NOW,
    DriverPhase,
    Scene,
    answer,
    finished,
    hash_of,
    head,
    is_idle,
    job,
    obeyed,
    record,
    row,
    running,
    scene,
    stopped,
)

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_operator.observed import DriverAnswer

CONDITIONS = [
    "Accepted", "Suspended", "ClusterReady", "TrialsComplete", "Fitted", "BudgetExhausted", "Complete", "Failed",
]  # fmt: skip


def test_a_finished_sweep_is_recorded_fitted_stopped_and_complete() -> None:
    done = finished(running())
    recorded = done.passed()
    assert len(recorded.observed.trials) == 8
    assert recorded.says("TrialsComplete") == ("True", "AllFinished")
    assert recorded.says("Complete") == ("False", "Stopping")
    stop = recorded.decide().message
    assert stop is not None
    assert stop.intent is Intent.STOP
    over = stopped(recorded)
    assert not over.observed.ray_jobs
    assert over.says("Complete") == ("True", "Completed")
    assert over.says("Fitted") == ("True", "LawsFitted")
    assert over.says("ClusterReady") == ("False", "NotNeeded")
    assert over.status.finished_at == NOW
    assert [c.type for c in over.status.conditions] == CONDITIONS
    assert is_idle(over.decide())


def test_an_idle_experiment_is_left_alone_also_by_a_restarted_operator() -> None:
    over = stopped(finished(running()))
    for later in (60, 86_400, 10**7):
        assert is_idle(over.later(later).decide())
    restarted = over.but(plan=None, analysis=None)
    assert is_idle(restarted.decide()), "nothing is planned or fitted again"


def test_records_that_are_removed_after_the_end_are_said_to_be_gone_and_can_be_had_again() -> None:
    over = stopped(finished(running()))
    records = dict(over.observed.trials)
    lost = records.pop(over.trials[0].id)
    robbed = over.but(trials=records, plan=None, analysis=None)
    assert [event.reason for event in robbed.decide().events] == ["RecordsMissing"]
    told = robbed.passed()
    assert "were removed" in told.condition("TrialsComplete").message
    assert told.status.laws == over.status.laws
    assert is_idle(told.decide())
    whole = told.but(trials=over.observed.trials).passed()
    assert whole.status == over.status
    again = told.with_spec({"suspend": True}).settled().with_spec({}).settled()
    (made,) = again.observed.ray_jobs
    again = again.but(ray_jobs=(job(2, uid=made.uid),), pods=(head(2),), driver=answer(DriverPhase.WAITING, attempt=2))
    back = obeyed(again).but(driver=answer(DriverPhase.RUNNING, [row(1, lost)], attempt=2)).passed()
    assert back.observed.trials == over.observed.trials


def test_stop_waits_for_every_row() -> None:
    begun = running()
    all_rows = finished(begun)
    seen = all_rows.observed.driver
    assert isinstance(seen, DriverAnswer)
    half = all_rows.but(driver=answer(DriverPhase.FINISHED, seen.rows[:8], plan_hash=hash_of(begun), last_row=9))
    waiting = half.passed().settled()
    assert waiting.decide().message is None
    assert waiting.status.ray_job is not None
    assert not waiting.status.ray_job.is_collected
    newer = waiting.but(driver=answer(DriverPhase.FINISHED, plan_hash=hash_of(begun), read=9))
    stop = newer.passed().decide().message
    assert stop is not None
    assert stop.intent is Intent.STOP


def test_a_changed_question_is_answered_without_a_cluster() -> None:
    over = stopped(finished(running()))
    asked = over.with_spec({"ask": {"trainingFlops": [1e18]}})
    assert asked.decide().wants_analysis is not None
    assert asked.passed().says("Complete") == ("False", "Fitting")
    again = asked.settled()
    assert again.says("Complete") == ("True", "Completed")
    assert again.status.ray_job == over.status.ray_job
    assert not again.observed.ray_jobs


def test_a_grown_sweep_opens_a_finished_experiment_again() -> None:
    grown = stopped(finished(running())).with_spec({"sweep": {"seeds": 2}}).settled()
    assert grown.status.finished_at is None
    assert grown.says("Complete") == ("False", "TrialsLeft")
    assert [seen.name for seen in grown.observed.ray_jobs] == ["bytes-a2"]
    assert grown.status.ray_job is not None
    assert grown.status.ray_job.failures == 0


def failed_trials(at: Scene, number: int, reason: str = "NonFiniteLoss") -> Scene:
    why = Failure(failure_class=FailureClass.APPLICATION, reason=reason, message="It failed.")
    rows = [row(n + 1, record(trial, TrialState.FAILED, failure=why)) for n, trial in enumerate(at.trials[:number])]
    return at.but(driver=answer(DriverPhase.RUNNING, rows, plan_hash=hash_of(at)))


def test_too_many_failed_trials_end_the_experiment_with_its_rows_collected() -> None:
    begun = running({"execution": {"maxFailedTrials": 2}})
    assert failed_trials(begun, 2).settled().says("Failed") == ("False", "NoFailure")
    many = failed_trials(begun, 3)
    assert many.passed().says("Failed") == ("True", "TooManyFailedTrials")
    over = stopped(many)
    assert over.says("Complete") == ("False", "Failed")
    assert over.status.summary.law.startswith("TooManyFailedTrials: More than 2 trials have failed")
    assert over.status.finished_at == NOW
    assert not over.observed.ray_jobs
    assert is_idle(over.later(10**6).decide())
    more = over.with_spec({"execution": {"maxFailedTrials": 5}}).settled()
    assert more.says("Failed") == ("False", "NoFailure")
    assert [seen.name for seen in more.observed.ray_jobs] == ["bytes-a2"]


def test_trials_that_lost_their_parent_do_not_count_as_failed_by_themselves() -> None:
    begun = running({"execution": {"maxFailedTrials": 2}})
    assert failed_trials(begun, 4, "ParentFailed").settled().says("Failed") == ("False", "NoFailure")


def test_a_driver_that_needs_a_person_ends_the_experiment() -> None:
    begun = running()
    why = Failure(failure_class=FailureClass.CONFIGURATION, reason="CorpusUnreadable", message="There is no s3://x.")
    over = stopped(begun.but(driver=answer(DriverPhase.FINISHED, plan_hash=hash_of(begun), stopped=why)))
    assert over.says("Failed") == ("True", "CorpusUnreadable")
    assert over.condition("Failed").message == "There is no s3://x."


@pytest.mark.parametrize(
    ("storage", "name"),
    [
        ({}, "the claim scaling-results: enlarge it"),
        ({"storage": {"uri": "s3://bucket/a"}}, "s3://bucket/a: enlarge it"),
    ],
)
def test_full_storage_is_named_with_what_to_do(storage: dict[str, Any], name: str) -> None:
    begun = running({"execution": storage})
    says = "There is no room left in the storage /results (No space left). Free some space there. " + "x" * 900
    why = Failure(failure_class=FailureClass.CONFIGURATION, reason="StorageFull", message=says)
    over = stopped(begun.but(driver=answer(DriverPhase.FINISHED, plan_hash=hash_of(begun), stopped=why)))
    message = over.condition("Failed").message
    assert message.startswith("There is no room left in the storage /results")
    assert f"This storage is {name}, or free some room, then suspend and resume the experiment" in message
    again = over.with_spec({"execution": storage, "suspend": True}).settled()
    assert again.with_spec({"execution": storage}).settled().says("Failed") == ("False", "NoFailure")


def test_every_message_is_a_sentence_and_names_no_counter() -> None:
    for at in (scene().settled(), running(), stopped(finished(running())), scene({"suspend": True}).settled()):
        for condition in at.status.conditions:
            assert condition.message.endswith((".", ")")), condition
            assert condition.reason.isalnum()
    first, last = running(), finished(running()).passed()
    assert first.condition("Accepted").message == last.condition("Accepted").message
