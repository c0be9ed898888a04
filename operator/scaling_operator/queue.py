"""Dirty keys, and who works on them: one pass a key at a time, marks in between make one more, failures back off."""

import asyncio
import heapq
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

logger = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)

GATHER_S: Final = 0.05
"""Marks within this time of the first are one pass."""
CONCURRENCY: Final = 16
"""Keys worked on at once."""
FIRST_BACKOFF_S: Final = 0.5
LAST_BACKOFF_S: Final = 300.0
WAIT_BACKOFF_S: Final = 5.0
"""The longest wait for something that is known to come back by itself, such as the API server."""
LASTING: Final = 3
"""Waits in a row after which one is logged, some seconds after the first."""
RESYNC_S: Final = 600.0
"""Every key is looked at again after so long, with a tenth of it as jitter."""


class Wait(Exception):  # noqa: N818 - not an error: the answer of a pass that must wait
    """Raised by a pass that cannot go on now, for a reason that passes by itself."""

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


@dataclass(frozen=True)
class Again:
    """What a pass returns: look at the key again after so many seconds; None: at the next resync.

    A pass that returns None instead says that there is no such key any more.
    """

    after_s: float | None = None


@dataclass
class _Entry:
    due_at: float | None = None
    """When the next pass is due, on the queue's clock; None: not marked."""
    not_before: float = 0.0
    """A mark does not cut a backoff short."""
    failures: int = 0
    is_running: bool = False


class Queue(Generic[K]):
    """Runs `work(key)` for keys that are marked: never twice at once for a key, soon after a mark, again when due."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[Again | None]],
        *,
        concurrency: int = CONCURRENCY,
        resync_s: float = RESYNC_S,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._work, self._concurrency, self._resync_s = work, concurrency, resync_s
        self._clock, self._rng = clock, rng or random.Random()
        self._entries: dict[K, _Entry] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def depth(self) -> int:
        """Keys that are due and wait for their pass."""
        now = self._clock()
        return sum(e.due_at is not None and e.due_at <= now and not e.is_running for e in self._entries.values())

    def mark(self, key: K, *, after_s: float = GATHER_S) -> None:
        """Ask for a pass of the key; an earlier one that is already due serves as well."""
        if self._is_closed:
            return
        entry = self._entries.setdefault(key, _Entry())
        due_at = max(self._clock() + after_s, entry.not_before)
        if entry.due_at is None or due_at < entry.due_at:
            self._schedule(key, entry, due_at)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            wait_s = self._start_due()
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):  # Python 3.11's `wait_for` may swallow a cancellation
                    await self._changed.wait()

    async def close(self, *, grace_s: float) -> None:
        """Begin no further pass; wait for those under way, then cancel them."""
        self._is_closed = True
        for entry in self._entries.values():
            entry.due_at = None
        if not self._running:
            return
        _, pending = await asyncio.wait(self._running, timeout=grace_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _schedule(self, key: K, entry: _Entry, due_at: float) -> None:
        entry.due_at = due_at
        self._sequence += 1
        heapq.heappush(self._heap, (due_at, self._sequence, key))
        self._changed.set()

    def _start_due(self) -> float | None:
        """Start what is due; return the seconds until something else may be."""
        now = self._clock()
        while self._heap and len(self._running) < self._concurrency:
            due_at, _, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is None or entry.due_at != due_at or entry.is_running:
                heapq.heappop(self._heap)  # it was moved, or runs: `_done` schedules it again
                continue
            if due_at > now:
                return due_at - now
            heapq.heappop(self._heap)
            self._start(key, entry)
        return None

    def _start(self, key: K, entry: _Entry) -> None:
        entry.is_running, entry.due_at = True, None
        task = asyncio.create_task(self._pass(key, entry), name=f"pass {key}")
        self._running.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._changed.set()

    async def _pass(self, key: K, entry: _Entry) -> None:
        try:
            again_s = await self._attempt(key, entry)
        finally:
            entry.is_running = False
        if self._is_closed:
            return
        if again_s is not None:
            due_at = self._clock() + again_s
            self._schedule(key, entry, max(min(due_at, entry.due_at or due_at), entry.not_before))
        elif entry.due_at is None:
            del self._entries[key]
        else:  # marked while it ran: perhaps there is one again
            self._schedule(key, entry, entry.due_at)

    async def _attempt(self, key: K, entry: _Entry) -> float | None:
        """Make one pass; return after how many seconds the next is due, None where there is no such key."""
        try:
            again = await self._work(key)
        except Wait as wait:
            is_lasting = entry.failures == LASTING
            logger.log(logging.INFO if is_lasting else logging.DEBUG, "%s waits: %s", key, wait)
            return self._back_off(entry, at_most_s=WAIT_BACKOFF_S, asked_s=wait.after_s)
        except Exception:
            logger.exception("A pass of %s failed", key)
            return self._back_off(entry, at_most_s=LAST_BACKOFF_S, asked_s=None)
        entry.failures, entry.not_before = 0, 0.0
        if again is None:
            return None
        resync_s = self._resync_s * self._rng.uniform(0.9, 1.1)
        return resync_s if again.after_s is None else min(again.after_s, resync_s)

    def _back_off(self, entry: _Entry, *, at_most_s: float, asked_s: float | None) -> float:
        wait_s = min(FIRST_BACKOFF_S * 2.0 ** min(entry.failures, 20), at_most_s) * self._rng.uniform(0.8, 1.2)
        wait_s = max(wait_s, asked_s or 0.0)
        entry.failures += 1
        entry.not_before = self._clock() + wait_s
        return wait_s
