"""Suspended experiments and those that expire: what is stopped, kept, resumed and deleted."""

from scene import DriverPhase, answer, finished, is_idle, running, silence, stopped

from scaling_api.driver_protocol import Intent


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
