"""Question 6: are laws and answers up to date?"""

from dataclasses import replace
from math import ceil
from typing import Final

from scaling_api.v1alpha1.status import FitStatus
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_operator.decide.draft import Aim, Draft
from scaling_operator.fitting import AnalysisRequest

FIRST: Final = 8
"""Trials with a loss before which no law is tried while others run: it would be refused."""
GROWTH: Final = 1.25
"""While trials run, laws are fitted again once there are so many times the finished trials, and a few."""
A_FEW: Final = 4


def fit(draft: Draft) -> Draft:
    """Put the newest analysis into the status; ask for another where the finished trials, laws or questions changed."""
    if draft.refusal is not None or draft.plan is None:
        return draft
    draft = _with_answer(draft)
    finished = _finished(draft)
    if not finished or not _is_worth_it(draft, finished):
        return draft
    request = AnalysisRequest(draft.spec, tuple(finished))
    if _is_fitted(draft, request.digest):
        return draft
    return replace(draft, decision=replace(draft.decision, wants_analysis=request))


def is_up_to_date(draft: Draft) -> bool:
    """Return whether laws and answers are of the trials that are finished."""
    return draft.decision.wants_analysis is None


def _with_answer(draft: Draft) -> Draft:
    answer = draft.observed.analysis
    if answer is None or _is_fitted(draft, answer.digest):
        return draft
    fitted = FitStatus(digest=answer.digest, trials=answer.trials)
    return draft.with_status(fitted=fitted, laws=answer.laws, answers=answer.answers, left_out=None)


def _is_fitted(draft: Draft, digest: str) -> bool:
    return draft.status.fitted is not None and draft.status.fitted.digest == digest


def _is_worth_it(draft: Draft, finished: list[TrialRecord]) -> bool:
    """Whether to ask: at rest always; while trials run only now and then, for a fit takes a core for seconds."""
    fitted = draft.status.fitted
    if draft.aim is Aim.REST:
        return True
    if fitted is None:
        return sum(_is_point(record) for record in finished) >= FIRST
    return len(finished) < fitted.trials or len(finished) >= ceil(GROWTH * fitted.trials) + A_FEW


def _is_point(record: TrialRecord) -> bool:
    return record.spec.kind is not TrialKind.TRUNK and record.status.metrics.loss is not None


def _finished(draft: Draft) -> list[TrialRecord]:
    """Return the finished trials of the plan as it is now, in its order and under its names."""
    assert draft.plan is not None
    found = ((spec, draft.records.get(spec.id)) for spec in draft.plan.trials)
    return [
        record if record.spec == spec else record.model_copy(update={"spec": spec})
        for spec, record in found
        if record is not None and record.status.state.is_finished
    ]
