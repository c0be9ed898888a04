"""Question 3: what has the driver told, and what of it is to be believed?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from scaling_api.driver_protocol import Row
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialKind, TrialRecord, TrialSpec
from scaling_laws.design.plan import MAX_TRIALS
from scaling_operator import budget, reasons
from scaling_operator.decide.draft import Draft
from scaling_operator.decision import Cursor, Event

MOST_TOLD: Final = 3
"""Events of one pass about single trials; the records have them all."""
_WITH_RESULT: Final = frozenset({TrialState.SUCCEEDED, TrialState.CACHED})


@dataclass
class _Folded:
    """Rows, one after the other, on top of what is recorded."""

    records: dict[str, TrialRecord]
    changed: dict[str, TrialRecord] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    interrupted: int = 0
    unplanned: int = 0
    """Of these, trials that have left the plan."""
    why_interrupted: str | None = None


def record_rows(draft: Draft) -> Draft:
    """Turn the driver's rows into trial records, each by its last state; refuse what cannot be.

    Recording is idempotent: rows come again after a restart of the operator, and a new life of the driver begins by
    repeating what earlier ones have left. A finished trial is never changed back.

    Where the spec is refused and the last plan is not known any more, the driver is believed about which trials there
    are: what it has done is recorded before it goes.
    """
    if draft.observed.spec is None:
        return draft
    answer = draft.answer
    if answer is not None and (draft.plan is not None or draft.refusal is not None):
        draft = _fold(draft, answer.rows, answer.refused)
        if answer.rows:
            cursor = Cursor(answer.state.epoch, answer.rows[-1].number)
            draft = replace(draft, decision=replace(draft.decision, cursor=cursor))
    draft = _with_epoch(_with_spent(draft))
    return replace(draft, unfinished=_unfinished(draft.plan.by_id if draft.plan else {}, draft.records))


def lost_parent(failure: Failure | None) -> bool:
    """Return whether a trial failed for its parent alone: one failure, told and counted where it happened."""
    return failure is not None and failure.reason == "ParentFailed"


def interrupt_running(draft: Draft) -> Draft:
    """Record as interrupted what ran in a cluster that is gone: nobody else will say so."""
    running = [r for r in draft.records.values() if r.status.state is TrialState.RUNNING]
    if not running:
        return draft
    interrupted = {r.spec.id: _interrupted(r) for r in running}
    told = Event("Normal", reasons.TRIALS_INTERRUPTED, f"{_count(len(running))} interrupted: their cluster is gone.")
    return _writing(draft, interrupted).telling(told)


def _interrupted(record: TrialRecord) -> TrialRecord:
    why = Failure(
        failure_class=FailureClass.INFRASTRUCTURE,
        reason="ClusterGone",
        message="The trial's cluster went while it ran; it goes on from its last checkpoint in the next one.",
    )
    update = {"state": TrialState.INTERRUPTED, "failure": why}
    return record.model_copy(update={"status": record.status.model_copy(update=update)})


def _fold(draft: Draft, rows: Sequence[Row], unread: Sequence[str]) -> Draft:
    folded = _Folded(dict(draft.records), refused=list(unread))
    for row in rows:
        _take(row, folded, draft.plan.by_id if draft.plan else None)
    is_progress = any(record.status.state.is_finished for record in folded.changed.values())
    draft = _writing(draft, folded.changed).failing(*folded.failures).telling(*_events(folded))
    if is_progress and draft.ray_job is not None and draft.ray_job.failures:
        draft = draft.with_ray_job(failures=0, last_failure=None)
    return draft


def _take(row: Row, folded: _Folded, planned: Mapping[str, TrialSpec] | None) -> None:
    trial, status = row.record.spec.id, row.record.status
    known = folded.records.get(trial)
    spec = known.spec if known else _planned(row.record.spec, folded, planned)
    if spec is None:
        if status.state.is_finished:  # one that was begun under an earlier plan, and interrupted, is no news
            folded.refused.append(f"row {row.number} is of the trial {trial}, which is not in the plan")
    elif status.state in _WITH_RESULT and spec.kind is not TrialKind.TRUNK and status.metrics.loss is None:
        folded.refused.append(f"row {row.number} has the trial {trial} {status.state} without a loss")
    elif known is None or _is_news(status.state, status.attempts, known):
        record = TrialRecord(spec=spec, status=status)
        if record == known:
            return
        folded.records[trial] = folded.changed[trial] = record
        if status.failure is not None and (known is None or known.status.failure != status.failure):
            folded.failures.append(status.failure)
        if status.state is TrialState.INTERRUPTED:
            folded.interrupted += 1
            folded.unplanned += planned is not None and trial not in planned
            folded.why_interrupted = folded.why_interrupted or (status.failure.message if status.failure else None)


def _planned(told: TrialSpec, folded: _Folded, planned: Mapping[str, TrialSpec] | None) -> TrialSpec | None:
    """Return a trial as the plan has it; where no plan is known, as it is told, up to the size of any plan."""
    if planned is not None:
        return planned.get(told.id)
    return told if len(folded.records) < MAX_TRIALS else None


def _is_news(state: TrialState, attempts: int, known: TrialRecord) -> bool:
    if known.status.state.is_finished:
        return False
    return state.is_finished or attempts >= known.status.attempts


def _events(folded: _Folded) -> Iterator[Event]:
    for state, reason in ((TrialState.FAILED, reasons.TRIAL_FAILED), (TrialState.DIVERGED, reasons.TRIAL_DIVERGED)):
        ended = [r for r in folded.changed.values() if r.status.state is state and not lost_parent(r.status.failure)]
        for record in ended[:MOST_TOLD]:
            why = record.status.failure.message if record.status.failure else "Its loss was not finite."
            yield Event("Warning", reason, f"Trial {record.spec.id} {state.lower()}. {why}"[:1024])
    if folded.interrupted:
        rest = folded.why_interrupted or _rest(folded.interrupted, folded.unplanned)
        message = f"{_count(folded.interrupted)} interrupted. {rest}"[:1024]
        yield Event("Normal", reasons.TRIALS_INTERRUPTED, message)
    if folded.refused:
        # One, and not how many: the same words are one Event, however often the driver repeats itself.
        yield Event("Warning", reasons.ROWS_REFUSED, f"The driver was not believed: {folded.refused[0]}."[:1024])


def _rest(interrupted: int, unplanned: int) -> str:
    """Return what becomes of trials that were interrupted, of which some are no longer planned."""
    if unplanned == interrupted:
        return "It is no longer in the plan." if interrupted == 1 else "They are no longer in the plan."
    if interrupted == 1:
        return "It goes on from its checkpoint."
    but = f", but for {unplanned:,} no longer in the plan" if unplanned else ""
    return f"They go on from their checkpoints{but}."


def _writing(draft: Draft, changed: Mapping[str, TrialRecord]) -> Draft:
    writes = {**{record.spec.id: record for record in draft.decision.trials}, **changed}
    decision = replace(draft.decision, trials=tuple(writes.values()))
    return replace(draft, records={**draft.records, **changed}, decision=decision)


def _with_spent(draft: Draft) -> Draft:
    """Raise what was spent to what the driver's ledger says, and at least to what the pods show."""
    spent, job = draft.status.spent, draft.ray_job
    if draft.answer is not None:
        spent = budget.most(spent, draft.answer.state.spent)
    if job is not None and job.spent_before is not None:
        pods = [pod for pod in draft.observed.pods if pod.attempt == job.attempt]
        seen = budget.spent_on_pods(pods, draft.execution.pools, before=job.spent_before, now=draft.now)
        spent = budget.most(spent, seen)
    return draft.with_status(spent=spent)


def _with_epoch(draft: Draft) -> Draft:
    """Note which life of the driver answers; another one under the same RayJob means that its head was lost."""
    job, answer = draft.ray_job, draft.answer
    if job is None or answer is None or answer.state.epoch == job.epoch:
        return draft
    draft = draft if draft.status.started_at else draft.with_status(started_at=draft.now)
    if job.epoch is not None:
        text = f"The driver of RayJob {job.name} was started again, and goes on from what is in storage."
        draft = draft.telling(Event("Warning", reasons.DRIVER_RESTARTED, text)).failing(
            Failure(failure_class=FailureClass.INFRASTRUCTURE, reason=reasons.DRIVER_RESTARTED, message=text)
        )
    return draft.with_ray_job(epoch=answer.state.epoch)


def _unfinished(planned: Mapping[str, TrialSpec], records: Mapping[str, TrialRecord]) -> dict[str, TrialSpec]:
    return {
        trial: spec
        for trial, spec in planned.items()
        if trial not in records or not records[trial].status.state.is_finished
    }


def _count(trials: int) -> str:
    return f"{trials} trial{' was' if trials == 1 else 's were'}"
