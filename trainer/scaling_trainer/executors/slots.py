"""The lanes of an executor, and what they hold of their pools.

A pool has as many slots as accelerators (as one-thread lanes, where it has none). A lane of one worker holds a slot as
long as it lives. A lane of a gang holds none until it is at work, then one for each worker of its trial.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count

from scaling_api.v1alpha1.trial import TrialSpec


@dataclass(frozen=True, order=True)
class Queue:
    """Which trials wait together, and which lanes run them."""

    pool: str
    is_gang: bool = False
    """For trials of several workers."""


class LaneState(Enum):
    """What a lane is doing."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()


@dataclass
class _Lane:
    queue: Queue
    state: LaneState
    slots: int
    since: float
    """When it came to this state."""
    is_placed: bool = True
    """What it holds is its own in fact: nodes may have yet to come up for a gang."""


class Slots:
    """All lanes by number, and what is free."""

    def __init__(self, sizes: Callable[[str], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without lanes.

        Args:
            sizes: slots of a pool, at most.
            clock: seconds, from any origin.
        """
        self._sizes = sizes
        self._clock = clock
        self._lanes: dict[int, _Lane] = {}
        self._held: dict[str, int] = defaultdict(int)

    def __contains__(self, number: int) -> bool:
        return number in self._lanes

    def open(self, queue: Queue) -> int:
        """Count one more lane, which is starting, and return its number: the lowest that is free."""
        number = next(number for number in count() if number not in self._lanes)
        self._lanes[number] = _Lane(queue, LaneState.STARTING, 0, self._clock())
        self._hold(number, 0 if queue.is_gang else 1)
        return number

    def ready(self, number: int) -> None:
        """Count a lane as idle."""
        if self._lanes[number].queue.is_gang:
            self._hold(number, 0)
        self._become(number, LaneState.IDLE)

    def start(self, number: int, trial: TrialSpec) -> None:
        """Count a lane as busy with a trial."""
        self._hold(number, trial.compute.workers if self._lanes[number].queue.is_gang else 1)
        self._become(number, LaneState.BUSY)
        self._lanes[number].is_placed = not self._lanes[number].queue.is_gang

    def placed(self, number: int) -> None:
        """Note that a gang has its slots in fact."""
        self._lanes[number].is_placed = True

    def is_short(self, pool: str, seconds: float) -> bool:
        """Whether a gang has waited for its slots for longer than this: the pool is smaller than it may be."""
        limit = self._clock() - seconds
        waiting = self._found((LaneState.BUSY,), Queue(pool, is_gang=True))
        return any(not self._lanes[n].is_placed and self._lanes[n].since < limit for n in waiting)

    def forget(self, number: int) -> None:
        """Count a lane no more."""
        self._hold(number, 0)
        del self._lanes[number]

    def state(self, number: int) -> LaneState:
        """Return what a lane is doing."""
        return self._lanes[number].state

    def queue(self, number: int) -> Queue:
        """Return what a lane is for."""
        return self._lanes[number].queue

    def pools(self) -> set[str]:
        """Return the pools that have lanes."""
        return {lane.queue.pool for lane in self._lanes.values()}

    def size(self, pool: str) -> int:
        """Return the slots of a pool."""
        return self._sizes(pool)

    def free(self, pool: str) -> int:
        """Return the slots of a pool that no lane holds."""
        return self._sizes(pool) - self._held[pool]

    def number(self, *states: LaneState, queue: Queue | None = None) -> int:
        """Return how many lanes of a queue, or in all, are in any of these states."""
        return sum(1 for _ in self._found(states, queue))

    def idle(self, queue: Queue) -> int | None:
        """Return the idle lane of a queue that has the lowest number: the others can then be let go."""
        return min(self._found((LaneState.IDLE,), queue), default=None)

    def reclaimable(self, pool: str) -> list[int]:
        """Return the lanes of one worker that are not at work, those that are not ready first."""
        waiting = self._found((LaneState.STARTING, LaneState.IDLE), Queue(pool))
        return sorted(waiting, key=lambda n: (self._lanes[n].state is LaneState.IDLE, -n))

    def idle_longer_than(self, seconds: float) -> list[int]:
        """Return the lanes that have been idle for longer than this."""
        limit = self._clock() - seconds if math.isfinite(seconds) else -math.inf
        return [n for n in self._found((LaneState.IDLE,), None) if self._lanes[n].since < limit]

    def _found(self, states: tuple[LaneState, ...], queue: Queue | None) -> Iterator[int]:
        for number, lane in self._lanes.items():
            if lane.state in states and (queue is None or lane.queue == queue):
                yield number

    def _hold(self, number: int, slots: int) -> None:
        lane = self._lanes[number]
        self._held[lane.queue.pool] += slots - lane.slots
        lane.slots = slots

    def _become(self, number: int, state: LaneState) -> None:
        lane = self._lanes[number]
        lane.state, lane.since = state, self._clock()
