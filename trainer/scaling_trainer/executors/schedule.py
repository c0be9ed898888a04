"""Which trial next: the one with the longest path of work still hanging on it.

Trials wait for their parents. Among those that need not wait, the one that begins the longest remaining path, trunk to
branch to pipeline, comes first: lanes then run out of work together, not one after the other.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from enum import Enum, auto
from heapq import heapify, heappop, heappush
from typing import Final

from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design.cost import remaining_path_seconds

_REFINED_BY: Final = 1.1  # paths are counted anew when a kind's times have moved by this factor


def _one_queue(_trial: TrialSpec) -> Hashable:
    """Have all trials wait in one queue."""
    return None


class _State(Enum):
    WAITING = auto()
    RUNNING = auto()
    DONE = auto()
    ABANDONED = auto()


class Schedule:
    """The trials of a plan, and where each stands. Those that could begin wait in queues."""

    def __init__(
        self,
        trials: Sequence[TrialSpec] = (),
        *,
        done: Collection[str] = (),
        estimate: Callable[[TrialSpec], float],
        queue_of: Callable[[TrialSpec], Hashable] = _one_queue,
    ) -> None:
        """Begin with every trial waiting, but for those that are done.

        Args:
            trials: parents before children.
            done: ids of trials that have a result and a checkpoint to start children from; more than the plan's may
                be given.
            estimate: seconds that a trial takes; only ratios matter.
            queue_of: the queue that a trial waits in when it is ready.

        Raises:
            ValueError: a trial's parent is neither in the plan nor done.
        """
        self._estimate = estimate
        self._queue_of = queue_of
        self._speeds = _Speeds()
        self._trials: dict[str, TrialSpec] = {}
        self._estimates: dict[str, float] = {}
        self._states: dict[str, _State] = {}
        self._counts: Counter[_State] = Counter()
        self._waiting: Counter[Hashable] = Counter()
        self._children: dict[str, list[str]] = {}
        self._held: set[str] = set()
        self.follow(trials, done=done)

    def follow(self, trials: Sequence[TrialSpec], *, done: Collection[str]) -> None:
        """Make `trials` the plan: new ones wait, those that are in it no more are forgotten, others stand as they did.

        Raises:
            ValueError: a trial's parent is neither in the plan nor done; the plan is as it was.
        """
        plan = {trial.id: trial for trial in trials}
        children = _children(trials, done)
        assert all(id_ in plan for id_, state in self._states.items() if state is _State.RUNNING)
        self._trials, self._children = plan, children
        self._estimates = {id_: self._estimates.get(id_) or self._estimate(trial) for id_, trial in plan.items()}
        self._states = {id_: self._states.get(id_) or (_State.DONE if id_ in done else _State.WAITING) for id_ in plan}
        self._counts = Counter(self._states.values())
        self._waiting = Counter(
            self._queue_of(trial) for id_, trial in plan.items() if self._states[id_] is _State.WAITING
        )
        self._held.clear()
        self._ready: dict[Hashable, set[str]] = defaultdict(set)
        for id_ in plan:
            if self._is_ready(id_):
                self._ready[self._queue_of(plan[id_])].add(id_)
        self._count_paths()

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self._trials

    @property
    def is_finished(self) -> bool:
        """Nothing waits or runs."""
        return self._counts[_State.WAITING] + self._counts[_State.RUNNING] == 0

    def waiting(self, queue: Hashable = None) -> int:
        """Return how many trials of a queue have not been begun, ready or not."""
        return self._waiting[queue]

    def queues(self) -> tuple[Hashable, ...]:
        """Return the queues that have trials which have not been begun."""
        return tuple(queue for queue, waiting in self._waiting.items() if waiting)

    def is_waiting(self, trial_id: str) -> bool:
        """Whether a trial has not been begun."""
        return self._states[trial_id] is _State.WAITING

    def given_up(self) -> tuple[TrialSpec, ...]:
        """Return the trials that were given up."""
        if not self._counts[_State.ABANDONED]:
            return ()
        return tuple(self._trials[id_] for id_, state in self._states.items() if state is _State.ABANDONED)

    def ready(self, queue: Hashable = None) -> int:
        """Return how many trials of a queue could begin now."""
        return len(self._ready[queue])

    def path_seconds(self, trial_id: str) -> float:
        """Return the length of the longest chain of work that starts with a trial."""
        return self._paths[trial_id]

    def peek(self, queue: Hashable = None) -> TrialSpec | None:
        """Return the trial of a queue to run next; None where there is none, or all wait for others."""
        heap, ready = self._heaps[queue], self._ready[queue]
        while heap and heap[0][1] not in ready:  # it has become unready since it was queued
            heappop(heap)
        return self._trials[heap[0][1]] if heap else None

    def take(self, queue: Hashable = None) -> TrialSpec | None:
        """Return the trial of a queue to run now, from here on running."""
        chosen = self.peek(queue)
        if chosen is not None:
            self._ready[queue].remove(chosen.id)
            self._set(chosen.id, _State.RUNNING)
        return chosen

    def hold(self, trial_id: str) -> None:
        """Let a ready trial wait until `release`."""
        self._unready(trial_id)
        self._held.add(trial_id)

    def release(self) -> None:
        """Let held trials run again."""
        held, self._held = self._held, set()
        self._queue_ready(held)

    def finish(self, trial_id: str, *, seconds: float | None = None) -> None:
        """Count a trial as done: its children may run. With `seconds`, refine the estimates of others of its kind."""
        self._set(trial_id, _State.DONE)
        self._unready(trial_id)
        self._queue_ready(self._children.get(trial_id, ()))
        if seconds is not None:
            kind = self._trials[trial_id].kind
            if self._speeds.add(kind, seconds=seconds, estimate=self._estimates[trial_id]):
                self._count_paths()

    def put_back(self, trial_id: str) -> None:
        """Let a running trial wait again."""
        self._set(trial_id, _State.WAITING)
        self._queue_ready([trial_id])

    def reopen(self, trial_id: str) -> None:
        """Let a trial that is done run again: its checkpoint is lost. Children that have not begun wait for it."""
        if self._states.get(trial_id) is _State.DONE:
            self.put_back(trial_id)
            for child in self._children.get(trial_id, ()):
                self._unready(child)

    def give_up(self, trial_id: str) -> tuple[TrialSpec, ...]:
        """Give a trial up, and return all that descend from it and have not begun: they can never run."""
        lost = [id_ for id_ in self._descendants(trial_id) if self._states[id_] is _State.WAITING]
        for id_ in (trial_id, *lost):
            self._set(id_, _State.ABANDONED)
            self._unready(id_)
        return tuple(self._trials[id_] for id_ in lost)

    def _is_ready(self, trial_id: str) -> bool:
        if trial_id not in self._trials or trial_id in self._held:
            return False
        parents = self._trials[trial_id].parents
        are_done = all(self._states.get(parent, _State.DONE) is _State.DONE for parent in parents)
        return are_done and self._states[trial_id] is _State.WAITING

    def _queue_ready(self, trial_ids: Iterable[str]) -> None:
        for id_ in trial_ids:
            if self._is_ready(id_):
                queue = self._queue_of(self._trials[id_])
                self._ready[queue].add(id_)
                heappush(self._heaps[queue], (-self._paths[id_], id_))

    def _unready(self, trial_id: str) -> None:
        self._held.discard(trial_id)
        self._ready[self._queue_of(self._trials[trial_id])].discard(trial_id)

    def _set(self, trial_id: str, state: _State) -> None:
        before, self._states[trial_id] = self._states[trial_id], state
        self._counts[before] -= 1
        self._counts[state] += 1
        change = (state is _State.WAITING) - (before is _State.WAITING)
        self._waiting[self._queue_of(self._trials[trial_id])] += change

    def _descendants(self, trial_id: str) -> Iterator[str]:
        found = dict.fromkeys(self._children.get(trial_id, ()))
        pending = list(found)
        while pending:
            id_ = pending.pop(0)
            yield id_
            fresh = [child for child in self._children.get(id_, ()) if child not in found]
            found.update(dict.fromkeys(fresh))
            pending += fresh

    def _count_paths(self) -> None:
        """Find the longest remaining paths by the latest speeds, and queue what is ready by them."""
        trials = tuple(self._trials.values())
        seconds = {trial.id: self._estimates[trial.id] * self._speeds.factor(trial.kind) for trial in trials}
        self._paths = remaining_path_seconds(trials, seconds)
        self._heaps: dict[Hashable, list[tuple[float, str]]] = defaultdict(list)
        for queue, ready in self._ready.items():
            self._heaps[queue] = [(-self._paths[id_], id_) for id_ in ready]
            heapify(self._heaps[queue])


def _children(trials: Sequence[TrialSpec], done: Collection[str]) -> dict[str, list[str]]:
    """Return the ids of each trial's children.

    Raises:
        ValueError: a trial's parent is neither among them nor done.
    """
    known = {trial.id for trial in trials}
    children: dict[str, list[str]] = defaultdict(list)
    for trial in trials:
        for parent in trial.parents:
            if parent not in known and parent not in done:
                raise ValueError(f"trial {trial.id} starts from {parent}, which is not in the plan")
            children[parent].append(trial.id)
    return children


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
