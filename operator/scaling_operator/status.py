"""The status as it is written: counted, put in short for people, and at most 64 KiB."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from scaling_api.v1alpha1.status import (
    Answer,
    Coefficient,
    ExperimentStatus,
    FindingStatus,
    LawStatus,
    Spent,
    Summary,
    TrialCounts,
    TrialState,
)
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_laws.design.plan import Plan

LARGEST_STATUS_BYTES: Final = 64 * 1024
LONGEST_REFUSAL: Final = 96
"""Characters of a column of `kubectl get`."""
_ROOM_BYTES: Final = 2048
"""Left for managed fields that the API server adds, and for a note on what was left out."""
_GREEK: Final = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ"}


def status_manifest(status: ExperimentStatus) -> dict[str, Any]:
    """Return the status as the API server reads it. Fields without a value are left out."""
    return status.model_dump(mode="json", exclude_none=True)


def summarise(status: ExperimentStatus, records: Mapping[str, TrialRecord], plan: Plan | None) -> ExperimentStatus:
    """Return the status with trials counted by state, the lowest loss, and all of it in short.

    Args:
        status: as the pass leaves it.
        records: trials as they are recorded; those that are not in the plan do not count.
        plan: the trials; None while their ids are not known, as before a corpus was read.
    """
    if plan is not None:
        own = [records[trial.id] for trial in plan.trials if trial.id in records]
        counts = _counts(own, total=len(plan.trials))
        status = status.model_copy(update={"trials": counts, "best_loss": _best_loss(own)})
    elif status.plan is not None:
        status = status.model_copy(update={"trials": TrialCounts(pending=status.plan.trials)})
    return status.model_copy(update={"summary": _summary(status)})


def with_refusal(status: ExperimentStatus, reason: str, message: str) -> ExperimentStatus:
    """Return the status whose summary says, in the place of a law, why there is none."""
    return status.model_copy(
        update={"summary": status.summary.model_copy(update={"law": shortened(f"{reason}: {message}")})}
    )


def shortened(said: str) -> str:
    """Return what is said, as far as a column has room for it."""
    return said if len(said) <= LONGEST_REFUSAL else said[: LONGEST_REFUSAL - 3] + "..."


def within_limit(status: ExperimentStatus, *, limit: int = LARGEST_STATUS_BYTES) -> ExperimentStatus:
    """Return the status, without what does not fit: details of findings first, coefficients of laws last.

    What an earlier pass has cut stays cut, and its note stands, until laws and answers are made anew.
    """
    for note, cut in _CUTS:
        if _size(status) <= limit - _ROOM_BYTES:
            return status
        status = cut(status).model_copy(update={"left_out": note})
    return status


def _size(status: ExperimentStatus) -> int:
    return len(json.dumps(status_manifest(status), ensure_ascii=False).encode())


def _counts(records: Iterable[TrialRecord], *, total: int) -> TrialCounts:
    states = Counter(record.status.state for record in records)
    succeeded = states[TrialState.SUCCEEDED] + states[TrialState.CACHED]
    ended = succeeded + states[TrialState.FAILED] + states[TrialState.DIVERGED]
    return TrialCounts(
        pending=total - ended - states[TrialState.RUNNING],
        running=states[TrialState.RUNNING],
        succeeded=succeeded,
        failed=states[TrialState.FAILED],
        diverged=states[TrialState.DIVERGED],
    )


def _best_loss(records: Iterable[TrialRecord]) -> float | None:
    results = (r for r in records if r.status.state.is_finished and r.spec.kind is not TrialKind.TRUNK)
    return min((r.status.metrics.loss for r in results if r.status.metrics.loss is not None), default=None)


def _summary(status: ExperimentStatus) -> Summary:
    trials, plan = status.trials, status.plan
    finished = trials.succeeded + trials.failed + trials.diverged
    return Summary(
        trials=f"{finished}/{plan.trials}" if plan else "",
        loss="" if status.best_loss is None else f"{status.best_loss:.4g}",
        law=_law(status.laws) or _why_none(status),
        spent=_spent(status.spent),
    )


def _law(laws: Iterable[LawStatus]) -> str:
    fitted = next((law for law in laws if law.coefficients), None)
    if fitted is None:
        return ""
    named = [c for c in fitted.coefficients if c.name in _GREEK]
    slopes = [c for c in fitted.coefficients if c.name.startswith("log(")]
    return ", ".join(map(_in_short, (named or slopes or list(fitted.coefficients))[:2]))


def _why_none(status: ExperimentStatus) -> str:
    """Return why there is no law, once no more trials will come."""
    refused = next((law.refused for law in status.laws if law.refused), None)
    return shortened(f"refused: {refused}") if refused and status.finished_at is not None else ""


def _in_short(coefficient: Coefficient) -> str:
    name = _GREEK.get(coefficient.name, coefficient.name)
    lower, upper = coefficient.lower, coefficient.upper
    limits = f" [{lower:.2g}, {upper:.2g}]" if lower is not None and upper is not None else ""
    return f"{name} {coefficient.value:.2g}{limits}"


def _spent(spent: Spent) -> str:
    parts = [f"{spent.training_flops:.2e} FLOPs"] if spent.training_flops else []
    hours = spent.accelerator_seconds / 3600
    parts += [f"{hours:.2f} h" if hours >= 0.1 else f"{hours:.2g} h"] if hours else []
    parts += [f"cost {spent.cost:.2f}"] if spent.cost is not None else []
    return ", ".join(parts)


def _short_findings(status: ExperimentStatus) -> ExperimentStatus:
    laws = tuple(law.model_copy(update={"findings": _cut(law.findings, 160)}) for law in status.laws)
    answers = tuple(a.model_copy(update={"findings": _cut(a.findings, 160)[:2]}) for a in status.answers)
    return status.model_copy(update={"laws": laws, "answers": answers})


def _no_answer_findings(status: ExperimentStatus) -> ExperimentStatus:
    def bare(answer: Answer) -> Answer:
        refused = None if answer.refused is None else answer.refused[:160]
        return answer.model_copy(update={"findings": (), "refused": refused})

    return status.model_copy(update={"answers": tuple(map(bare, status.answers))})


def _few_answers(status: ExperimentStatus) -> ExperimentStatus:
    return status.model_copy(update={"answers": status.answers[:32]})


def _no_findings(status: ExperimentStatus) -> ExperimentStatus:
    laws = tuple(law.model_copy(update={"findings": _cut(law.findings, 60)[:8]}) for law in status.laws)
    return status.model_copy(update={"laws": laws})


def _few_coefficients(most: int) -> Callable[[ExperimentStatus], ExperimentStatus]:
    def cut(status: ExperimentStatus) -> ExperimentStatus:
        laws = tuple(
            law.model_copy(
                update={
                    "coefficients": law.coefficients[:most],
                    "formula": law.formula[:128],
                    "findings": (),
                    "refused": None if law.refused is None else law.refused[:160],
                }
            )
            for law in status.laws
        )
        return status.model_copy(update={"laws": laws, "answers": ()})

    return cut


def _cut(findings: Iterable[FindingStatus], length: int) -> tuple[FindingStatus, ...]:
    return tuple(
        finding if len(finding.message) <= length
        else finding.model_copy(update={"message": finding.message[: length - 3] + "..."})
        for finding in findings
    )  # fmt: skip


_ALL = "`scaling report` has everything."
_CUTS: Final[tuple[tuple[str, Callable[[ExperimentStatus], ExperimentStatus]], ...]] = (
    (f"Long findings are cut short. {_ALL}", _short_findings),
    (f"Findings of answers are left out. {_ALL}", _no_answer_findings),
    (f"Findings are cut short, and answers after the first 32 are left out. {_ALL}", _few_answers),
    (f"Most findings, and answers after the first 32, are left out. {_ALL}", _no_findings),
    (f"Answers, findings, and coefficients after the first 16 of a law are left out. {_ALL}", _few_coefficients(16)),
    (f"Answers, findings, and coefficients after the first 8 of a law are left out. {_ALL}", _few_coefficients(8)),
    (f"Answers, findings and coefficients are left out. {_ALL}", _few_coefficients(0)),
)
"""What is left out, step by step, until the status fits."""
