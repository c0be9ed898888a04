"""When to look again, where no event will say so."""

from scaling_operator import budget, reasons
from scaling_operator.decide.cluster import MISSING_FOR_S
from scaling_operator.decide.draft import Aim, Draft
from scaling_operator.decide.winding_down import SILENCE_S

STARTING_S = 60.0
"""A cluster that comes up shows some of its troubles only by the time that it takes."""


def look_again(draft: Draft) -> Draft:
    """Be woken for a limit of wall time, a driver that stays silent, or a cluster that does not come up."""
    if draft.refusal is not None or draft.aim is Aim.REST:
        return draft
    left_s = budget.wall_time_left_s(draft.spec.budget, started_at=draft.status.started_at, now=draft.now)
    if left_s is not None:
        draft = draft.later(left_s)
    if draft.silence is not None:
        deadlines = draft.observed.settings.deadlines
        limit_s = deadlines.unreachable_head_seconds if draft.silence.has_token else SILENCE_S
        draft = draft.later(limit_s - (draft.now - draft.silence.since).total_seconds())
    elif draft.standing is not None and draft.standing.reason == reasons.TRIALS_MISSING:
        draft = draft.later(MISSING_FOR_S)
    elif draft.job is not None and draft.answer is None:
        draft = draft.later(STARTING_S)
    return draft
