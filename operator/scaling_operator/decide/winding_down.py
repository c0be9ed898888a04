"""Taking a cluster away without losing a row: pause, collect, stop, delete."""

from dataclasses import replace
from typing import Final

from scaling_api.driver_protocol import DriverPhase, Intent
from scaling_operator.decide.draft import Draft
from scaling_operator.decide.messages import follows
from scaling_operator.decide.missing import all_is_read
from scaling_operator.decision import ObjectRef
from scaling_operator.desired.ray_job import API_VERSION
from scaling_operator.failures import has_ended
from scaling_operator.observed import RayJobSeen

SILENCE_S: Final = 60
"""A driver that was to be collected and does not answer for so long is deleted: its rows stay in storage."""
STUCK_S: Final = 600
"""A driver that cannot write or hand over all its rows is given so long before it is deleted all the same."""
SOON_S: Final = 2
_QUIET: Final = frozenset({DriverPhase.PAUSED, DriverPhase.FINISHED, DriverPhase.STOPPING})


def wind_down(draft: Draft) -> Draft:
    """Take the next step towards a driver that can go: pause it, note that it is collected, stop it."""
    draft = replace(draft, decision=replace(draft.decision, is_winding_down=True)).later(SILENCE_S)
    answer = draft.answer
    if answer is None:
        return draft.later(SOON_S if draft.silence is None else SILENCE_S)
    if not (answer.state.phase in _QUIET and all_is_read(draft)):
        is_quiet = answer.state.phase in _QUIET
        draft = draft.with_ray_job(is_collected=False)
        return draft if is_quiet else replace(draft, intent=Intent.PAUSE)
    written = draft.written_ray_job
    is_written = written is not None and written.is_collected and written.attempt == answer.attempt
    draft = draft.with_ray_job(is_collected=True)
    return replace(draft, intent=Intent.STOP) if is_written else draft


def is_over(draft: Draft) -> bool:
    """Return whether the RayJob in use can be deleted: nothing more is to be had from its driver, or not in time."""
    job, used = draft.job, draft.ray_job
    assert job is not None
    assert used is not None
    if has_ended(job):
        return True
    if draft.answer is not None:
        is_stopping = draft.answer.state.phase is DriverPhase.STOPPING or follows(
            draft, draft.answer.state, Intent.STOP
        )
        return (is_stopping and used.is_collected) or _lasts(draft, STUCK_S)
    if used.is_collected:
        return True
    if draft.silence is not None:
        was_there = used.epoch is not None or bool(job.job_status)
        is_long = (draft.now - draft.silence.since).total_seconds() >= SILENCE_S
        return is_long or not was_there
    return not _head_is_running(draft) or _lasts(draft, SILENCE_S)


def _lasts(draft: Draft, seconds: float) -> bool:
    """Whether it is not waited for any longer, whatever the driver does: its rows are found in storage."""
    begun = draft.observed.winding_down_since
    return begun is not None and (draft.now - begun).total_seconds() >= seconds


def delete_job(job: RayJobSeen) -> ObjectRef:
    """Return the reference by which the RayJob, and no later one of its name, is deleted."""
    return ObjectRef(API_VERSION, "RayJob", job.name, job.uid)


def _head_is_running(draft: Draft) -> bool:
    """Whether there is a driver that has not been asked yet, as after a restart of the operator."""
    used = draft.ray_job
    assert used is not None
    return any(
        pod.role == "head" and pod.attempt == used.attempt and pod.phase == "Running" and not pod.is_deleting
        for pod in draft.observed.pods
    )
