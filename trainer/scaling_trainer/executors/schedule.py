"""Which trial next: the one with the longest path of work still hanging on it.

Trials wait for their parents. Among those that need not wait, the one that begins the longest remaining path, trunk to
branch to pipeline, comes first: lanes then run out of work together, not one after the other.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import Enum, auto
from heapq import heapify, heappop, heappush
from typing import Final

from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design.cost import remaining_path_seconds

_REFINED_BY: Final = 1.1  # paths are counted anew when a kind's times have moved by this factor


class _State(Enum):
    WAITING = auto()
    RUNNING = auto()
    DONE = auto()
    ABANDONED = auto()


class Schedule:
    """The trials of a plan, and where each stands."""

    def __init__(
        self,
        trials: Sequence[TrialSpec],
        *,
        done: Collection[str],
        estimate: Callable[[TrialSpec], float],
    ) -> None:
        """Begin with every trial waiting, but for those that are done.

        Args:
            trials: parents before children.
            done: ids of trials that have a result and a checkpoint to start children from; more than the plan's may
                be given.
            estimate: seconds that a trial takes; only ratios matter.

        Raises:
            ValueError: a trial's parent is neither in the plan nor done.
        """
        self._trials = {trial.id: trial for trial in trials}
        self._estimates = {trial.id: estimate(trial) for trial in trials}
        self._states = {id_: _State.DONE if id_ in done else _State.WAITING for id_ in self._trials}
        self._children: dict[str, list[str]] = defaultdict(list)
        for trial in trials:
            for parent in trial.parents:
                if parent not in self._trials and parent not in done:
                    raise ValueError(f"trial {trial.id} starts from {parent}, which is not in the plan")
                self._children[parent].append(trial.id)
        self._speeds = _Speeds()
        self._ready = {id_ for id_ in self._trials if self._is_ready(id_)}
        self._queue: list[tuple[float, str]] = []
        self._count_paths()

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self._trials

    @property
    def is_finished(self) -> bool:
        """Nothing waits or runs."""
        return not any(state in {_State.WAITING, _State.RUNNING} for state in self._states.values())

    @property
    def waiting(self) -> int:
        """Trials that have not been begun, ready or not."""
        return sum(state is _State.WAITING for state in self._states.values())

    def take(self) -> TrialSpec | None:
        """Return the trial to run now, from here on running; None where all others wait for one that runs."""
        while self._queue:
            _, chosen = heappop(self._queue)
            if chosen in self._ready:  # else it has become unready since it was queued
                self._ready.remove(chosen)
                self._states[chosen] = _State.RUNNING
                return self._trials[chosen]
        return None

    def finish(self, trial_id: str, *, seconds: float | None = None) -> None:
        """Count a trial as done: its children may run. With `seconds`, refine the estimates of others of its kind."""
        self._states[trial_id] = _State.DONE
        self._ready.discard(trial_id)
        self._queue_ready(self._children[trial_id])
        if seconds is not None:
            kind = self._trials[trial_id].kind
            if self._speeds.add(kind, seconds=seconds, estimate=self._estimates[trial_id]):
                self._count_paths()

    def put_back(self, trial_id: str) -> None:
        """Let a running trial wait again."""
        self._states[trial_id] = _State.WAITING
        self._queue_ready([trial_id])

    def reopen(self, trial_id: str) -> None:
        """Let a trial that is done run again: its checkpoint is lost. Children that have not begun wait for it."""
        if self._states.get(trial_id) is _State.DONE:
            self.put_back(trial_id)
            self._ready.difference_update(self._children[trial_id])

    def give_up(self, trial_id: str) -> tuple[TrialSpec, ...]:
        """Give a trial up, and return all that descend from it and have not begun: they can never run."""
        self._states[trial_id] = _State.ABANDONED
        self._ready.discard(trial_id)
        lost = [id_ for id_ in self._descendants(trial_id) if self._states[id_] is _State.WAITING]
        for id_ in lost:
            self._states[id_] = _State.ABANDONED
        self._ready.difference_update(lost)
        return tuple(self._trials[id_] for id_ in lost)

    def _is_ready(self, trial_id: str) -> bool:
        parents = self._trials[trial_id].parents
        are_done = all(self._states.get(parent, _State.DONE) is _State.DONE for parent in parents)
        return are_done and self._states[trial_id] is _State.WAITING

    def _queue_ready(self, trial_ids: Iterable[str]) -> None:
        for id_ in trial_ids:
            if self._is_ready(id_):
                self._ready.add(id_)
                heappush(self._queue, (-self._paths[id_], id_))

    def _descendants(self, trial_id: str) -> Iterator[str]:
        found = dict.fromkeys(self._children[trial_id])
        pending = list(found)
        while pending:
            id_ = pending.pop(0)
            yield id_
            fresh = [child for child in self._children[id_] if child not in found]
            found.update(dict.fromkeys(fresh))
            pending += fresh

    def _count_paths(self) -> None:
        """Find the longest remaining paths by the latest speeds, and queue what is ready by them."""
        trials = tuple(self._trials.values())
        seconds = {trial.id: self._estimates[trial.id] * self._speeds.factor(trial.kind) for trial in trials}
        self._paths = remaining_path_seconds(trials, seconds)
        self._queue = [(-self._paths[id_], id_) for id_ in self._ready]
        heapify(self._queue)


class _Speeds:
    """Measured over estimated seconds, by kind of trial."""

    def __init__(self) -> None:
        self._measured: dict[TrialKind, float] = defaultdict(float)
        self._estimated: dict[TrialKind, float] = defaultdict(float)
        self._used: dict[TrialKind, float] = {}

    def add(self, kind: TrialKind, *, seconds: float, estimate: float) -> bool:
        """Count one more trial; True where a factor has moved enough to count paths anew."""
        self._measured[kind] += seconds
        self._estimated[kind] += estimate
        factor, used = self._latest(kind), self.factor(kind)
        if max(factor, used) < _REFINED_BY * min(factor, used):
            return False
        self._used[kind] = factor
        return True

    def factor(self, kind: TrialKind) -> float:
        """What to multiply estimates by; a kind that was not timed yet has the factor of all that were."""
        if kind in self._used:
            return self._used[kind]
        estimated = sum(self._estimated.values())
        return sum(self._measured.values()) / estimated if estimated > 0 else 1.0

    def _latest(self, kind: TrialKind) -> float:
        return self._measured[kind] / self._estimated[kind] if self._estimated[kind] > 0 else 1.0
