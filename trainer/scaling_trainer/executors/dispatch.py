"""What to do next with the lanes: start a trial, open one more, let one go.

Trials of one worker and of several share the slots of their pool. Whichever begins the longest remaining path has its
turn. When it is a gang's, and too few slots are free, its pool begins nothing until enough lanes have run out of work:
so gangs do not starve. A kind of trial that has been passed over often enough has its turn whatever its path: so
neither do the others.

A pool may have fewer nodes than it is allowed: its slots are promised before they are there, so that the autoscaler
brings nodes up. A gang that waits for its slots for long gets those of its pool's other lanes.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.executors.slots import LaneState, Queue, Slots

_PATIENCE: Final = 8  # starts of the other kind, for the smallest of pools
_SHORT_AFTER_S: Final = 60.0  # of a gang's wait for slots that the pool may have


@dataclass(frozen=True)
class Start:
    """Begin the next trial of the lane's queue on it."""

    lane: int


@dataclass(frozen=True)
class Open:
    """Open a lane."""

    queue: Queue


@dataclass(frozen=True)
class Retire:
    """Let a lane go that is not at work."""

    lane: int


Action: TypeAlias = Start | Open | Retire


class Dispatch:
    """Decides; changes nothing but its own count of who was passed over."""

    def __init__(self, schedule: Schedule, slots: Slots, *, is_eager: bool, idle_s: float) -> None:
        """Look at a schedule whose queues are `Queue`, and at lanes.

        Args:
            schedule: what waits.
            slots: the lanes.
            is_eager: open lanes for trials that wait for others too, so that none waits for a lane later.
            idle_s: seconds after which a lane without work is let go.
        """
        self._schedule = schedule
        self._slots = slots
        self._is_eager = is_eager
        self._idle_s = idle_s
        self._passed_over: Counter[Queue] = Counter()

    def next_action(
        self, *, parallel: int | None, admits: Callable[[TrialSpec], bool], may_open: bool = True
    ) -> Action | None:
        """Return what to do now; ask again once it is done. None where there is nothing to do until something ends.

        Args:
            parallel: trials at a time.
            admits: whether the budget admits a trial; those that it does not are held back in the schedule.
            may_open: whether lanes may be opened now.
        """
        busy = self._slots.number(LaneState.BUSY)
        for pool in self._pools():
            heads = _Heads(self._head(Queue(pool), admits), self._head(Queue(pool, is_gang=True), admits))
            action = None if parallel is not None and busy >= parallel else self._start(pool, heads)
            if action is None and may_open:
                action = self._open(pool, heads, parallel=math.inf if parallel is None else parallel)
            if action is not None:
                return action
        return next((Retire(lane) for lane in self._slots.idle_longer_than(self._idle_s)), None)

    def has_next(self, admits: Callable[[TrialSpec], bool]) -> bool:
        """Whether there is a trial to begin, now or as soon as there is a lane for it."""
        queues = (Queue(pool, is_gang) for pool in self._pools() for is_gang in (False, True))
        return any(self._head(queue, admits) is not None for queue in queues)

    def started(self, queue: Queue) -> None:
        """Take note that a trial of a queue was begun."""
        other = Queue(queue.pool, not queue.is_gang)
        self._passed_over[queue] = 0
        self._passed_over[other] = self._passed_over[other] + 1 if self._schedule.ready(other) else 0

    def _pools(self) -> list[str]:
        waiting = (queue.pool for queue in self._schedule.queues() if isinstance(queue, Queue))
        return sorted({*waiting, *self._slots.pools()})

    def _head(self, queue: Queue, admits: Callable[[TrialSpec], bool]) -> TrialSpec | None:
        while (trial := self._schedule.peek(queue)) is not None:
            if admits(trial):
                return trial
            self._schedule.hold(trial.id)
        return None

    def _start(self, pool: str, heads: "_Heads") -> Action | None:
        if self._slots.is_short(pool, _SHORT_AFTER_S):
            return next((Retire(lane) for lane in self._slots.reclaimable(pool)), None)
        lane = self._slots.idle(Queue(pool))
        runner = self._slots.idle(Queue(pool, is_gang=True))
        if heads.gang is not None and runner is not None:
            if self._is_gangs_turn(pool, heads):
                return self._make_room(pool, heads.gang) or self._start_gang(pool, heads.gang, runner)
            if lane is None and self._slots.number(LaneState.STARTING, queue=Queue(pool)):
                return self._start_gang(pool, heads.gang, runner)  # beside the slot of the lane that is coming
        return Start(lane) if lane is not None and heads.single is not None else None

    def _start_gang(self, pool: str, gang: TrialSpec, runner: int) -> Start | None:
        return Start(runner) if self._has_room(pool, gang) else None

    def _make_room(self, pool: str, gang: TrialSpec) -> Retire | None:
        """Let a lane go, where letting go of enough gives the gang its slots."""
        lanes = self._slots.reclaimable(pool)
        is_enough = self._slots.free(pool) + len(lanes) >= gang.compute.workers
        return Retire(lanes[0]) if is_enough and not self._has_room(pool, gang) else None

    def _has_room(self, pool: str, gang: TrialSpec) -> bool:
        return self._slots.free(pool) >= gang.compute.workers

    def _is_gangs_turn(self, pool: str, heads: "_Heads") -> bool:
        if heads.single is None or heads.gang is None:
            return heads.gang is not None
        patience = max(_PATIENCE, 2 * self._slots.size(pool))
        single, gang = (self._passed_over[Queue(pool, is_gang)] for is_gang in (False, True))
        if max(single, gang) >= patience:
            return gang >= single
        return self._schedule.path_seconds(heads.gang.id) >= self._schedule.path_seconds(heads.single.id)

    def _open(self, pool: str, heads: "_Heads", *, parallel: float) -> Open | None:
        single, gang = Queue(pool), Queue(pool, is_gang=True)
        has_runner = self._slots.number(LaneState.STARTING, LaneState.IDLE, queue=gang) > 0
        if heads.gang is not None and not has_runner and self._is_runner_of_use(pool, heads.gang):
            return Open(gang)
        is_gangs_turn = self._slots.idle(gang) is not None and self._is_gangs_turn(pool, heads)
        is_draining = is_gangs_turn or self._slots.is_short(pool, _SHORT_AFTER_S)
        has_room = self._slots.free(pool) > 0 and self._at_once() < parallel
        return Open(single) if has_room and not is_draining and self._is_lane_wanted(single, heads) else None

    def _at_once(self) -> int:
        """Return how many trials may be at work at once with the lanes that there are."""
        idle_runners = (
            self._slots.number(LaneState.STARTING, LaneState.IDLE, queue=Queue(pool, is_gang=True))
            for pool in self._slots.pools()
        )
        return self._slots.number(*LaneState) - sum(idle_runners)

    def _is_lane_wanted(self, queue: Queue, heads: "_Heads") -> bool:
        unused = self._slots.number(LaneState.STARTING, LaneState.IDLE, queue=queue)
        if self._is_eager:
            return unused < self._schedule.waiting(queue)
        return heads.single is not None and unused < self._schedule.ready(queue)

    def _is_runner_of_use(self, pool: str, gang: TrialSpec) -> bool:
        """Whether the gang could run at once, or will when others have ended."""
        busy = self._slots.number(LaneState.BUSY, queue=Queue(pool, is_gang=True))
        return busy == 0 or self._has_room(pool, gang)


@dataclass(frozen=True)
class _Heads:
    """The next trial of each queue of a pool."""

    single: TrialSpec | None
    gang: TrialSpec | None
