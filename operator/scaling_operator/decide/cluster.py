"""Question 5: which RayJob is to be there, and is it?

At most one at a time. Its number is in the status before it is created, it is created once, and a number is never used
again: whatever ends a RayJob with work left, the next one has the next number.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from scaling_api.driver_protocol import DriverPhase, Intent
from scaling_api.v1alpha1.status import Condition, RayJobStatus
from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_operator import reasons
from scaling_operator.conditions import false_since
from scaling_operator.decide import creating
from scaling_operator.decide.aims import MOST_REPLAYS
from scaling_operator.decide.draft import Aim, Draft, Standing, warning
from scaling_operator.decide.missing import trials_are_missing
from scaling_operator.decide.rows import interrupt_running
from scaling_operator.decide.standing import standing_of
from scaling_operator.decide.winding_down import SILENCE_S, delete_job, is_over, wind_down
from scaling_operator.decision import Event
from scaling_operator.desired.labels import ray_job_name
from scaling_operator.failures import Retry, Verdict, failure_of, has_ended, ray_job_end
from scaling_operator.observed import DriverSilence, RayJobSeen

LAST_ATTEMPT: Final = 999
"""A longer number would not fit into KubeRay's 47 characters."""
FIRST_PAUSE_S: Final = 10
MISSING_FOR_S: Final = 60
"""A driver that says that it is done may not have read its last plan yet."""
READ_WITHIN_S: Final = 3600
"""A RayJob that only serves rows has so long: 10,000 of them take minutes."""
STARTING_MARGIN_S: Final = 120
"""KubeRay's own deadline comes first, where it has one."""


def tend_cluster(draft: Draft) -> Draft:
    """Bring the RayJob that is needed up, keep it, replace it, or take it away."""
    if draft.observed.spec is None:  # perhaps of a later version: what runs is left alone
        return replace(draft, standing=standing_of(draft))
    draft = _catch_up(_delete_others(draft))
    if draft.aim is Aim.REST:
        draft = _rest(draft)
    elif draft.ray_job is None:
        draft = _number_next(draft)
    elif draft.ray_job.uid is None:
        draft = creating.create(draft, execution=creating.execution_digest(draft))
    else:
        draft = _keep_or_replace(draft)
    draft = draft if _is_alive(draft) else interrupt_running(draft)
    return replace(draft, is_stopped=not draft.own_jobs and not draft.decision.creates)


def _delete_others(draft: Draft) -> Draft:
    """Delete RayJobs of earlier numbers, which only a pass that was cut off has left."""
    number = draft.ray_job.attempt if draft.ray_job else 0
    return draft.deleting(*(delete_job(j) for j in draft.own_jobs if j.attempt < number and not j.is_deleting))


def _catch_up(draft: Draft) -> Draft:
    """Note a RayJob that was created, also where the status that numbered it was read too early."""
    newest = max(draft.own_jobs, key=lambda job: job.attempt, default=None)
    used = draft.ray_job
    if newest is None or (used is not None and newest.attempt < used.attempt):
        return draft
    if used is None or newest.attempt > used.attempt:
        # Its execution is not known: it is taken for the one of now.
        draft = draft.with_status(
            ray_job=RayJobStatus(
                name=newest.name,
                attempt=newest.attempt,
                execution=creating.execution_digest(draft),
                spent_before=draft.status.spent,
            )
        )
    assert draft.ray_job is not None
    if draft.ray_job.uid == newest.uid:
        return draft
    kind = "without workers, to read rows that were left," if draft.ray_job.is_replay else "with the driver"
    told = Event("Normal", reasons.CLUSTER_REQUESTED, f"RayJob {newest.name} {kind} was created.")
    return draft.with_ray_job(uid=newest.uid, not_before=None).telling(told)


def _rest(draft: Draft) -> Draft:
    job = draft.job
    if job is None or job.is_deleting:
        return replace(draft, standing=standing_of(draft))
    draft = wind_down(draft)
    if is_over(draft):
        why = "no cluster is needed" if draft.refusal is None else "the spec is not accepted"
        stopped = Event("Normal", reasons.CLUSTER_STOPPED, f"RayJob {job.name} is deleted: {why}.")
        draft = draft.deleting(delete_job(job)).telling(stopped)
    return replace(draft, standing=standing_of(draft))


def _keep_or_replace(draft: Draft) -> Draft:
    used, job = draft.ray_job, draft.job
    assert used is not None
    if job is None:
        is_meant = used.is_collected or _reopens(draft) or (draft.aim is Aim.READ and not used.is_replay)
        return _number_next(draft, None if is_meant else _gone(used))
    if job.is_deleting:
        return replace(draft, standing=standing_of(draft))
    if has_ended(job):
        return _after_end(draft, job)
    return _keep(draft, job) if _is_right(draft) else _replace(draft)


def _is_right(draft: Draft) -> bool:
    """Whether the RayJob in use is one for what is needed now."""
    used = draft.ray_job
    assert used is not None
    is_of_this_kind = used.is_replay == (draft.aim is Aim.READ)
    return is_of_this_kind and used.execution == creating.execution_digest(draft) and not _is_leaving(draft)


def _replace(draft: Draft) -> Draft:
    draft = wind_down(draft)
    return _number_next(draft) if is_over(draft) else replace(draft, standing=standing_of(draft))


def _is_leaving(draft: Draft) -> bool:
    """Whether the driver was told to stop before the experiment had work again: it takes no other plan."""
    used, answer = draft.ray_job, draft.answer
    return used is not None and used.is_collected and answer is not None and answer.state.phase is DriverPhase.STOPPING


def _after_end(draft: Draft, job: RayJobSeen) -> Draft:
    verdict = ray_job_end(job)
    used = draft.ray_job
    assert used is not None
    is_new_spec = used.execution != creating.execution_digest(draft) or _reopens(draft)
    if used.is_collected or is_new_spec:
        return _number_next(draft)
    if verdict is None:
        text = f"RayJob {job.name} ended by itself, with work left."
        verdict = Verdict(FailureClass.INFRASTRUCTURE, reasons.DRIVER_ENDED, text, Retry.REPLACE)
    if verdict.retry is Retry.STOP and draft.aim is Aim.RUN:
        return replace(draft, standing=Standing(False, verdict.reason, verdict.message, is_warning=True))
    return _number_next(draft, verdict)


def _keep(draft: Draft, job: RayJobSeen) -> Draft:
    """Let the driver run, or pause it where it is only read; give up one that is lost."""
    if lost := _lost(draft, job):
        return _number_next(draft, lost)
    if draft.aim is Aim.READ:
        draft = wind_down(draft)  # and its clock does not run: there is work for the driver, that of being read
        draft = draft.later(READ_WITHIN_S)
        return replace(draft, standing=standing_of(draft), decision=replace(draft.decision, is_winding_down=False))
    assert draft.ray_job is not None
    written = draft.written_ray_job
    if draft.ray_job.is_collected or (written is not None and written.is_collected):
        # First the status says that there may be unread rows, then the driver makes some.
        return replace(draft.with_ray_job(is_collected=False), standing=standing_of(draft))
    return replace(draft, intent=Intent.RUN if _is_announced(draft) else None, standing=standing_of(draft))


def _is_announced(draft: Draft) -> bool:
    """Whether plan and cost stand in the status already: nothing is spent before."""
    written = draft.observed.status
    return (written.plan, written.corpus_fingerprint) == (draft.status.plan, draft.status.corpus_fingerprint)


def _lost(draft: Draft, job: RayJobSeen) -> Verdict | None:
    """Return why a RayJob that still counts as running is given up; None where it is not."""
    deadlines, silence, used = draft.observed.settings.deadlines, draft.silence, draft.ray_job
    assert used is not None
    if silence is not None and not silence.has_token:
        return _without_token(draft, silence, job)
    if silence is not None and (used.epoch is not None or job.job_status):
        if (draft.now - silence.since).total_seconds() >= deadlines.unreachable_head_seconds:
            text = f"The driver of RayJob {job.name} was not reached for {deadlines.unreachable_head_seconds} s."
            return Verdict(FailureClass.INFRASTRUCTURE, reasons.HEAD_UNREACHABLE, text, Retry.REPLACE)
        return None
    if draft.answer is None and not job.is_suspended:
        return _not_up(draft, job)
    return _unread(draft, job) or _without_trials(draft)


def _unread(draft: Draft, job: RayJobSeen) -> Verdict | None:
    """Return that a driver which only has to be read was not read in time, such as for want of its storage."""
    begun = job.started_at or job.created_at
    if draft.answer is None or draft.aim is not Aim.READ or (draft.now - begun).total_seconds() < READ_WITHIN_S:
        return None
    text = f"The rows of RayJob {job.name} could not be read within {READ_WITHIN_S} s of its start."
    return Verdict(FailureClass.INFRASTRUCTURE, reasons.ROWS_UNREAD, text, Retry.REPLACE)


def _without_token(draft: Draft, silence: DriverSilence, job: RayJobSeen) -> Verdict | None:
    """Return that a driver cannot be asked for want of its token; the next RayJob comes with another Secret."""
    if (draft.now - silence.since).total_seconds() < SILENCE_S:
        return None
    text = f"The driver of RayJob {job.name} could not be asked for {SILENCE_S} s: {silence.why}."
    return Verdict(FailureClass.INFRASTRUCTURE, reasons.SECRET_MISSING, text, Retry.REPLACE)


def _not_up(draft: Draft, job: RayJobSeen) -> Verdict | None:
    """Return that no driver has come up in time, at first or again after its head was lost."""
    begun: datetime | None = job.started_at or job.created_at
    if draft.ray_job is not None and draft.ray_job.epoch is not None:
        conditions = draft.observed.status.conditions
        begun = next((c.last_transition_time for c in conditions if _is_unready(c)), None)
    limit_s = draft.observed.settings.deadlines.pre_running_seconds
    if begun is None or (draft.now - begun).total_seconds() < limit_s + STARTING_MARGIN_S:
        return None
    text = f"The driver of RayJob {job.name} did not come up within {limit_s} s."
    return Verdict(FailureClass.INFRASTRUCTURE, reasons.NEVER_RAN, text, Retry.REPLACE)


def _is_unready(condition: Condition) -> bool:
    return condition.type == reasons.CLUSTER_READY and condition.status == "False"


def _without_trials(draft: Draft) -> Verdict | None:
    """Return that the driver is done and trials are missing: it has lost rows, or lies. Another one reads them anew."""
    begun = false_since(draft.observed.status.conditions, reasons.CLUSTER_READY, reason=reasons.TRIALS_MISSING)
    if begun is None or not trials_are_missing(draft) or (draft.now - begun).total_seconds() < MISSING_FOR_S:
        return None
    assert draft.ray_job is not None
    text = f"The driver of RayJob {draft.ray_job.name} says that it is done, and trials of the plan are missing."
    return Verdict(FailureClass.INFRASTRUCTURE, reasons.TRIALS_MISSING, text, Retry.REPLACE)


def _number_next(draft: Draft, failure: Verdict | None = None) -> Draft:
    """Give the next RayJob its number. It is created in a later pass, once the number is written."""
    used, job = draft.ray_job, draft.job
    failures = used.failures + 1 if used and failure else 0
    if failure is not None:
        draft = draft.telling(warning(failure)).failing(failure_of(failure))
    if given_up := _given_up(draft, failures, failure):
        draft = draft.with_ray_job(failures=failures, last_failure=failure.message[:1024] if failure else None)
        # Rows that cannot be read stay in storage; the sweep has ended for another reason.
        draft = replace(draft, stop=draft.stop if draft.aim is Aim.READ else given_up, aim=Aim.REST)
    else:
        draft = draft.with_status(ray_job=_next(draft, failures, failure))
    if job is not None and not job.is_deleting:
        draft = draft.deleting(delete_job(job))
    if draft.ray_job is not None and draft.ray_job.not_before is not None:
        draft = draft.later((draft.ray_job.not_before - draft.now).total_seconds())
    return replace(draft, standing=standing_of(draft))


def _next(draft: Draft, failures: int, failure: Verdict | None) -> RayJobStatus:
    used = draft.ray_job
    attempt = used.attempt + 1 if used else 1
    return RayJobStatus(
        name=ray_job_name(draft.observed.identity, attempt),
        attempt=attempt,
        execution=creating.execution_digest(draft),
        is_replay=draft.aim is Aim.READ,
        failures=failures,
        last_failure=failure.message[:1024] if failure else None,
        not_before=_after_pause(draft.now, failures),
        spent_before=draft.status.spent,
    )


def _after_pause(now: datetime, failures: int) -> datetime | None:
    if failures == 0:
        return None
    return now + timedelta(seconds=min(creating.LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1)))


def _given_up(draft: Draft, failures: int, failure: Verdict | None) -> Failure | None:
    most = MOST_REPLAYS if draft.aim is Aim.READ else draft.spec.execution.retries.infrastructure
    used = draft.ray_job
    if used is not None and used.attempt >= LAST_ATTEMPT:
        why = f"The experiment has used up {LAST_ATTEMPT} RayJobs. Create another one: its trials are found in storage."
    elif failure is not None and failures > most:
        why = (
            f"{failures} RayJobs in a row ended before a trial finished, more than execution.retries.infrastructure "
            f"({most}) allows. The last one: {failure.message}"
        )
    else:
        return None
    kind = failure.failure_class if failure else FailureClass.INFRASTRUCTURE
    return Failure(failure_class=kind, reason=reasons.RETRIES_EXHAUSTED, message=why[:1024])


def _gone(used: RayJobStatus) -> Verdict:
    text = f"RayJob {used.name} is gone, and the operator did not delete it."
    return Verdict(FailureClass.INFRASTRUCTURE, reasons.RAY_JOB_GONE, text, Retry.REPLACE)


def _reopens(draft: Draft) -> bool:
    """Whether the experiment had ended, or stood still, before the spec was changed."""
    if draft.aim is not Aim.RUN:
        return False
    conditions = draft.observed.status.conditions
    ended = {reasons.FAILED, reasons.COMPLETE, reasons.SUSPENDED, reasons.BUDGET_EXHAUSTED}
    was_refused = any(c.type == reasons.ACCEPTED and c.status == "False" for c in conditions)
    return was_refused or any(c.type in ended and c.status == "True" for c in conditions)


def _is_alive(draft: Draft) -> bool:
    job = draft.job
    return draft.answer is not None or (job is not None and not has_ended(job) and not job.is_suspended)
