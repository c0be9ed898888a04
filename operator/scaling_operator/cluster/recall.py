"""What this process remembers of an experiment between passes. All of it may be lost at any time, and is made again."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scaling_api.problems import Problem
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_operator.cluster.driver_link import DriverLink
from scaling_operator.cluster.seen import Key
from scaling_operator.fitting import AnalysisAnswer
from scaling_operator.planning import PlanAnswer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpecRead:
    """A spec, validated, or why it is none."""

    generation: int
    spec: ExperimentSpec | None
    problems: tuple[Problem, ...] = ()


@dataclass
class Study:
    """A plan or an analysis that is being made."""

    digest: str
    task: asyncio.Task[None]


@dataclass
class Line:
    """The line to a driver, and the task that listens on it."""

    link: DriverLink
    task: asyncio.Task[None]


@dataclass
class Recall:
    """Of one experiment."""

    uid: str
    spec: SpecRead | None = None
    token: str | None = None
    """The driver's, from its Secret."""
    secret_read_at: float = 0.0
    """When the Secret was last found, on the monotonic clock."""
    tokenless_since: datetime | None = None
    """Since when a head runs that cannot be asked for want of its token."""
    winding_down_since: datetime | None = None
    line: Line | None = None
    recorded: frozenset[str] = frozenset()
    """Ids of the trials that the last pass found recorded."""
    plan: PlanAnswer | None = None
    last_plan: PlanAnswer | None = None
    """The last that was one, with the ids of its trials."""
    analysis: AnalysisAnswer | None = None
    planning: Study | None = None
    analysing: Study | None = None

    def wind_down(self, is_winding_down: bool) -> None:
        """Note since when its RayJob is being taken away."""
        since = self.winding_down_since or datetime.now(UTC)
        self.winding_down_since = since if is_winding_down else None

    def forget(self) -> None:
        """Stop all that goes on for it."""
        for running in (self.line, self.planning, self.analysing):
            if running is not None:
                running.task.cancel()
        self.line = self.planning = self.analysing = None


def watched(task: "asyncio.Task[None]", *, on_failure: Callable[[], None]) -> "asyncio.Task[None]":
    """Return the task; should it end with an error, which is a bug, it is logged, and someone is told."""

    def ended(over: "asyncio.Task[None]") -> None:
        if not over.cancelled() and (error := over.exception()) is not None:
            logger.error("%s failed", over.get_name(), exc_info=error)
            on_failure()

    task.add_done_callback(ended)
    return task


@dataclass
class Recalls:
    """Of all experiments."""

    by_key: dict[Key, Recall] = field(default_factory=dict)

    def of(self, key: Key, uid: str) -> Recall:
        """Return what is remembered of this experiment, and nothing of an earlier one of its name."""
        found = self.by_key.get(key)
        if found is None or found.uid != uid:
            self.forget(key)
            found = self.by_key[key] = Recall(uid)
        return found

    def forget(self, key: Key) -> None:
        """The experiment is gone."""
        if (found := self.by_key.pop(key, None)) is not None:
            found.forget()
