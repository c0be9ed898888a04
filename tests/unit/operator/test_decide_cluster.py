"""The RayJob: kept, replaced after any end with work left, wound down without losing a row, never two."""

from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
from scene import (
    NOW,
    DriverPhase,
    Scene,
    answer,
    head,
    is_idle,
    job,
    obeyed,
    record,
    row,
    running,
    scene,
    seconds,
    silence,
    state,
    unscheduled,
    worker,
)

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.status import TrialState
from scaling_operator.observed import ConditionSeen, ContainerSeen, DriverAnswer, DriverSilence, WorkloadSeen
from scaling_operator.settings import Settings

ENDED = {"job_status": "FAILED", "deployment_status": "Failed", "reason": "AppFailed"}


def ended(begun: Scene, **fields: Any) -> Scene:
    """Return the scene after the RayJob in use has ended."""
    seen = begun.observed.ray_jobs[0]
    return begun.but(ray_jobs=(job(seen.attempt, uid=seen.uid, **{**ENDED, **fields}),), driver=None, pods=())


def number(at: Scene) -> int:
    assert at.status.ray_job is not None
    return at.status.ray_job.attempt


def test_the_driver_is_told_the_plan_once_and_then_left_to_work() -> None:
    begun = running()
    assert begun.says("ClusterReady") == ("True", "DriverAnswers")
    assert is_idle(begun.decide())
    seen = begun.observed.driver
    assert isinstance(seen, DriverAnswer)
    fresh = begun.but(driver=answer(DriverPhase.WAITING))
    message = fresh.decide().message
    assert message is not None
    assert message.hash == seen.state.plan_hash
    assert (message.intent, len(message.trials), message.experiment) == (Intent.RUN, 8, begun.observed.identity.uid)
    assert message.execution.pools, "the administrator's default pool is filled in"


def test_an_end_with_work_left_brings_the_next_number_after_a_pause() -> None:
    begun = ended(running())
    decision = begun.decide()
    assert [ref.name for ref in decision.deletes] == ["bytes-a1"]
    assert not decision.creates
    after = begun.passed()
    assert after.status.ray_job is not None
    assert (after.status.ray_job.attempt, after.status.ray_job.failures) == (2, 1)
    assert after.status.ray_job.not_before == NOW + seconds(10)
    assert [failure.reason for failure in decision.failures] == ["DriverFailed"]
    waiting = after.settled()
    assert waiting.says("ClusterReady") == ("False", "BackingOff")
    assert waiting.decide().look_again_after_s == 10
    assert [seen.name for seen in waiting.later(10).settled().observed.ray_jobs] == ["bytes-a2"]


def test_a_pause_that_a_clock_which_was_ahead_has_written_is_none() -> None:
    waiting = ended(running()).settled()
    assert waiting.status.ray_job is not None
    late = waiting.with_status(ray_job=waiting.status.ray_job.model_copy(update={"not_before": NOW + seconds(7200)}))
    assert [seen.name for seen in late.settled().observed.ray_jobs] == ["bytes-a2"]


def test_pauses_grow_and_progress_forgets_them() -> None:
    begun, pauses = running(), []
    for _ in range(7):
        begun = ended(begun).settled()
        assert begun.status.ray_job is not None
        assert begun.status.ray_job.not_before is not None
        pauses.append((begun.status.ray_job.not_before - begun.now).total_seconds())
        begun = begun.later(pauses[-1]).settled()
        uid, at = begun.observed.ray_jobs[0].uid, number(begun)
        begun = begun.but(ray_jobs=(job(at, uid=uid, started_at=begun.now),), pods=(head(at),))
    assert pauses == [10, 20, 40, 80, 160, 300, 300]
    finished = answer(rows=[row(1, record(begun.trials[0], TrialState.SUCCEEDED))], attempt=number(begun))
    better = begun.but(driver=finished).passed()
    assert better.status.ray_job is not None
    assert (better.status.ray_job.failures, better.status.ray_job.attempt) == (0, 8)


def test_too_many_failures_in_a_row_end_the_experiment() -> None:
    begun = running({"execution": {"retries": {"infrastructure": 1}}})
    again = ended(begun).settled().later(60).settled()
    failed = ended(again).settled()
    assert failed.says("Failed") == ("True", "RetriesExhausted")
    assert "retries.infrastructure (1)" in failed.condition("Failed").message
    assert not failed.observed.ray_jobs or number(failed) > 2


@pytest.mark.parametrize(
    "seen",
    [
        {"ray_jobs": ()},
        {"ray_jobs": (job(1, uid="uid-of-bytes-a1", is_deleting=True),)},
    ],
)
def test_a_ray_job_that_someone_deletes_is_followed_by_the_next(seen: dict[str, Any]) -> None:
    begun = running().but(driver=None, pods=(), **seen)
    gone = begun.settled().but(ray_jobs=()).settled().later(60).settled()
    assert [seen.name for seen in gone.observed.ray_jobs] == ["bytes-a2"]


def test_a_refused_ray_job_waits_for_a_person() -> None:
    refused = ended(running(), deployment_status="ValidationFailed", job_status="", message="bad group").settled()
    assert refused.says("ClusterReady") == ("False", "RayJobRefused")
    assert number(refused) == 1
    assert is_idle(refused.later(10_000).decide())
    changed = refused.with_spec({"execution": {"priorityClassName": "high"}}).settled()
    assert [seen.name for seen in changed.observed.ray_jobs] == ["bytes-a2"]


def test_a_head_that_is_silent_for_fifteen_minutes_is_given_up() -> None:
    begun = running()
    quiet = begun.but(driver=silence(890)).settled()
    assert quiet.says("ClusterReady") == ("False", "DriverUnreachable")
    assert number(quiet) == 1
    assert quiet.decide().look_again_after_s == 10
    lost = begun.but(driver=silence(900))
    assert [failure.reason for failure in lost.decide().failures] == ["HeadUnreachable"]
    assert number(lost.passed()) == 2


def test_a_driver_that_is_not_submitted_yet_is_not_lost() -> None:
    starting = running().but(ray_jobs=(job(1, uid="uid-of-bytes-a1", job_status=""),), driver=silence(5000))
    fresh = starting.with_status(ray_job=starting.status.ray_job.model_copy(update={"epoch": None}))  # type: ignore[union-attr]
    assert number(fresh.settled()) == 1
    old = job(1, uid="uid-of-bytes-a1", job_status="", started_at=NOW - seconds(7400))
    never = fresh.but(ray_jobs=(old,))
    assert [failure.reason for failure in never.decide().failures] == ["NeverRan"]


def test_a_change_of_execution_pauses_collects_stops_deletes_and_goes_on() -> None:
    begun = running()
    trial = begun.trials[0]
    changed = begun.with_spec({"execution": {"priorityClassName": "high"}}).passed()
    paused = changed.decide()
    assert paused.message is not None
    assert paused.message.intent is Intent.PAUSE
    late = row(1, record(trial, TrialState.INTERRUPTED))
    quiet = changed.but(driver=answer(DriverPhase.PAUSED, [late], plan_hash=paused.message.hash))
    collected = quiet.decide()
    assert [r.spec.id for r in collected.trials] == [trial.id]
    assert collected.message is None, "that all is collected is written before the driver is stopped"
    quiet = quiet.passed()
    stop = quiet.decide()
    assert stop.message is not None
    assert stop.message.intent is Intent.STOP
    assert not stop.deletes
    stopping = quiet.but(driver=answer(DriverPhase.STOPPING, plan_hash=stop.message.hash, read=1))
    after = stopping.passed()
    assert [ref.name for ref in stopping.decide().deletes] == ["bytes-a1"]
    assert after.status.ray_job is not None
    assert (after.status.ray_job.attempt, after.status.ray_job.failures) == (2, 0)
    assert [seen.name for seen in after.settled().observed.ray_jobs] == ["bytes-a2"]


@pytest.mark.parametrize(
    "execution",
    [{"retries": {"application": 5}}, {"parallelTrials": 2}, {"maxFailedTrials": 50}],
)
def test_what_the_driver_alone_must_know_needs_no_other_ray_job(execution: dict[str, Any]) -> None:
    changed = running().with_spec({"execution": execution}).passed()
    message = changed.decide().message
    assert message is not None
    assert message.intent is Intent.RUN
    assert number(obeyed(changed)) == 1


def test_a_price_needs_no_other_ray_job() -> None:
    pools = [{"name": "gpu", "accelerator": {"perNode": 4}, "hourlyPrice": 1.0}]
    begun = running({"execution": {"pools": pools}})
    assert number(obeyed(begun.with_spec({"execution": {"pools": [{**pools[0], "hourlyPrice": 2.0}]}}))) == 1


def test_a_stuck_head_is_replaced_at_once_when_execution_changes() -> None:
    begun = scene({"execution": {"image": "typo"}}).settled()
    uid = begun.observed.ray_jobs[0].uid
    waiting = (ContainerSeen("ray-head", waiting="ImagePullBackOff"),)
    stuck = begun.but(
        ray_jobs=(job(1, uid=uid, job_status="", deployment_status="Initializing"),),
        pods=(head(phase="Pending", is_ready=False, containers=waiting),),
    )
    assert stuck.passed().says("ClusterReady") == ("False", "ImageNotPulled")
    mended = stuck.settled().with_spec({"execution": {"image": "trainer:1"}}).settled()
    assert [seen.name for seen in mended.observed.ray_jobs] == ["bytes-a2"]


def test_growth_and_shrinking_happen_in_place() -> None:
    begun = running({"sweep": {"seeds": 2}})
    rows = [row(n + 1, record(trial, TrialState.SUCCEEDED)) for n, trial in enumerate(begun.trials)]
    done = begun.but(driver=answer(rows=rows[:12], plan_hash=begun.observed.driver.state.plan_hash)).settled()  # type: ignore[union-attr]
    shrunk = obeyed(done.with_spec({}))
    assert len(shrunk.observed.trials) == 12, "their trials stay as records"
    counts = shrunk.status.trials
    assert shrunk.status.summary.trials == f"{counts.succeeded}/8"
    assert counts.succeeded == sum(trial.id in shrunk.observed.trials for trial in shrunk.trials)
    grown = obeyed(shrunk.with_spec({"sweep": {"seeds": 3}}))
    assert number(grown) == 1
    assert grown.status.summary.trials == "12/24"


def test_a_driver_without_workers_says_why() -> None:
    begun = running()
    scheduling = unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    pods = (head(), worker(phase="Pending", is_ready=False, conditions=scheduling))
    seen = begun.observed.driver
    assert isinstance(seen, DriverAnswer)
    no_lanes = begun.but(pods=pods, driver=answer(plan_hash=seen.state.plan_hash, lanes=0))
    assert no_lanes.passed().says("ClusterReady") == ("False", "WaitingForNodes")
    assert begun.but(pods=pods).passed().says("ClusterReady") == ("True", "DriverAnswers"), "others work"


def test_storage_that_takes_no_rows_is_said() -> None:
    begun = running()
    seen = begun.observed.driver
    assert isinstance(seen, DriverAnswer)
    full = begun.but(driver=answer(plan_hash=seen.state.plan_hash, trouble="The volume is full."))
    assert full.passed().says("ClusterReady") == ("False", "StorageTrouble")


def test_kueue_says_when_a_ray_job_may_run() -> None:
    settings = Settings.model_validate({"kueue": {"enabled": True, "defaultQueue": "gpus"}})
    from scene import Apis

    begun = scene(settings=settings, apis=Apis(kueue=True)).settled()
    assert begun.observed.ray_jobs[0].is_suspended
    assert begun.says("ClusterReady") == ("False", "KueueSilent")
    free = ConditionSeen("QuotaReserved", "False", reason="Pending", message="insufficient quota")
    queued = begun.but(workload=WorkloadSeen("w", (free,))).settled()
    assert queued.says("ClusterReady") == ("False", "WaitingForQuota")
    assert number(queued.later(10**6).settled()) == 1, "a queue may be long"
    preempted = begun.but(workload=WorkloadSeen("w", (free, ConditionSeen("Evicted", "True", reason="Preempted"))))
    trial = begun.trials[0]
    interrupted = preempted.with_records(record(trial, TrialState.RUNNING)).settled()
    assert interrupted.says("ClusterReady") == ("False", "PreemptedByQueue")
    assert interrupted.observed.trials[trial.id].status.state is TrialState.INTERRUPTED


def test_an_unattended_ray_job_is_said() -> None:
    begun = scene().settled()
    assert begun.later(30).settled().says("ClusterReady") == ("False", "Starting")
    assert begun.later(90).settled().says("ClusterReady") == ("False", "KubeRaySilent")


def test_a_driver_that_is_done_with_trials_missing_is_asked_again_in_another_life() -> None:
    begun = running()
    done = obeyed(begun, DriverPhase.FINISHED)
    seen = done.observed.driver
    assert isinstance(seen, DriverAnswer)
    done = done.but(driver=answer(DriverPhase.FINISHED, plan_hash=seen.state.plan_hash)).settled()
    assert done.says("ClusterReady") == ("False", "TrialsMissing")
    assert number(done.later(59).settled()) == 1
    assert number(done.later(60).settled()) == 2


def test_what_ran_in_a_lost_cluster_is_recorded_as_interrupted() -> None:
    begun = running()
    trial = begun.trials[0]
    lost = ended(begun.with_records(record(trial, TrialState.RUNNING)))
    (written,) = lost.decide().trials
    assert written.status.state is TrialState.INTERRUPTED
    assert written.status.failure is not None
    assert written.status.failure.failure_class == "Infrastructure"
    silent = begun.with_records(record(trial, TrialState.RUNNING)).but(driver=silence(30))
    assert silent.decide().trials == (), "it may run on"


def test_a_restarted_operator_does_not_stop_a_driver_that_it_has_not_asked_yet() -> None:
    begun = running().with_spec({"suspend": True}).settled().but(driver=None)
    assert not begun.decide().deletes
    assert begun.decide().look_again_after_s == 2
    assert begun.but(pods=()).decide().deletes, "there is no head"
    assert state().lanes == 4


def tokenless(since_s: float) -> DriverSilence:
    return replace(silence(since_s), has_token=False)


def test_a_driver_whose_token_is_lost_is_replaced_with_another_secret() -> None:
    begun = running().but(secret=None, driver=tokenless(30))
    told = begun.decide()
    assert not told.creates, "the running driver would not know the new token"
    assert [event.reason for event in told.events] == ["SecretMissing"]
    begun = begun.settled()
    assert begun.says("ClusterReady") == ("False", "SecretMissing")
    assert number(begun) == 1
    assert begun.decide().look_again_after_s == 30
    lost = begun.but(driver=tokenless(60))
    assert [failure.reason for failure in lost.decide().failures] == ["SecretMissing"]
    after = lost.settled().later(60)
    assert [made["kind"] for made in after.decide().creates] == ["Secret", "RayJob"]
    assert [seen.name for seen in after.settled().observed.ray_jobs] == ["bytes-a2"]


def test_a_lost_secret_is_made_again_while_its_token_is_known() -> None:
    (made,) = running().but(secret=None, known_token="as-before").decide().creates
    assert b64decode(made["data"]["token"]) == b"as-before"
    assert not running().but(known_token="as-before").decide().creates


@pytest.mark.parametrize(
    ("driver", "bound_s"),
    [
        pytest.param(None, 60, id="not asked"),
        pytest.param(replace(answer(), state=state(experiment="another")), 60, id="another experiment's"),
        pytest.param(replace(silence(0), has_token=False), 60, id="no token"),
        pytest.param(silence(0), 60, id="silent"),
        pytest.param(answer(plan_hash="0" * 64, last_row=5), 600, id="answers and does not stop"),
        pytest.param(answer(DriverPhase.PAUSED, last_row=5), 600, id="has rows that never come"),
    ],
)
@pytest.mark.parametrize("change", [{"suspend": True}, {"execution": {"priorityClassName": "high"}}])
def test_whatever_the_driver_does_a_cluster_goes_in_time(driver: Any, bound_s: float, change: dict[str, Any]) -> None:
    asked = running().but(driver=driver).with_spec(change).passed()
    assert not asked.later(bound_s - 1).decide().deletes
    wakes_s = asked.decide().look_again_after_s
    assert wakes_s is not None
    assert wakes_s <= 60
    assert [ref.name for ref in asked.later(bound_s).decide().deletes] == ["bytes-a1"]
