"""What follows from the beginning and the end of an attempt: rows, events, another attempt or none.

The journal's rows come before the events that tell of them, and one sync serves all rows of a pass.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialRecord, TrialSpec, TrialStatus
from scaling_trainer.checkpoint import MANIFEST, check_checkpoint
from scaling_trainer.errors import CheckpointError
from scaling_trainer.executors.base import AttemptFailed, Event, Notice, TrialEnded, TrialStarted
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.journal import AttemptEnded, AttemptStarted
from scaling_trainer.results import ResultsFolder

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

    def __init__(
        self,
        schedule: Schedule,
        *,
        results: ResultsFolder,
        execution: Execution,
        on_event: Callable[[Event], None],
    ) -> None:
        """Begin with no attempt running."""
        self._schedule = schedule
        self._results = results
        self._execution = execution
        self._on_event = on_event
        self._known = results.records()
        self._running: dict[int, Attempt] = {}
        self._failures: Counter[tuple[str, FailureClass]] = Counter()
        self._repairs: Counter[Path] = Counter()
        self._failed_trials = 0
        self._unpublished: list[Event] = []

    def is_running(self, lane: int) -> bool:
        """Whether the lane has an attempt."""
        return lane in self._running

    def running(self, lane: int) -> Attempt:
        """Return the lane's attempt."""
        return self._running[lane]

    def start(self, trial: TrialSpec, *, lane: int) -> None:
        """Begin an attempt."""
        number = self._results.attempts(trial.id) + 1
        self._running[lane] = Attempt(trial, number)
        self._results.append(AttemptStarted(trial=trial.id, attempt=number, lane=lane, at=_now()))
        self._unpublished.append(TrialStarted(trial, number, lane, resumed=self._has_checkpoint(trial)))

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
        self._failures[trial.id, why.failure_class] += 1
        if self._failures[trial.id, why.failure_class] <= self._retries(why.failure_class):
            self._try_again(lane, why)
        else:
            self._give_up(lane, why)

    def interrupt_all(self) -> None:
        """End every running attempt; its trial goes on from its checkpoint in the next run."""
        for lane in list(self._running):
            attempt = self._end(lane, TrialStatus(state=TrialState.INTERRUPTED))
            self._schedule.put_back(attempt.trial.id)

    def give_up_orphans(self, records: Mapping[str, TrialRecord]) -> None:
        """Give up what descends from trials that diverged in earlier runs."""
        for record in records.values():
            if record.status.state is TrialState.DIVERGED and record.spec.id in self._schedule:
                self._give_up_descendants(record.spec, "diverged")

    def publish(self) -> None:
        """Bring the rows of this pass to disk, then tell of them."""
        self._results.sync()
        events, self._unpublished = self._unpublished, []
        for event in events:
            self._on_event(event)

    def _has_checkpoint(self, trial: TrialSpec) -> bool:
        """Whether an earlier attempt has left a checkpoint to go on from; a damaged one is discarded."""
        found = False
        for manifest in list(self._results.trial_folder(trial.id).glob(f"*/{MANIFEST}")):
            try:
                check_checkpoint(manifest.parent)
                found = True
            except CheckpointError as error:
                shutil.rmtree(manifest.parent)
                self._unpublished.append(Notice(f"{error.fact} {_STARTS_OVER}"))
        return found

    def _try_again(self, lane: int, why: Failure) -> None:
        attempt = self._end(lane, TrialStatus(state=TrialState.PENDING, failure=why))
        self._unpublished.append(AttemptFailed(attempt.trial, attempt.number, why))
        self._schedule.put_back(attempt.trial.id)

    def _give_up(self, lane: int, why: Failure) -> None:
        attempt = self._end(lane, status := TrialStatus(state=TrialState.FAILED, failure=why))
        self._tell(attempt, status)
        self._give_up_descendants(attempt.trial, "failed")
        self._failed_trials += 1
        if self._failed_trials > self._execution.max_failed_trials:
            raise RunStoppedError(
                failure(
                    FailureClass.APPLICATION,
                    "TooManyFailedTrials",
                    f"{self._failed_trials} trials have failed, more than execution.maxFailedTrials "
                    f"({self._execution.max_failed_trials}) allows. The last one: {why.message}",
                )
            )

    def _give_up_descendants(self, trial: TrialSpec, what: str) -> None:
        why = failure(
            FailureClass.APPLICATION,
            "ParentFailed",
            f"The trial was not run, because {trial.id}, which it starts from, {what}.",
        )
        for lost in self._schedule.give_up(trial.id):
            record = TrialRecord(spec=lost, status=TrialStatus(state=TrialState.FAILED, failure=why))
            if self._known.get(lost.id) != record:  # else an earlier run has said so
                self._results.append(AttemptEnded(record=record, at=_now()))
            self._unpublished.append(TrialEnded(record))

    def _repaired(self, lane: int, checkpoint: Path, why: Failure) -> bool:
        """Discard a checkpoint that cannot be used, and let the trial that it belongs to run again.

        Returns:
            False where it is neither the trial's own nor a parent's, or was discarded too often.
        """
        trial = self._running[lane].trial
        owner = self._owner(checkpoint, (trial.id, *trial.parents))
        self._repairs[checkpoint] += 1
        if owner is None or self._repairs[checkpoint] > self._retries(FailureClass.INFRASTRUCTURE):
            return False
        self._try_again(lane, why.model_copy(update={"failure_class": FailureClass.INFRASTRUCTURE}))
        if _is_usable(checkpoint):  # a sibling has told before, and it is made again already
            return True
        shutil.rmtree(checkpoint, ignore_errors=True)
        what = _STARTS_OVER
        if owner != trial.id:
            self._schedule.reopen(owner)
            what = f"The trial {owner}, which leaves it there, is run again; its numbers will be the same."
        self._unpublished.append(Notice(f"{why.message} {what}"))
        return True

    def _owner(self, checkpoint: Path, candidates: Iterable[str]) -> str | None:
        folders = {self._results.trial_folder(id_).resolve(): id_ for id_ in candidates}
        inner = checkpoint.resolve()
        return next((folders[folder] for folder in (inner, *inner.parents) if folder in folders), None)

    def _end(self, lane: int, status: TrialStatus) -> Attempt:
        """Write down how the lane's attempt ended."""
        attempt = self._running.pop(lane)
        self._results.append(AttemptEnded(record=self._record(attempt, status), at=_now()))
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
        update: dict[str, object] = {"attempts": attempt.number}
        if status.checkpoint is not None:
            path = Path(status.checkpoint.path)
            if path.is_absolute() and path.is_relative_to(self._results.path):
                relative = path.relative_to(self._results.path)
                update["checkpoint"] = status.checkpoint.model_copy(update={"path": relative.as_posix()})
        return TrialRecord(spec=attempt.trial, status=status.model_copy(update=update))

    def _retries(self, failure_class: FailureClass) -> int:
        retries = self._execution.retries
        return retries.infrastructure if failure_class is FailureClass.INFRASTRUCTURE else retries.application


def _is_usable(checkpoint: Path) -> bool:
    try:
        check_checkpoint(checkpoint)
    except CheckpointError:
        return False
    return True


def _now() -> datetime:
    return datetime.now(UTC)
