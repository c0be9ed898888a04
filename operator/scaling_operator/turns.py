"""Who comes next where one works at a time: the smallest, and of equals whoever has waited longest."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A lock that is handed to the smallest piece of work: a fit of minutes does not begin before one of seconds."""

    def __init__(self) -> None:
        self._is_taken = False
        self._asked = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait for the turn of a piece of work of this size; what has begun is not interrupted."""
        await self._take(size)
        try:
            yield
        finally:
            self._give()

    async def _take(self, size: int) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        mine = asyncio.get_running_loop().create_future()
        self._asked += 1
        heapq.heappush(self._waiting, (size, self._asked, mine))
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it was handed over in the same moment
                self._give()
            raise

    def _give(self) -> None:
        while self._waiting:
            *_, following = heapq.heappop(self._waiting)
            if not following.done():
                following.set_result(None)
                return
        self._is_taken = False
