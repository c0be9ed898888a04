"""Question 2: which trials are there, and what will they take?"""

from dataclasses import replace

from scaling_api.v1alpha1.status import PlanStatus
from scaling_api.v1alpha1.trial import TrialKind
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_operator import reasons
from scaling_operator.decide.acceptance import refusal_of
from scaling_operator.decide.draft import Draft
from scaling_operator.desired.quantities import slots_of
from scaling_operator.planning import PlanAnswer, PlanRequest


def plan(draft: Draft) -> Draft:
    """Put the plan and its cost into the status; ask for the plan where it is not known, and end the pass."""
    if draft.refusal is not None:
        return _as_it_was(draft)
    draft = draft.with_status(corpus_fingerprint=_fingerprint(draft))
    request = _request(draft)
    answer = draft.observed.plan
    if answer is None or answer.digest != request.digest:
        return replace(draft, decision=replace(draft.decision, wants_plan=request), is_done=True)
    if answer.plan is None:
        return _as_it_was(replace(draft, refusal=refusal_of(reasons.UNPLANNABLE, answer.problems)))
    return replace(draft, plan_answer=answer).with_status(plan=_plan_status(answer))


def _as_it_was(draft: Draft) -> Draft:
    """Go by the last plan while a RayJob is left of it: its rows are recorded before it goes."""
    is_left = draft.observed.spec is not None and draft.own_jobs
    return replace(draft, plan_answer=draft.observed.last_plan) if is_left else draft


def _fingerprint(draft: Draft) -> str | None:
    """Return the corpus's SHA-256: as pinned, as it is known, as the user wants it, or as the driver found it."""
    pinned = draft.status.corpus_fingerprint
    language = draft.spec.task.language
    if pinned is not None or language is None:
        return pinned
    if language.corpus.python is not None:
        return PYTHON_CORPUS_FINGERPRINT
    if language.corpus.fingerprint is not None:
        return language.corpus.fingerprint
    return draft.answer.state.corpus_fingerprint if draft.answer else None


def _request(draft: Draft) -> PlanRequest:
    execution = draft.execution
    slots = sum(slots_of(pool) * pool.max_nodes for pool in execution.pools)
    return PlanRequest(
        draft.spec,
        corpus_fingerprint=draft.status.corpus_fingerprint,
        lanes=max(1, min(slots, execution.parallel_trials or slots)),
        pools=execution.pools,
    )


def _plan_status(answer: PlanAnswer) -> PlanStatus:
    assert answer.plan is not None
    trials = answer.plan.trials
    cost = answer.estimate
    return PlanStatus(
        trials=len(trials),
        points=sum(trial.kind is not TrialKind.TRUNK for trial in trials),
        training_flops=sum(trial.flops for trial in trials),
        accelerator_hours=cost.accelerator_hours if cost else None,
        cost=cost.cost if cost else None,
    )
