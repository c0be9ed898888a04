"""Question 0 and the last: has it all been over before, is it over now, and is it time to go?"""

from dataclasses import replace
from typing import Final

from scaling_api.v1alpha1.base import API_VERSION
from scaling_api.v1alpha1.status import Condition
from scaling_operator import reasons
from scaling_operator.decide.aims import stands
from scaling_operator.decide.draft import Aim, Draft
from scaling_operator.decide.fits import is_up_to_date
from scaling_operator.decide.winding_down import delete_job
from scaling_operator.decision import Event, ObjectRef

RECORDS_MISSING: Final = (
    " ScalingTrials of finished trials were removed. Their results are in storage, and laws stand as they are: set "
    "spec.suspend to true, and back, to have the records made again."
)


def leave_alone(draft: Draft) -> Draft:
    """End the pass where nothing is left to do: the experiment is being deleted, or its end is written."""
    if draft.observed.is_deleting:
        return replace(_without_clusters(draft), status=draft.observed.status, is_done=True)
    is_over = stands(draft, reasons.COMPLETE) or stands(draft, reasons.FAILED)
    if not is_over or draft.status.finished_at is None or draft.own_jobs:
        return draft
    return replace(expire(_with_records_counted(draft)), is_done=True)


def _without_clusters(draft: Draft) -> Draft:
    """Delete RayJobs: owner references do it as well, but only once nobody's finalizer holds the experiment."""
    if draft.observed.keeps_dependents:
        return draft
    return draft.deleting(*(delete_job(job) for job in draft.own_jobs if not job.is_deleting))


def _with_records_counted(draft: Draft) -> Draft:
    """Say where records of finished trials were removed after the end: no driver is there to tell them again."""
    counts = draft.status.trials
    finished = sum(record.status.state.is_finished for record in draft.records.values())
    is_missing = finished < counts.succeeded + counts.failed + counts.diverged
    conditions = tuple(_saying(c, is_missing) for c in draft.status.conditions)
    if conditions == draft.status.conditions:
        return draft
    draft = draft.with_status(conditions=conditions)
    draft = replace(draft, decision=replace(draft.decision, status=draft.status))
    return draft.telling(Event("Warning", reasons.RECORDS_MISSING, RECORDS_MISSING.strip())) if is_missing else draft


def _saying(condition: Condition, is_missing: bool) -> Condition:
    if condition.type != reasons.TRIALS_COMPLETE:
        return condition
    message = condition.message.removesuffix(RECORDS_MISSING) + (RECORDS_MISSING if is_missing else "")
    return condition.model_copy(update={"message": message})


def finish(draft: Draft) -> Draft:
    """Note when all was done; forget it where the spec has reopened the experiment."""
    if draft.refusal is not None:
        return draft
    if not is_finished(draft):
        return draft.with_status(finished_at=None)
    return draft if draft.status.finished_at is not None else draft.with_status(finished_at=draft.now)


def is_finished(draft: Draft) -> bool:
    """Return whether the sweep has ended, its cluster is gone, and laws are fitted on what there is."""
    if draft.refusal is not None or draft.observed.spec is None or draft.spec.suspend or draft.aim is not Aim.REST:
        return False
    has_ended = not draft.has_work or draft.exhausted is not None or draft.stop is not None
    return has_ended and draft.is_stopped and is_up_to_date(draft)


def expire(draft: Draft) -> Draft:
    """Delete the experiment once spec.ttlSecondsAfterFinished has passed; what is in storage stays."""
    spec, finished_at = draft.observed.spec, draft.status.finished_at
    if spec is None or spec.ttl_seconds_after_finished is None or finished_at is None:
        return draft
    left_s = spec.ttl_seconds_after_finished - (draft.now - finished_at).total_seconds()
    if left_s > 0:
        return draft.later(left_s)
    identity = draft.observed.identity
    told = Event(
        "Normal", reasons.EXPIRED, "It is deleted, as spec.ttlSecondsAfterFinished says; results stay in storage."
    )
    return draft.deleting(ObjectRef(API_VERSION, "ScalingExperiment", identity.name, identity.uid)).telling(told)
