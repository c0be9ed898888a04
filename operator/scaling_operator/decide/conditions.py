"""The eight conditions, each from what the steps have found out, and the Events of those that changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from scaling_api.v1alpha1.status import Condition, LawStatus
from scaling_operator import budget, reasons
from scaling_operator.conditions import set_condition
from scaling_operator.decide.draft import Draft
from scaling_operator.decide.lifetime import is_finished
from scaling_operator.decision import Event

LONGEST_MESSAGE: Final = 1024
"""Characters. Eight conditions must leave room for laws in a status of 64 KiB."""


@dataclass(frozen=True)
class Found:
    """What is true of one condition."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def set_conditions(draft: Draft) -> Draft:
    """Set every condition, and tell of those whose status or reason changed."""
    conditions = draft.status.conditions
    generation = draft.observed.identity.generation
    for kind, find in _CONDITIONS.items():
        found = find(draft)
        if found is None:
            continue
        new = Condition(
            type=kind,
            status=found.status,
            observed_generation=generation,
            last_transition_time=draft.now,
            reason=found.reason,
            message=_clipped(found.message),
        )
        conditions = set_condition(conditions, new, now=draft.now)
    return draft.with_status(conditions=conditions).telling(*_events(draft, conditions))


def _clipped(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."


def _accepted(draft: Draft) -> Found | None:
    if draft.refusal is not None:
        return Found("False", draft.refusal.reason, draft.refusal.message)
    if draft.plan_answer is None:  # it is being planned: what was said before stands until then
        is_new = all(c.type != reasons.ACCEPTED for c in draft.status.conditions)
        return Found("Unknown", reasons.PLANNING, "The sweep is being planned.") if is_new else None
    plan = draft.plan_answer.plan
    assert plan is not None
    size = f"The sweep has {len(plan.trials):,} trials of {plan.training_flops:.3g} training FLOPs in all."
    if shortfall := _shortfall(draft):
        size = f"{size} {shortfall}"
    if not plan.left_out:
        return Found("True", reasons.PLANNED, size)
    more = f" and {len(plan.left_out) - 3} more" if len(plan.left_out) > 3 else ""
    left_out = "; ".join(plan.left_out[:3])
    return Found("True", reasons.PLANNED, f"{size} Left out: {left_out}{more}.")


def _shortfall(draft: Draft) -> str | None:
    planned = draft.status.plan
    is_known = draft.refusal is None and draft.plan_answer is not None and planned is not None
    return budget.below_plan(draft.spec.budget, planned) if is_known and planned is not None else None


def _suspended(draft: Draft) -> Found | None:
    if not _is_planned(draft):
        return None
    if not draft.spec.suspend:
        return Found("False", reasons.NOT_SUSPENDED, "spec.suspend is false.")
    if not draft.is_stopped:
        return Found("False", reasons.SUSPENDING, "spec.suspend is true; the cluster is being stopped.")
    return Found("True", reasons.SUSPENDED_BY_SPEC, "spec.suspend is true: no cluster runs, and results are kept.")


def _cluster_ready(draft: Draft) -> Found | None:
    if draft.standing is None:
        return None
    return Found("True" if draft.standing.is_ready else "False", draft.standing.reason, draft.standing.message)


def _trials_complete(draft: Draft) -> Found | None:
    if not _is_planned(draft):
        return None
    if not draft.has_work:
        return Found("True", reasons.ALL_FINISHED, "Every trial of the plan has finished; status.trials counts how.")
    if draft.exhausted:
        return Found("False", reasons.BUDGET_EXHAUSTED, "The budget ended the sweep before every trial had finished.")
    if draft.stop:
        return Found("False", draft.stop.reason, "The sweep was given up before every trial had finished.")
    return Found("False", reasons.TRIALS_LEFT, "Trials of the plan are left to run; status.trials counts them.")


def _fitted(draft: Draft) -> Found | None:
    if not _is_planned(draft):
        return None
    if not draft.spec.laws:
        return Found("False", reasons.NO_LAWS_ASKED, "spec.laws is empty.")
    if draft.status.fitted is None:
        return Found("False", reasons.WAITING_FOR_TRIALS, "No law was fitted yet: there are too few finished trials.")
    if not draft.status.laws:
        answer = draft.observed.analysis
        return Found("False", reasons.ANALYSIS_FAILED, _kept(draft, answer.failure if answer else None))
    if refused := [law for law in draft.status.laws if law.refused]:
        return _law_refused(draft, " ".join(f"{law.name}: {law.refused}" for law in refused))
    return Found("True", reasons.LAWS_FITTED, " ".join(map(_fitted_law, draft.status.laws)))


def _law_refused(draft: Draft, why: str) -> Found:
    """Say that laws were refused: no bad news while more trials will come."""
    if draft.has_work and not draft.exhausted and not draft.stop:
        return Found("False", reasons.WAITING_FOR_TRIALS, f"The trials so far are not enough. {why}")
    return Found("False", reasons.LAW_REFUSED, why)


def _kept(draft: Draft, failure: str | None) -> str:
    """Return why the analysis failed; after a restart only the condition knows."""
    old = (c.message for c in draft.status.conditions if c.type == reasons.FITTED)
    return failure or next(old, "The analysis failed.")


def _fitted_law(law: LawStatus) -> str:
    findings = ", ".join(dict.fromkeys(finding.code for finding in law.findings))
    return f"{law.name} ({law.form}) is fitted{f', with findings: {findings}' if findings else ''}."


def _budget_exhausted(draft: Draft) -> Found | None:
    if not _is_planned(draft):
        return None
    if draft.exhausted:
        return Found("True", reasons.LIMIT_REACHED, draft.exhausted)
    return Found("False", reasons.WITHIN_BUDGET, "No limit of spec.budget has ended the sweep.")


def _complete(draft: Draft) -> Found | None:
    if not _is_planned(draft):
        return None
    if draft.stop:
        return Found("False", reasons.FAILED, "The experiment has failed; see the condition Failed.")
    if not is_finished(draft):
        return Found("False", *_why_not_complete(draft))
    if draft.exhausted:
        return Found("True", reasons.BUDGET_EXHAUSTED, f"The budget is spent{_made(draft, 'of what there is')}")
    return Found("True", reasons.COMPLETED, f"Every trial has finished{_made(draft, 'of them')}")


def _made(draft: Draft, of_what: str) -> str:
    """Return the end of a sentence on the laws."""
    laws = draft.status.laws
    if not draft.spec.laws:
        return "; no laws were asked for."
    refused = sum(law.refused is not None for law in laws)
    if refused == len(laws):
        return f", and no law could be fitted {of_what}; the condition Fitted says why."
    rest = f"; {refused} of {len(laws)} laws could not be fitted, and the condition Fitted says why" if refused else ""
    return f", and laws and answers are made {of_what}{rest}."


def _why_not_complete(draft: Draft) -> tuple[str, str]:
    if draft.spec.suspend:
        return reasons.SUSPENDED, "The experiment is suspended."
    if draft.has_work and not draft.exhausted:
        return reasons.TRIALS_LEFT, "Trials are left to run."
    if not draft.is_stopped:
        return reasons.STOPPING, "The cluster is being stopped."
    return reasons.FITTING, "Laws are being fitted, in turn with those of other experiments."


def _failed(draft: Draft) -> Found | None:
    if not _is_planned(draft):
        return None
    if draft.stop:
        return Found("True", draft.stop.reason, draft.stop.message)
    return Found("False", reasons.NO_FAILURE, "Nothing has ended the experiment.")


def _is_planned(draft: Draft) -> bool:
    return draft.refusal is None and draft.plan_answer is not None


def _events(draft: Draft, conditions: tuple[Condition, ...]) -> Iterator[Event]:
    before = draft.observed.status.conditions
    shortfall = _shortfall(draft)
    if shortfall and all(shortfall not in c.message for c in before if c.type == reasons.ACCEPTED):
        yield Event("Warning", reasons.BUDGET_BELOW_PLAN, shortfall)
    old = {c.type: (c.status, c.reason) for c in before}
    told = {event.reason for event in draft.decision.events}
    for condition in conditions:
        if old.get(condition.type) == (condition.status, condition.reason) or condition.reason in told:
            continue
        if (kind := _worth_telling(draft, condition)) is not None:
            yield Event(kind, condition.reason, condition.message)


def _worth_telling(draft: Draft, condition: Condition) -> Literal["Normal", "Warning"] | None:
    """Return the type of the Event; None where the change is of no interest by itself."""
    if condition.type == reasons.CLUSTER_READY:
        if draft.standing is not None and draft.standing.is_warning:
            return "Warning"
        return "Normal" if condition.status == "True" else None
    return _EVENTS.get((condition.type, condition.status, condition.reason)) or _EVENTS.get(
        (condition.type, condition.status, "")
    )


_EVENTS: Final[dict[tuple[str, str, str], Literal["Normal", "Warning"]]] = {
    (reasons.ACCEPTED, "True", ""): "Normal",
    (reasons.ACCEPTED, "False", ""): "Warning",
    (reasons.SUSPENDED, "True", ""): "Normal",
    (reasons.TRIALS_COMPLETE, "True", ""): "Normal",
    (reasons.FITTED, "True", ""): "Normal",
    (reasons.FITTED, "False", reasons.LAW_REFUSED): "Warning",
    (reasons.FITTED, "False", reasons.ANALYSIS_FAILED): "Warning",
    (reasons.BUDGET_EXHAUSTED, "True", ""): "Warning",
    (reasons.COMPLETE, "True", ""): "Normal",
    (reasons.FAILED, "True", ""): "Warning",
}

_CONDITIONS: Final[dict[str, Callable[[Draft], Found | None]]] = {
    reasons.ACCEPTED: _accepted,
    reasons.SUSPENDED: _suspended,
    reasons.CLUSTER_READY: _cluster_ready,
    reasons.TRIALS_COMPLETE: _trials_complete,
    reasons.FITTED: _fitted,
    reasons.BUDGET_EXHAUSTED: _budget_exhausted,
    reasons.COMPLETE: _complete,
    reasons.FAILED: _failed,
}
