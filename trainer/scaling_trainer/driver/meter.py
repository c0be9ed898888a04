"""Counts the seconds of accelerators that are up, at work or not, and what they cost."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from scaling_api.v1alpha1.execution import Pool
from scaling_trainer.driver.rows import Spending
from scaling_trainer.driver.standing import NOTHING
from scaling_trainer.executors.base import Capacity

_LOOK_EVERY_S: Final = 0.2
_KEEP_EVERY_S: Final = 60.0


class Meter:
    """One thread that looks at what is up, and keeps what it has counted now and then."""

    def __init__(self, capacity: Callable[[], Mapping[str, Capacity]], keep: Callable[[Spending], None]) -> None:
        """Start the thread.

        Args:
            capacity: what is up, by pool's name.
            keep: called from the thread with what has been spent since the last call.
        """
        self.pools: tuple[Pool, ...] = ()
        self._capacity = capacity
        self._keep = keep
        self._not_kept = NOTHING
        self._last: Mapping[str, Capacity] = {}
        self._kept_at = self._looked_at = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    @property
    def not_kept(self) -> Spending:
        """What was spent since `keep` was called, until now."""
        with self._lock:
            self._count()
            return self._not_kept

    def stop(self) -> None:
        """Count until now, keep it, and end the thread."""
        self._stopped.set()
        self._thread.join()
        self._look(keep_after_s=0.0)

    def _run(self) -> None:
        self._look(keep_after_s=_KEEP_EVERY_S)
        while not self._stopped.wait(_LOOK_EVERY_S):
            self._look(keep_after_s=_KEEP_EVERY_S)

    def _look(self, *, keep_after_s: float) -> None:
        with contextlib.suppress(Exception):  # an executor that comes or goes: what was up is as it was
            self._last = self._capacity()
        with self._lock:
            self._count()
            if time.monotonic() - self._kept_at < keep_after_s:
                return
            self._kept_at, due = time.monotonic(), self._not_kept
            if due.accelerator_seconds > 0:
                self._keep(due)
                self._not_kept = NOTHING

    def _count(self) -> None:
        now = time.monotonic()
        seconds, self._looked_at = now - self._looked_at, now
        self._not_kept += spending_of(self._last, self.pools, seconds=seconds)


def spending_of(capacity: Mapping[str, Capacity], pools: tuple[Pool, ...], *, seconds: float) -> Spending:
    """Return what it takes to have these accelerators up; a cost where one of the pools has a price."""
    prices = {pool.name: pool.hourly_price for pool in pools}
    first = pools[0].hourly_price if pools else None  # what has no pool's name stands for the first
    units = {name: up.accelerators * seconds for name, up in capacity.items()}
    costs = [(prices.get(name, first) or 0.0) * used / 3600 for name, used in units.items()]
    has_prices = any(pool.hourly_price is not None for pool in pools)
    return Spending(accelerator_seconds=sum(units.values()), cost=sum(costs) if has_prices else None)
