"""One token bucket for everything that is asked of the API server."""

import asyncio
import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` requests a second through in the long run, and `burst` at once; others wait their turn, in order."""

    def __init__(self, rate: float, *, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        assert rate > 0
        assert burst >= 1
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens = float(burst)
        self._at = clock()
        self._lock = threading.Lock()

    async def take(self) -> None:
        """Wait on the event loop for a token."""
        if (wait_s := self._reserve()) > 0:
            await asyncio.sleep(wait_s)

    def take_in_thread(self) -> None:
        """Wait in a thread for a token."""
        if (wait_s := self._reserve()) > 0:
            time.sleep(wait_s)

    def _reserve(self) -> float:
        """Take a token now, on credit where there is none; return the seconds until it is earned."""
        with self._lock:
            now = self._clock()
            self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._rate) - 1.0
            self._at = now
            return max(0.0, -self._tokens / self._rate)
