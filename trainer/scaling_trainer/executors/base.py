"""What every executor takes, tells and returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from scaling_api.v1alpha1.trial import Failure, TrialRecord, TrialSpec

if TYPE_CHECKING:
    from scaling_trainer.results import ResultsFolder


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


class Executor(Protocol):
    """Runs the trials of a plan."""

    def run(
        self, plan_trials: Sequence[TrialSpec], *, results: "ResultsFolder", on_event: Callable[[Event], None]
    ) -> Outcome:
        """Run every trial of `plan_trials` that `results` has no result of, parents before children.

        A trial that failed in an earlier run is tried again; one that succeeded or diverged is not.

        Args:
            plan_trials: parents before children; ids are unique.
            results: opened for this run; results are there, on disk, before they are told.
            on_event: called from the thread that called `run`, and never after it returns.
        """
