"""Question 4: does the sweep go on, and what is a cluster needed for?"""

from dataclasses import replace
from typing import Final

from scaling_api.driver_protocol import DriverPhase, Intent
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_operator import budget, reasons
from scaling_operator.conditions import holds
from scaling_operator.decide.draft import Aim, Draft
from scaling_operator.decide.messages import follows
from scaling_operator.decide.rows import lost_parent
from scaling_operator.failures import has_ended, ray_job_end, with_remedy

MOST_REPLAYS: Final = 3
"""Failures in a row after which unread rows are left in storage."""


def find_ends(draft: Draft) -> Draft:
    """Find out whether the sweep was given up or its budget is spent."""
    if draft.refusal is not None:
        return draft
    stop = _stop(draft)
    return replace(draft, stop=stop, exhausted=None if stop else _exhausted(draft))


def choose_aim(draft: Draft) -> Draft:
    """Decide what a cluster is needed for."""
    return replace(draft, aim=_aim(draft))


def stands(draft: Draft, kind: str) -> bool:
    """Return whether the condition was found true of this very generation of the spec."""
    return holds(draft.observed.status.conditions, kind, generation=draft.observed.identity.generation)


def _aim(draft: Draft) -> Aim:
    if draft.refusal is not None or draft.spec.suspend:
        return Aim.REST
    if _must_read(draft):
        return Aim.READ
    return Aim.RUN if draft.has_work and not draft.stop and not draft.exhausted else Aim.REST


def _stop(draft: Draft) -> Failure | None:
    if stands(draft, reasons.FAILED):
        (failed,) = (c for c in draft.observed.status.conditions if c.type == reasons.FAILED)
        return Failure(failure_class=FailureClass.APPLICATION, reason=failed.reason, message=failed.message[:1024])
    answer = draft.answer
    if answer is not None and answer.state.stopped is not None and follows(draft, answer.state, Intent.RUN):
        storage = draft.observed.settings.storage_of(draft.spec.execution.storage)
        return with_remedy(answer.state.stopped, storage)
    return _too_many_failed(draft)


def _too_many_failed(draft: Draft) -> Failure | None:
    """Count failed trials of the plan; those that lost their parent alone are its failure."""
    most = draft.spec.execution.max_failed_trials
    planned = draft.plan.by_id if draft.plan else {}
    failed = sum(record.status.state is TrialState.FAILED and not lost_parent(record.status.failure)
                 for trial, record in draft.records.items() if trial in planned)  # fmt: skip
    if failed <= most:
        return None
    return Failure(
        failure_class=FailureClass.APPLICATION,
        reason=reasons.TOO_MANY_FAILED_TRIALS,
        message=f"More than {most} trials have failed (execution.maxFailedTrials). Their records say why.",
    )


def _exhausted(draft: Draft) -> str | None:
    """Return which limit ended the sweep; what was found once stands until the spec changes."""
    if not draft.has_work:
        return None
    if stands(draft, reasons.BUDGET_EXHAUSTED):
        (found,) = (c for c in draft.observed.status.conditions if c.type == reasons.BUDGET_EXHAUSTED)
        return found.message
    limits, status = draft.spec.budget, draft.status
    reached = budget.limit_reached(limits, status.spent, started_at=status.started_at, now=draft.now)
    return reached or _driver_says(draft) or _nothing_fits(draft)


def _driver_says(draft: Draft) -> str | None:
    answer = draft.answer
    if answer is None or answer.state.budget_exhausted is None or answer.state.phase is not DriverPhase.FINISHED:
        return None  # what runs may still end
    return answer.state.budget_exhausted if follows(draft, answer.state, Intent.RUN) else None


def _nothing_fits(draft: Draft) -> str | None:
    """Save another cluster, which would only find out once more that no trial fits."""
    was_exhausted = holds(draft.observed.status.conditions, reasons.BUDGET_EXHAUSTED)
    if not was_exhausted or (draft.job is not None and not has_ended(draft.job)):
        return None
    return budget.none_fits(draft.spec.budget, draft.status.spent, draft.unfinished)


def _must_read(draft: Draft) -> bool:
    """Whether a RayJob has ended with rows that nobody has read, and no other would read them."""
    used, job = draft.ray_job, draft.job
    if used is None or used.is_collected or used.failures > MOST_REPLAYS or not draft.unfinished:
        return False
    if used.is_replay:
        return True
    is_over = used.uid is not None and (job is None or has_ended(job))
    if not is_over:
        return False
    verdict = ray_job_end(job) if job else None
    return draft.stop is not None or draft.exhausted is not None or (verdict is not None and _was_left(verdict.reason))


def _was_left(reason: str) -> bool:
    """Whether the driver had waited for hours, and so has probably finished."""
    return reason == "DriverUnanswered"
