"""How far a run has come, told by its executor's events."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_cli.show.trial_names import describe
from scaling_trainer.executors.base import (
    AttemptFailed,
    Event,
    LaneReplaced,
    Notice,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)

_ENOUGH = 0.1
"""Share of the run's work after which the measured speed alone counts."""
_FAILED = frozenset((TrialState.FAILED, TrialState.DIVERGED))


@dataclass
class LaneWork:
    """What a lane is at."""

    trial: TrialSpec
    step: int
    resumed: bool

    @property
    def fraction(self) -> float:
        """Share of the trial that is done."""
        steps = self.trial.end_step - self.trial.start_step
        return min(1.0, max(0.0, (self.step - self.trial.start_step) / steps)) if steps else 0.0


@dataclass
class RunProgress:
    """The state of a run that a display shows."""

    trials: Sequence[TrialSpec]
    """The whole plan."""
    estimates: Mapping[str, float]
    """Planned seconds of each trial on one lane."""
    lanes: int
    finished: set[str]
    """Ids of trials that earlier runs have finished; grows."""
    failed: int = 0
    running: dict[int, LaneWork] = field(default_factory=dict)
    """By lane."""
    done_s: float = 0.0
    """Planned seconds of what this run has finished."""

    @classmethod
    def of(
        cls, trials: Sequence[TrialSpec], estimates: Mapping[str, float], *, lanes: int, finished: Collection[str]
    ) -> "RunProgress":
        """Return the state before the first event."""
        return cls(trials, estimates, lanes, set(finished))

    def take(self, event: Event) -> str | None:
        """Follow an event; return a sentence where it is one that people should see."""
        match event:
            case TrialStarted():
                self.running[event.lane] = LaneWork(event.trial, event.trial.start_step, event.resumed)
            case TrialProgress():
                if (work := self.running.get(event.lane)) is not None and work.trial.id == event.trial.id:
                    work.step = event.step
            case TrialEnded():
                return self._end(event)
            case AttemptFailed():
                self._free(event.trial.id)
                return f"{describe(event.trial)}: attempt {event.attempt} failed. {event.failure.message}"
            case LaneReplaced():
                return f"Core {event.lane}: {event.reason}"
            case Notice():
                return event.message
        return None

    def _end(self, event: TrialEnded) -> str | None:
        record = event.record
        self._free(record.spec.id)
        if record.spec.id not in self.finished:
            self.finished.add(record.spec.id)
            self.done_s += self.estimates.get(record.spec.id, 0.0)
        if record.status.state not in _FAILED:
            return None
        self.failed += 1
        why = f" {record.status.failure.message}" if record.status.failure else ""
        return f"{describe(record.spec)}: {record.status.state.value.lower()}.{why}"

    def _free(self, trial_id: str) -> None:
        self.running = {lane: work for lane, work in self.running.items() if work.trial.id != trial_id}

    @property
    def count(self) -> int:
        """Trials finished, of this run and earlier ones."""
        return sum(trial.id in self.finished for trial in self.trials)

    @property
    def fraction(self) -> float:
        """Share of the planned work that is done, what is running included."""
        total = sum(self.estimates.values())
        return 1.0 if total == 0 else 1.0 - self.left_s / total

    @property
    def left_s(self) -> float:
        """Planned lane seconds that are left."""
        left = sum(seconds for id_, seconds in self.estimates.items() if id_ not in self.finished)
        return max(0.0, left - self._in_work_s)

    @property
    def _in_work_s(self) -> float:
        return sum(work.fraction * self.estimates.get(work.trial.id, 0.0) for work in self.running.values())

    def seconds_left(self, elapsed_s: float) -> float:
        """Return the expected wall time to the end, from the plan at first and soon from what was measured.

        Args:
            elapsed_s: seconds since the run began, the start of its processes included.
        """
        done, left = self.done_s + self._in_work_s, self.left_s
        if left <= 0:
            return 0.0
        # Nothing done after some time: what is left takes as long at least.
        planned = max(left / self.lanes, elapsed_s * left / (done + left))
        if done <= 0:
            return planned
        trust = min(1.0, done / (_ENOUGH * (done + left)))
        return trust * left * elapsed_s / done + (1 - trust) * planned
