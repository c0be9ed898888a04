"""Rows of a driver that is gone: the next RayJob reads them first, without workers, and not for ever."""

from scene import DriverPhase, answer, head, job, obeyed, record, row, running

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.status import TrialState


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
