"""Question 0 and the last: has it all been over before, is it over now, and is it time to go?"""

from dataclasses import replace

from scaling_api.v1alpha1.base import API_VERSION
from scaling_operator import reasons
from scaling_operator.decide.aims import stands
from scaling_operator.decide.draft import Aim, Draft
from scaling_operator.decide.fits import is_up_to_date
from scaling_operator.decision import Event, ObjectRef


def leave_alone(draft: Draft) -> Draft:
    """End the pass where nothing is left to do: the experiment is being deleted, or its end is written."""
    if draft.observed.is_deleting:  # owner references delete what it has
        return replace(draft, status=draft.observed.status, is_done=True)
    is_over = stands(draft, reasons.COMPLETE) or stands(draft, reasons.FAILED)
    if not is_over or draft.status.finished_at is None or draft.own_jobs:
        return draft
    return replace(expire(draft), is_done=True)


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
