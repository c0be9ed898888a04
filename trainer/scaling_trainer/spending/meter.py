"""Counts the seconds of accelerators that are up, at work or not, and what they cost."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

from scaling_api.v1alpha1.execution import Pool
from scaling_trainer.executors.base import Capacity
from scaling_trainer.spending.amounts import NOTHING, Spending


class Meter:
    """Counts whenever it is looked at; from any thread."""

    def __init__(self, capacity: Callable[[], Mapping[str, Capacity]]) -> None:
        """Begin to count.

        Args:
            capacity: what is up, by pool's name.
        """
        self.pools: tuple[Pool, ...] = ()
        self._capacity = capacity
        self._not_kept = NOTHING
        self._last: Mapping[str, Capacity] = {}
        self._kept_at = self._looked_at = time.monotonic()
        self._lock = threading.Lock()

    @property
    def not_kept(self) -> Spending:
        """What was spent since it was last kept, until now."""
        with self._lock:
            self._count()
            return self._not_kept

    def look(self) -> None:
        """Count until now, and see what is up from now on."""
        with contextlib.suppress(Exception):  # an executor that comes or goes: what was up is as it was
            self._last = self._capacity()
        with self._lock:
            self._count()

    def keep(self, spend: Callable[[Spending], None], *, after_s: float = 0.0) -> None:
        """Call `spend` with what was not kept yet, if there is any and the last time is so many seconds ago."""
        with self._lock:
            self._count()
            if time.monotonic() - self._kept_at < after_s:
                return
            self._kept_at = time.monotonic()
            if self._not_kept.accelerator_seconds > 0:
                spend(self._not_kept)
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
