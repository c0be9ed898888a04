"""What follows from the beginning and the end of an attempt: rows, events, another attempt or none.

The journal's rows come before the events that tell of them, and one sync serves all rows of a pass.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailedAttempts, Failure, FailureClass, TrialRecord, TrialSpec, TrialStatus
from scaling_trainer.executors.base import AttemptFailed, Event, Ledger, Notice, Orders, TrialEnded, TrialStarted
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.journal import AttemptEnded, AttemptStarted

_STARTS_CHILDREN: Final = frozenset({TrialState.SUCCEEDED, TrialState.CACHED})
_PARENT_FAILED: Final = "ParentFailed"
_STARTS_OVER: Final = "It was removed, and its trial does that work again; the numbers will be the same."


class RunStoppedError(Exception):
    """The run cannot go on; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


@dataclass(frozen=True)
class Attempt:
    """One try of a trial on a lane."""

    trial: TrialSpec
    number: int
    """1 for the first, over all runs."""


class Attempts:
    """All attempts of one run."""

    def __init__(self, schedule: Schedule, *, ledger: Ledger, on_event: Callable[[Event], None]) -> None:
        """Begin with no attempt running."""
        self._schedule = schedule
        self._ledger = ledger
        self._on_event = on_event
        self._execution = Execution()
        self._known: Mapping[str, TrialRecord] = {}
        self._running: dict[int, Attempt] = {}
        self._failures: dict[str, FailedAttempts] = {}
        self._repairs: Counter[Path] = Counter()
        self._failed_trials: set[str] = set()
        self._unpublished: list[Event] = []

    @property
    def running(self) -> Mapping[int, Attempt]:
        """The attempts that run, by lane."""
        return self._running

    def follow(self, orders: Orders) -> None:
        """Make the schedule that of the orders. What runs must be in them.

        Raises:
            ValueError: a trial's parent is neither in the plan nor finished.
            RunStoppedError: too many trials have failed.
        """
        self._execution = orders.execution
        self._known = self._ledger.records()
        done = {id_ for id_, record in self._known.items() if record.status.state in _STARTS_CHILDREN}
        self._schedule.follow(orders.trials, done=done)
        for record in self._known.values():
            if record.spec.id in self._schedule:
                self._follow_record(record, retry_failed=orders.retry_failed)
        for trial in self._schedule.given_up():
            self._give_up_descendants(trial, "failed")
        for trial in orders.trials:
            if self._schedule.is_waiting(trial.id) and self._is_used_up(self._failed(trial.id)):
                self._give_up_unstarted(trial)
        self._refuse_too_many(self._last_failure())

    def start(self, trial: TrialSpec, *, lane: int) -> str:
        """Begin an attempt, and return its name."""
        number = self._ledger.attempts(trial.id) + 1
        remains = self._ledger.remains(trial.id)
        self._running[lane] = Attempt(trial, number)
        self._ledger.append(AttemptStarted(trial=trial.id, attempt=number, lane=lane, at=_now(), flops=trial.flops))
        self._unpublished += [Notice(f"{fact} {_STARTS_OVER}") for fact in remains.damaged]
        self._unpublished.append(TrialStarted(trial, number, lane, resumed=remains.is_there))
        return f"{self._ledger.epoch}-{number}"

    def returned(self, lane: int, status: TrialStatus, *, seconds: float) -> None:
        """End an attempt whose function returned."""
        match status.state:
            case TrialState.SUCCEEDED | TrialState.CACHED:
                attempt = self._end(lane, status)
                self._tell(attempt, status)
                self._schedule.finish(attempt.trial.id, seconds=seconds)
            case TrialState.DIVERGED:
                attempt = self._end(lane, status)
                self._tell(attempt, status)
                self._give_up_descendants(attempt.trial, "diverged")
            case TrialState.FAILED if status.failure is not None:
                self.raised(lane, status.failure)
            case _:
                message = f"The trial's function returned the state {status.state}, which is no result."
                self.raised(lane, failure(FailureClass.APPLICATION, "InvalidResult", message))

    def raised(self, lane: int, why: Failure, *, checkpoint: Path | None = None) -> None:
        """End an attempt that has no result: the trial waits for another, or is given up.

        Args:
            lane: that ran it.
            why: whose fault it was.
            checkpoint: folder of the checkpoint that could not be used, where that is why.

        Raises:
            RunStoppedError: a person must act, or too many trials have failed.
        """
        trial = self._running[lane].trial
        if why.failure_class is FailureClass.CONFIGURATION:
            self._end(lane, TrialStatus(state=TrialState.INTERRUPTED, failure=why))
            raise RunStoppedError(why)
        if checkpoint is not None and self._repaired(lane, checkpoint, why):
            return
        self._failures[trial.id] = failures = self._failed(trial.id).and_one(why.failure_class)
        if not self._is_used_up(failures):
            self._try_again(lane, why)
        else:
            self._give_up(lane, why)

    def interrupt(self, lane: int) -> None:
        """End a running attempt; its trial goes on from its checkpoint when it runs again."""
        attempt = self._end(lane, TrialStatus(state=TrialState.INTERRUPTED))
        self._schedule.put_back(attempt.trial.id)

    def publish(self) -> None:
        """Bring the rows of this pass to disk, then tell of them."""
        self._ledger.sync()
        events, self._unpublished = self._unpublished, []
        for event in events:
            self._on_event(event)

    def _follow_record(self, record: TrialRecord, *, retry_failed: bool) -> None:
        """Give up what descends from trials that diverged in earlier runs, or failed and stay so."""
        state = record.status.state
        if state is TrialState.DIVERGED:
            self._give_up_descendants(record.spec, "diverged")
        elif state is TrialState.FAILED and not retry_failed and self._schedule.is_waiting(record.spec.id):
            self._give_up_descendants(record.spec, "failed")
            if record.status.failure is None or record.status.failure.reason != _PARENT_FAILED:
                self._failed_trials.add(record.spec.id)

    def _try_again(self, lane: int, why: Failure) -> None:
        attempt = self._end(lane, TrialStatus(state=TrialState.PENDING, failure=why))
        self._unpublished.append(AttemptFailed(attempt.trial, attempt.number, why))
        self._schedule.put_back(attempt.trial.id)

    def _give_up(self, lane: int, why: Failure) -> None:
        attempt = self._end(lane, status := TrialStatus(state=TrialState.FAILED, failure=why))
        self._tell(attempt, status)
        self._give_up_descendants(attempt.trial, "failed")
        self._failed_trials.add(attempt.trial.id)
        self._refuse_too_many(why)

    def _give_up_unstarted(self, trial: TrialSpec) -> None:
        """Give up a trial whose retries are used up by attempts that took the driver with them."""
        failed = self._failed(trial.id)
        message = (
            f"{failed.infrastructure} attempts were lost to infrastructure, and {failed.application} failed by "
            "themselves: more than execution.retries allows. The driver was lost with the last one."
        )
        why = failure(FailureClass.INFRASTRUCTURE, "DriverLost", message)
        attempts = self._ledger.attempts(trial.id)
        status = TrialStatus(state=TrialState.FAILED, attempts=attempts, failed_attempts=failed, failure=why)
        record = TrialRecord(spec=trial, status=status)
        self._ledger.append(AttemptEnded(record=record, at=_now()))
        self._unpublished.append(TrialEnded(record))
        self._give_up_descendants(trial, "failed")
        self._failed_trials.add(trial.id)

    def _refuse_too_many(self, last: Failure | None) -> None:
        failed, allowed = len(self._failed_trials), self._execution.max_failed_trials
        if failed > allowed:
            words = f"{failed} trials have failed, more than execution.maxFailedTrials ({allowed}) allows."
            told = f"{words} The last one: {last.message}" if last else words
            raise RunStoppedError(failure(FailureClass.APPLICATION, "TooManyFailedTrials", told))

    def _last_failure(self) -> Failure | None:
        records = (self._known[id_] for id_ in self._failed_trials if id_ in self._known)
        return next((record.status.failure for record in records if record.status.failure), None)

    def _give_up_descendants(self, trial: TrialSpec, what: str) -> None:
        why = failure(
            FailureClass.APPLICATION,
            _PARENT_FAILED,
            f"The trial was not run, because {trial.id}, which it starts from, {what}.",
        )
        for lost in self._schedule.give_up(trial.id):
            record = TrialRecord(spec=lost, status=TrialStatus(state=TrialState.FAILED, failure=why))
            if self._known.get(lost.id) != record:  # else an earlier run has said so
                self._ledger.append(AttemptEnded(record=record, at=_now()))
            self._unpublished.append(TrialEnded(record))

    def _repaired(self, lane: int, checkpoint: Path, why: Failure) -> bool:
        """Discard a checkpoint that cannot be used, and let the trial that it belongs to run again.

        Returns:
            False where it is neither the trial's own nor a parent's, or was discarded too often.
        """
        trial = self._running[lane].trial
        owner = next((id_ for id_ in (trial.id, *trial.parents) if id_ in checkpoint.parts), None)
        self._repairs[checkpoint] += 1
        if owner is None or self._repairs[checkpoint] > self._execution.retries.infrastructure:
            return False
        self._try_again(lane, why.model_copy(update={"failure_class": FailureClass.INFRASTRUCTURE}))
        if not self._ledger.discard(owner, checkpoint):  # a sibling has told before, and it is made again already
            return True
        what = _STARTS_OVER
        if owner != trial.id:
            self._schedule.reopen(owner)
            what = f"The trial {owner}, which leaves it there, is run again; its numbers will be the same."
        self._unpublished.append(Notice(f"{why.message} {what}"))
        return True

    def _end(self, lane: int, status: TrialStatus) -> Attempt:
        """Write down how the lane's attempt ended."""
        attempt = self._running.pop(lane)
        self._ledger.append(AttemptEnded(record=self._record(attempt, status), at=_now()))
        return attempt

    def _tell(self, attempt: Attempt, status: TrialStatus) -> None:
        """Tell of a trial's end; where it was run again for its checkpoint alone, compare its numbers."""
        known = self._known.get(attempt.trial.id)
        if known is not None and known.status.state is status.state and known.status.metrics != status.metrics:
            self._unpublished.append(
                Notice(
                    f"The trial {attempt.trial.id} was run again and gave other numbers than its result of an earlier "
                    "run, which is kept: this machine or its software differs from the one of that run."
                )
            )
        self._unpublished.append(TrialEnded(self._record(attempt, status)))

    def _record(self, attempt: Attempt, status: TrialStatus) -> TrialRecord:
        failed = self._failed(attempt.trial.id)
        counts = {"attempts": attempt.number, "failed_attempts": failed if failed != FailedAttempts() else None}
        return TrialRecord(spec=attempt.trial, status=self._ledger.located(status).model_copy(update=counts))

    def _failed(self, trial_id: str) -> FailedAttempts:
        return self._failures.get(trial_id) or self._ledger.failed_attempts(trial_id)

    def _is_used_up(self, failed: FailedAttempts) -> bool:
        retries = self._execution.retries
        return failed.infrastructure > retries.infrastructure or failed.application > retries.application


def _now() -> datetime:
    return datetime.now(UTC)
