"""What one pass of the operator does: observed in, decision out. Pure: the same input gives the same output.

Each step answers one question, in its own file, and hands a draft on; conditions and summary are derived at the end
from what the steps have found out. Nothing is remembered but what the API server and storage hold: the status names
the RayJob's number before it exists, ScalingTrials are the finished work, and all else is looked at anew.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from scaling_operator.decide.acceptance import accept
from scaling_operator.decide.aims import choose_aim, find_ends
from scaling_operator.decide.cluster import tend_cluster
from scaling_operator.decide.conditions import set_conditions
from scaling_operator.decide.creating import supply
from scaling_operator.decide.deadlines import look_again
from scaling_operator.decide.draft import Draft
from scaling_operator.decide.fits import fit
from scaling_operator.decide.lifetime import expire, finish, leave_alone
from scaling_operator.decide.messages import instruct
from scaling_operator.decide.planned import plan
from scaling_operator.decide.rows import record_rows
from scaling_operator.decision import Decision
from scaling_operator.observed import Observed
from scaling_operator.status import summarise, with_refusal, within_limit

STEPS: Final[tuple[Callable[[Draft], Draft], ...]] = (
    leave_alone, accept, plan, record_rows, find_ends, choose_aim, tend_cluster, instruct, supply, fit, finish, expire,
    look_again,
)  # fmt: skip


def decide(observed: Observed, *, now: datetime) -> Decision:
    """Return what this pass will do to bring the experiment one step closer to its spec.

    A second pass over what the first has brought about, with nothing else changed, writes nothing.
    """
    draft = Draft.of(observed, now)
    for step in STEPS:
        draft = step(draft)
        if draft.is_done:
            break
    if observed.is_deleting or _was_over(draft):
        return draft.decision
    draft = set_conditions(draft)
    is_planned = draft.plan_answer is not None
    status = within_limit(summarise(draft.status, draft.records, draft.plan) if is_planned else draft.status)
    if draft.refusal is not None:
        status = with_refusal(status, draft.refusal.reason, draft.refusal.message)
    elif draft.stop is not None and not any(law.coefficients for law in status.laws):
        status = with_refusal(status, draft.stop.reason, draft.stop.message)
    is_new = status != observed.status
    return replace(draft.decision, status=status if is_new else None)


def _was_over(draft: Draft) -> bool:
    """Whether the pass ended at the first step: the end of the experiment is written and stays as it is."""
    return draft.is_done and draft.decision.wants_plan is None


__all__ = ["decide"]
