"""How busy lanes were kept."""

import time
from collections import defaultdict
from collections.abc import Callable


class BusyTimes:
    """When each lane had a trial."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with no lane.

        Args:
            clock: seconds, from any origin.
        """
        self._clock = clock
        self._begun: dict[int, float] = {}
        self._spans: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._first: float | None = None
        self._last = 0.0

    def begin(self, lane: int) -> None:
        """Count the lane as busy from now."""
        self._last = self._begun[lane] = self._clock()
        if self._first is None:
            self._first = self._last

    def end(self, lane: int) -> float:
        """Count the lane as idle from now, and return the seconds that it was busy."""
        begun, now = self._begun.pop(lane), self._clock()
        self._spans[lane].append((begun, now))
        return now - begun

    def fractions(self) -> dict[int, float]:
        """Return the share of busy time from the first begin to the last, by lane; 1 where that is no time."""
        if self._first is None:
            return {}
        whole = self._last - self._first
        lanes = sorted(self._spans.keys() | self._begun.keys())
        return {lane: self._busy_until_last(lane) / whole if whole > 0 else 1.0 for lane in lanes}

    def _busy_until_last(self, lane: int) -> float:
        spans = [*self._spans[lane], *([(self._begun[lane], self._last)] if lane in self._begun else [])]
        return sum(max(0.0, min(end, self._last) - begin) for begin, end in spans)
