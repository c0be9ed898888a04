"""How an experiment ends: done, out of budget, given up, suspended, expired; and how it is opened again."""

from typing import Any

import pytest
from scene import (
    NOW,
    DriverPhase,
    Scene,
    Spent,
    answer,
    head,
    infrastructure,
    is_idle,
    job,
    obeyed,
    record,
    row,
    running,
    scene,
    seconds,
    silence,
)

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.status import LawStatus, TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_operator.fitting import AnalysisAnswer
from scaling_operator.observed import DriverAnswer

CONDITIONS = [
    "Accepted", "Suspended", "ClusterReady", "TrialsComplete", "Fitted", "BudgetExhausted", "Complete", "Failed",
]  # fmt: skip


def hash_of(at: Scene) -> str:
    seen = at.observed.driver
    assert isinstance(seen, DriverAnswer)
    assert seen.state.plan_hash is not None
    return seen.state.plan_hash


def stopped(at: Scene) -> Scene:
    """Return the scene after a quiet driver was collected, stopped, and its RayJob deleted."""
    at = obeyed(at, DriverPhase.PAUSED)
    for _ in range(20):
        decision = at.decide()
        if is_idle(decision):
            return at
        at = at.passed()
        if decision.message is not None:
            at = at.but(driver=answer(DriverPhase.STOPPING, plan_hash=decision.message.hash, read=_read(at)))
    raise AssertionError(str(at.decide())[:2000])


def _read(at: Scene) -> int:
    return at.observed.driver.read if isinstance(at.observed.driver, DriverAnswer) else 0


def finished(at: Scene, **fields: Any) -> Scene:
    """Return the scene in which the driver has told that every trial has succeeded."""
    rows = [row(n + 1, record(trial, TrialState.SUCCEEDED)) for n, trial in enumerate(at.trials)]
    return at.but(driver=answer(DriverPhase.FINISHED, rows, plan_hash=hash_of(at), **fields))


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


BUDGET = {"budget": {"trainingFlops": 1e11}}


def test_a_driver_that_has_no_room_ends_the_sweep_and_laws_are_fitted_on_what_there_is() -> None:
    begun = running(BUDGET)
    rows = [row(1, record(begun.trials[1], TrialState.SUCCEEDED))]
    full = {"plan_hash": hash_of(begun), "budget_exhausted": "No trial fits into budget.trainingFlops."}
    working = begun.but(driver=answer(DriverPhase.RUNNING, rows, **full)).settled()
    assert working.says("BudgetExhausted") == ("False", "WithinBudget"), "what runs may still end"
    over = stopped(working.but(driver=answer(DriverPhase.FINISHED, read=1, **full)))
    assert over.says("BudgetExhausted") == ("True", "LimitReached")
    assert over.says("Complete") == ("True", "BudgetExhausted")
    assert over.says("TrialsComplete") == ("False", "BudgetExhausted")
    assert over.says("Failed") == ("False", "NoFailure")
    assert over.status.fitted is not None
    assert over.status.fitted.trials == 1
    assert is_idle(over.decide())


@pytest.mark.parametrize(
    ("budget", "spent", "says"),
    [
        ({"trainingFlops": 1e11}, Spent(training_flops=1.02e11), "budget.trainingFlops"),
        ({"acceleratorHours": 2}, Spent(accelerator_seconds=7200.0), "budget.acceleratorHours"),
        ({"cost": 5}, Spent(cost=5.0), "budget.cost"),
    ],
)
def test_the_operator_is_a_second_guard_of_the_budget(budget: dict[str, float], spent: Spent, says: str) -> None:
    begun = running({"budget": budget})
    over = begun.but(driver=answer(plan_hash=hash_of(begun), spent=spent))
    decision = over.decide()
    assert decision.message is not None
    assert decision.message.intent is Intent.PAUSE
    assert says in over.passed().condition("BudgetExhausted").message


def test_the_last_trial_may_use_the_budget_up() -> None:
    begun = running(BUDGET)
    last = begun.but(driver=answer(plan_hash=hash_of(begun), spent=Spent(training_flops=1e11 * (1 + 1e-12))))
    assert last.passed().says("BudgetExhausted") == ("False", "WithinBudget")


def test_wall_time_ends_the_sweep_and_wakes_the_operator() -> None:
    begun = running({"budget": {"wallTime": "1h"}})
    assert begun.status.started_at == NOW
    assert begun.decide().look_again_after_s == 3600
    over = begun.later(3600)
    assert over.passed().says("BudgetExhausted") == ("True", "LimitReached")
    assert over.decide().message is not None


def test_rows_of_a_ray_job_that_ended_unread_are_read_by_one_without_workers() -> None:
    begun = running({"budget": {"wallTime": "1h"}})
    dead = begun.later(4000).but(
        ray_jobs=(job(1, uid="uid-of-bytes-a1", job_status="FAILED", deployment_status="Failed"),), driver=None, pods=()
    )
    reading = dead.passed()
    assert reading.says("BudgetExhausted") == ("True", "LimitReached")
    reading = reading.later(400).settled()
    assert reading.status.ray_job is not None
    assert reading.status.ray_job.is_replay
    uid = reading.observed.ray_jobs[0].uid
    reading = reading.but(ray_jobs=(job(2, uid=uid, started_at=reading.now),), pods=(head(2),))
    asked = reading.but(driver=answer(DriverPhase.WAITING, attempt=2)).decide().message
    assert asked is not None
    assert asked.intent is Intent.PAUSE
    rows = [row(1, record(begun.trials[0], TrialState.SUCCEEDED))]
    told = reading.but(driver=answer(DriverPhase.PAUSED, rows, attempt=2, plan_hash=asked.hash)).passed()
    assert begun.trials[0].id in told.observed.trials
    stop = told.decide().message
    assert stop is not None
    assert stop.intent is Intent.STOP
    over = told.but(driver=answer(DriverPhase.STOPPING, attempt=2, plan_hash=stop.hash, read=1)).settled()
    assert not over.observed.ray_jobs
    assert over.says("Complete") == ("True", "BudgetExhausted")


def test_a_driver_that_is_to_be_read_and_cannot_be_is_not_waited_for_for_ever() -> None:
    begun = running({"budget": {"wallTime": "1h"}})
    at = begun.later(4000).but(ray_jobs=(), driver=None, pods=()).settled()
    told = []
    for number in range(2, 8):
        at = at.later(400).settled()
        if at.status.finished_at is not None:
            break
        (made,) = at.observed.ray_jobs
        at = at.but(ray_jobs=(job(number, uid=made.uid, started_at=at.now),), pods=(head(number),))
        full = answer(DriverPhase.RUNNING, attempt=number, last_row=5, trouble="no space left on device")
        at = obeyed(at.but(driver=full), DriverPhase.RUNNING)
        assert not at.later(3599).decide().deletes
        at = at.later(3600)
        told += [event.reason for event in at.decide().events if event.type == "Warning"]
        at = at.settled()
    assert told == ["RowsUnread"] * 4
    assert at.says("Complete") == ("True", "BudgetExhausted")


def test_reading_is_given_up_after_a_few_failures_and_the_end_stays_the_same() -> None:
    at = running({"budget": {"wallTime": "1h"}}).later(4000).but(ray_jobs=(), driver=None, pods=()).settled()
    for number in range(2, 12):
        if at.status.finished_at is not None:
            break
        broken = {"job_status": "FAILED", "deployment_status": "Failed", "message": "exit code 1"}
        jobs = tuple(job(seen.attempt, uid=seen.uid, **broken) for seen in at.observed.ray_jobs)
        at = at.but(ray_jobs=jobs).settled().later(400).settled()
        assert number < 11
    assert at.says("Complete") == ("True", "BudgetExhausted")
    assert at.says("Failed") == ("False", "NoFailure")


def test_a_raised_budget_opens_the_experiment_again_where_something_fits() -> None:
    begun = running(BUDGET)
    full = {"plan_hash": hash_of(begun), "budget_exhausted": "No trial fits.", "spent": Spent(training_flops=9.9e10)}
    over = stopped(begun.but(driver=answer(DriverPhase.FINISHED, **full)))
    same = over.with_spec({**BUDGET, "ask": {"trainingFlops": [1e18]}}).settled()
    assert same.says("BudgetExhausted") == ("True", "LimitReached"), "no cluster is started to find that out again"
    assert not same.observed.ray_jobs
    raised = over.with_spec({"budget": {"trainingFlops": 1e13}}).settled()
    assert raised.says("BudgetExhausted") == ("False", "WithinBudget")
    assert raised.observed.ray_jobs


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


def test_suspend_pauses_collects_stops_and_keeps_everything_and_resume_goes_on() -> None:
    begun = running()
    asked = begun.with_spec({"suspend": True}).passed()
    assert asked.says("Suspended") == ("False", "Suspending")
    message = asked.decide().message
    assert message is not None
    assert message.intent is Intent.PAUSE
    still = stopped(asked)
    assert still.says("Suspended") == ("True", "SuspendedBySpec")
    assert not still.observed.ray_jobs
    assert is_idle(still.later(10**6).decide())
    resumed = still.with_spec({"suspend": False}).settled()
    assert resumed.says("Suspended") == ("False", "NotSuspended")
    assert [seen.name for seen in resumed.observed.ray_jobs] == ["bytes-a2"]
    assert resumed.status.ray_job is not None
    assert resumed.status.ray_job.failures == 0


def test_a_collected_driver_is_set_to_work_only_once_the_status_says_that_rows_may_be_unread() -> None:
    held = running().with_spec({"suspend": True}).passed()
    pause = held.decide().message
    assert pause is not None
    held = held.but(driver=answer(DriverPhase.PAUSED, plan_hash=pause.hash)).passed()
    resumed = held.with_spec({"suspend": False})
    first = resumed.decide()
    assert first.message is None
    assert first.status is not None
    assert first.status.ray_job is not None
    assert not first.status.ray_job.is_collected
    second = resumed.passed().decide().message
    assert second is not None
    assert second.intent is Intent.RUN


def test_a_driver_that_waited_for_hours_is_read_first_and_then_work_goes_on() -> None:
    begun = running()
    left = {"job_status": "FAILED", "deployment_status": "Failed", "reason": "AppFailed"}
    jobs = (job(1, uid="uid-of-bytes-a1", message="it failed with exit code 75", **left),)
    reading = begun.but(ray_jobs=jobs, driver=None, pods=()).settled().later(60).settled()
    assert reading.status.ray_job is not None
    assert reading.status.ray_job.is_replay
    uid = reading.observed.ray_jobs[0].uid
    reading = reading.but(ray_jobs=(job(2, uid=uid, started_at=reading.now),), pods=(head(2),))
    asked = reading.but(driver=answer(DriverPhase.WAITING, attempt=2)).decide().message
    assert asked is not None
    rows = [row(1, record(begun.trials[0], TrialState.SUCCEEDED))]
    told = reading.but(driver=answer(DriverPhase.PAUSED, rows, attempt=2, plan_hash=asked.hash)).passed()
    stop = told.decide().message
    assert stop is not None
    assert stop.intent is Intent.STOP, "it has no workers"
    going_on = told.but(driver=answer(DriverPhase.STOPPING, attempt=2, plan_hash=stop.hash, read=1)).settled()
    assert [seen.name for seen in going_on.observed.ray_jobs] == ["bytes-a3"]
    assert going_on.status.ray_job is not None
    assert not going_on.status.ray_job.is_replay


def test_a_driver_that_is_leaving_when_work_comes_back_is_followed_by_the_next() -> None:
    held = running().with_spec({"suspend": True}).passed()
    pause = held.decide().message
    assert pause is not None
    held = held.but(driver=answer(DriverPhase.PAUSED, plan_hash=pause.hash)).passed()
    stop = held.decide().message
    assert stop is not None
    leaving = held.but(driver=answer(DriverPhase.STOPPING, plan_hash=stop.hash))
    resumed = leaving.with_spec({"suspend": False})
    decision = resumed.decide()
    assert decision.message is None
    assert [ref.name for ref in decision.deletes] == ["bytes-a1"]
    assert not decision.failures
    assert [seen.name for seen in resumed.settled().observed.ray_jobs] == ["bytes-a2"]


def test_suspend_does_not_wait_for_a_driver_that_does_not_answer() -> None:
    silent = running().with_spec({"suspend": True}).but(driver=silence(30)).settled()
    assert silent.observed.ray_jobs
    gone = silent.but(driver=silence(60)).settled()
    assert not gone.observed.ray_jobs
    assert gone.says("Suspended") == ("True", "SuspendedBySpec")


def test_a_suspended_experiment_does_not_expire() -> None:
    over = stopped(finished(running()))
    held = over.with_spec({"suspend": True, "ttlSecondsAfterFinished": 60}).settled()
    assert not held.later(10**6).decide().deletes


def test_time_to_live_deletes_the_experiment_and_nothing_else() -> None:
    over = stopped(finished(running({"ttlSecondsAfterFinished": 600})))
    assert over.later(500).decide().look_again_after_s == 100
    assert not over.later(599).decide().deletes
    (ref,) = over.later(600).decide().deletes
    assert (ref.kind, ref.name, ref.uid) == ("ScalingExperiment", "bytes", over.observed.identity.uid)


def test_laws_are_fitted_now_and_then_while_trials_run_and_always_at_the_end() -> None:
    begun = running({"sweep": {"seeds": 4}})
    at, wanted, points = begun, [], []
    for number, trial in enumerate(begun.trials, start=1):
        seen = row(number, record(trial, TrialState.SUCCEEDED))
        at = at.but(driver=answer(DriverPhase.RUNNING, [seen], plan_hash=hash_of(begun), read=number - 1))
        decision = at.decide()
        if decision.wants_analysis is not None:
            wanted.append(len(decision.wants_analysis.records))
            points.append(sum(r.status.metrics.loss is not None for r in decision.wants_analysis.records))
        at = at.settled()
    assert points[0] == 8, "trunks have no loss"
    assert wanted[-1] == len(begun.trials) == 32
    assert len(wanted) < 12


def test_an_analysis_that_is_known_is_not_asked_for_again() -> None:
    over = stopped(finished(running()))
    assert over.status.fitted is not None
    reopened = over.with_spec({"ttlSecondsAfterFinished": 10**6}).but(analysis=None)
    assert reopened.passed().decide().wants_analysis is None


def test_refused_laws_are_said_with_their_reasons() -> None:
    at = finished(running()).passed()
    wanted = at.decide().wants_analysis or finished(running()).decide().wants_analysis
    assert wanted is not None
    law = LawStatus(name="chinchilla", form="Chinchilla", points=0, refused="It has 4 points and needs 8.")
    refused = at.but(analysis=AnalysisAnswer(wanted.digest, trials=8, laws=(law,))).passed()
    assert refused.says("Fitted") == ("False", "LawRefused")
    assert "chinchilla: It has 4 points" in refused.condition("Fitted").message


def test_a_law_that_is_refused_while_trials_are_left_is_no_warning() -> None:
    begun = running({"sweep": {"seeds": 4}})
    rows = [row(n + 1, record(trial, TrialState.SUCCEEDED)) for n, trial in enumerate(begun.trials[:-1])]
    at = begun.but(driver=answer(DriverPhase.RUNNING, rows, plan_hash=hash_of(begun)))
    wanted = at.decide().wants_analysis
    assert wanted is not None
    law = LawStatus(name="chinchilla", form="Chinchilla", points=6, refused="There are 6 points.")
    early = at.passed().but(analysis=AnalysisAnswer(wanted.digest, trials=31, laws=(law,)))
    assert not [event for event in early.decide().events if event.type == "Warning"]
    assert early.passed().says("Fitted") == ("False", "WaitingForTrials")
    assert "There are 6 points." in early.passed().condition("Fitted").message


def test_the_end_says_that_no_law_could_be_fitted() -> None:
    at = finished(running()).passed()
    wanted = finished(running()).decide().wants_analysis
    assert wanted is not None
    law = LawStatus(name="chinchilla", form="Chinchilla", points=0, refused="It has 4 points and needs 8.")
    over = stopped(at.but(analysis=AnalysisAnswer(wanted.digest, trials=8, laws=(law,))))
    assert over.says("Complete") == ("True", "Completed")
    assert "no law could be fitted" in over.condition("Complete").message
    assert "laws and answers are made of them" in stopped(finished(running())).condition("Complete").message


@pytest.mark.parametrize("limit", [{"trainingFlops": 1e8}, {"acceleratorHours": 1e-9}])
def test_a_budget_below_the_plan_is_said_once_and_before_anything_is_created(limit: dict[str, float]) -> None:
    planned = scene({"budget": limit})
    decision = planned.decide()
    assert not decision.creates
    (told,) = (event for event in decision.events if event.reason == "BudgetBelowPlan")
    assert f"budget.{next(iter(limit))} allows {next(iter(limit.values())):.3g}" in told.message
    after = planned.passed()
    assert told.message in after.condition("Accepted").message
    assert "BudgetBelowPlan" not in {event.reason for event in after.decide().events}
    enough = after.with_spec({"budget": {"trainingFlops": 1e18}}).passed()
    assert "budget." not in enough.condition("Accepted").message


def test_an_analysis_that_was_given_up_ends_nothing_and_is_not_tried_again() -> None:
    at = finished(running())
    wanted = at.decide().wants_analysis
    assert wanted is not None
    failed = AnalysisAnswer(wanted.digest, trials=8, failure="The analysis was given up: it took more than 600 s.")
    over = stopped(at.passed().but(analysis=failed))
    assert over.says("Fitted") == ("False", "AnalysisFailed")
    assert "600 s" in over.condition("Fitted").message
    assert over.says("Complete") == ("True", "Completed")
    assert is_idle(over.but(analysis=None, plan=None).later(10**5).decide())


def test_renamed_levels_are_fitted_under_their_new_names() -> None:
    begun = running({"sweep": {"data": {"tokens": [300_000, 600_000], "treatments": [{"name": "clean"}]}}})
    over = stopped(finished(begun))
    renamed = over.with_spec({"sweep": {"data": {"tokens": [300_000, 600_000], "treatments": [{"name": "pure"}]}}})
    wanted = renamed.passed().decide().wants_analysis
    assert wanted is not None
    assert {r.spec.treatment.name for r in wanted.records} == {"pure"}


def test_every_message_is_a_sentence_and_names_no_counter() -> None:
    for at in (scene().settled(), running(), stopped(finished(running())), scene({"suspend": True}).settled()):
        for condition in at.status.conditions:
            assert condition.message.endswith((".", ")")), condition
            assert condition.reason.isalnum()
    first, last = running(), finished(running()).passed()
    assert first.condition("Accepted").message == last.condition("Accepted").message
    assert infrastructure().reason == "WorkerLost"
    assert seconds(1).total_seconds() == 1
