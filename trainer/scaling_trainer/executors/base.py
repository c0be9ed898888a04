"""What every executor takes, tells and returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.trial import FailedAttempts, Failure, TrialRecord, TrialSpec, TrialStatus
from scaling_trainer.journal import Row


def _always(_trial: TrialSpec, _running: Sequence[TrialSpec]) -> bool:
    """Admit every trial."""
    return True


@dataclass(frozen=True)
class Orders:
    """What an executor is to do now. It may change while trials run; what has not changed costs nothing."""

    revision: int
    """Another number where any other field has changed."""
    trials: Sequence[TrialSpec]
    """The plan: parents before children, ids unique. It may grow and shrink: finished trials stay finished, those
    that run and are in it no more are interrupted."""
    execution: Execution
    """Pools, trials at a time, retries."""
    is_paused: bool = False
    """Interrupt what runs, begin nothing, and return; checkpoints stay."""
    may_start: Callable[[TrialSpec, Sequence[TrialSpec]], bool] = _always
    """Called with a trial that could begin now and those that run: whether the budget admits it beside them. A trial
    that is refused is asked for again when an attempt has ended, and when the revision has changed."""
    retry_failed: bool = True
    """Try trials again that failed in earlier runs. Else their failures stand, and count."""
    cpu_fallback: bool = False
    """Train on the CPU where a pool's accelerator is missing: an administrator's setting for tests."""


@dataclass(frozen=True)
class TrialStarted:
    """A lane has begun an attempt at a trial."""

    trial: TrialSpec
    attempt: int
    """1 for the first, over all runs of the experiment."""
    lane: int
    resumed: bool
    """An earlier attempt left a checkpoint to go on from."""


@dataclass(frozen=True)
class TrialProgress:
    """A trial has come to a step; told about once a second."""

    trial: TrialSpec
    lane: int
    step: int
    last_step: int


@dataclass(frozen=True)
class TrialEnded:
    """A trial has its result, which is on disk, or was given up; no further attempt will be made in this run."""

    record: TrialRecord


@dataclass(frozen=True)
class AttemptFailed:
    """An attempt ended without a result; the trial will be tried again."""

    trial: TrialSpec
    attempt: int
    failure: Failure


@dataclass(frozen=True)
class LaneReplaced:
    """A lane's process was lost and another takes its place."""

    lane: int
    reason: str
    """A sentence."""


@dataclass(frozen=True)
class Notice:
    """Something that the one who started the run should know."""

    message: str
    """One or more sentences."""


Event: TypeAlias = TrialStarted | TrialProgress | TrialEnded | AttemptFailed | LaneReplaced | Notice


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    records: Mapping[str, TrialRecord]
    """By trial id: every trial of the plan that has its result or was given up, those of earlier runs included."""
    interrupted: bool
    """It was asked to stop: Ctrl-C, or a polite signal."""
    stopped: Failure | None
    """Why it stopped early by itself: a full disk, too many failed trials, something only a person can set right."""
    busy_fraction: Mapping[int, float]
    """By lane: share of the time, from the first trial's start to the last trial's start, that it spent on trials."""
    seconds: float
    """From the call to the return."""


@dataclass(frozen=True)
class Remains:
    """What a trial's earlier attempts have left to go on from."""

    is_there: bool
    damaged: Sequence[str] = ()
    """A sentence on each checkpoint that was damaged and is removed now: its work is done again."""


class Ledger(Protocol):
    """Where attempts and results are written down, and what is known of checkpoints. Used from one thread."""

    @property
    def epoch(self) -> int | str:
        """This run's name: attempts of different epochs never write the same names."""

    def records(self) -> Mapping[str, TrialRecord]:
        """Return each finished trial's result by its id, over all epochs: its first success, else its last failure."""

    def attempts(self, trial_id: str) -> int:
        """Return the number of attempts begun at a trial, over all epochs."""

    def failed_attempts(self, trial_id: str) -> FailedAttempts:
        """Return how many attempts at a trial have failed, as far as they count against its retries."""

    def append(self, row: Row) -> None:
        """Write a row down, whole or not at all; it need not last before `sync`.

        Raises:
            OSError: it could not be written.
        """

    def sync(self) -> None:
        """Make all rows last. Events are told after it.

        Raises:
            OSError: it could not be done.
        """

    def remains(self, trial_id: str) -> Remains:
        """Return what there is of a trial to go on from."""

    def discard(self, trial_id: str, checkpoint: Path) -> bool:
        """Remove a trial's checkpoint that an attempt could not use.

        Args:
            trial_id: of the trial that has left it.
            checkpoint: its folder, as the attempt saw it: `.../trials/<id>/<name>`, perhaps of another machine.

        Returns:
            False where it is usable by now, because another attempt has told before and it was made again.
        """

    def located(self, status: TrialStatus) -> TrialStatus:
        """Return `status` with the checkpoint's path as records have it."""


@dataclass(frozen=True)
class Capacity:
    """What is up of a pool, at work or not."""

    nodes: int
    accelerators: int
    """Of all its nodes; one-thread lanes, where the pool has none."""


class Executor(Protocol):
    """Runs the trials of a plan, which may change meanwhile."""

    def run(self, orders: Callable[[], Orders], *, ledger: Ledger, on_event: Callable[[Event], None]) -> Outcome:
        """Run every trial of the orders that `ledger` has no result of, parents before children.

        Returns when nothing runs and nothing more may begin: all is finished, paused, stopped, or beyond the budget.
        It may be called again, with other orders; it must not be called while it runs.

        Args:
            orders: asked at the beginning and every .2 s at least; cheap, and from the thread that called `run`.
            ledger: rows are in it, and have come to last, before they are told.
            on_event: called from the thread that called `run`, and never after it returns.

        Raises:
            ValueError: a trial's parent is neither in the plan nor finished.
        """

    def capacity(self) -> Mapping[str, Capacity]:
        """Return what is up, by pool's name; from any thread, between runs too: idle accelerators cost as well."""

    @property
    def lanes(self) -> int:
        """Lanes that are ready or at work; from any thread."""

    def close(self) -> None:
        """Let go of all processes; closing again does nothing."""
