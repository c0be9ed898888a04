"""The line to one driver: its rows by long poll, kept until a pass has dealt with them.

Nothing here must survive: a restarted operator asks an epoch for its rows from 0 again.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from scaling_api.driver_protocol import MOST_ROWS, DriverPlan, DriverState, Row, Rows
from scaling_operator.cluster.driver_client import Declined, DriverClient, DriverError, Endpoint, Unreadable
from scaling_operator.decision import Cursor
from scaling_operator.observed import DriverAnswer, DriverSeen, DriverSilence

logger = logging.getLogger(__name__)

SHORTEST_WAIT_S: Final = 0.5
LONGEST_POLL_S: Final = 10.0
"""Between two looks at a driver's state when nothing happens."""
PAUSE_S: Final = 0.1
"""After an empty answer, which a driver may give at once."""
FIRST_BACKOFF_S: Final = 0.25
LAST_BACKOFF_S: Final = 5.0
MOST_KEPT: Final = 4 * MOST_ROWS
"""Rows in memory; further ones wait with the driver."""
MOST_REFUSALS: Final = 8


@dataclass
class _Inbox:
    """What has come and has not been dealt with."""

    epoch: str = ""
    read: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.rows[-1].number if self.rows else self.read


class DriverLink:
    """Asks one driver for its rows until cancelled, and says when there is news."""

    def __init__(
        self,
        client: DriverClient,
        endpoint: Endpoint,
        *,
        attempt: int,
        name: str,
        on_news: Callable[[], None],
        on_poll: Callable[[bool], None] = lambda _has_answered: None,
    ) -> None:
        self.endpoint, self.attempt = endpoint, attempt
        self._client, self._name = client, name
        self._on_news, self._on_poll = on_news, on_poll
        self._inbox = _Inbox()
        self._state: DriverState | None = None
        self._silent_since: datetime | None = None
        self._why = ""
        self._refused: list[str] = []
        self._logged: set[str] = set()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._backoff_s = FIRST_BACKOFF_S
        self._wait_s = SHORTEST_WAIT_S

    def seen(self) -> DriverSeen | None:
        """Return what is known of the driver; None before the first answer or failure."""
        if self._silent_since is not None:
            return DriverSilence(self.attempt, since=self._silent_since, why=self._why)
        if self._state is None:
            return None
        inbox = self._inbox
        is_current = inbox.epoch == self._state.epoch
        return DriverAnswer(
            self.attempt,
            state=self._state,
            read=inbox.read if is_current else 0,
            rows=tuple(inbox.rows) if is_current else (),
            refused=tuple(self._refused),
        )

    def dealt_with(self, seen: DriverSeen | None, cursor: Cursor | None) -> None:
        """Drop what a pass has dealt with: rows up to the cursor, refusals that it was shown."""
        if isinstance(seen, DriverAnswer):
            self._refused = [sentence for sentence in self._refused if sentence not in seen.refused]
        if cursor is None or cursor.epoch != self._inbox.epoch:
            return
        self._inbox.read = max(self._inbox.read, cursor.number)
        self._inbox.rows = [row for row in self._inbox.rows if row.number > cursor.number]
        if len(self._inbox.rows) < MOST_KEPT:
            self._has_room.set()

    def read_again(self) -> None:
        """Ask for the rows from the first one on."""
        self._inbox = _Inbox(self._inbox.epoch)
        self._has_room.set()

    async def send(self, plan: DriverPlan) -> None:
        """Tell the driver what to do.

        Raises:
            DriverError: it does not answer, or will not.
        """
        try:
            self._state = await self._client.put_plan(self.endpoint, plan)
        except DriverError as error:
            self._refuse(f"the plan was not taken: {error}")
            raise
        self._wait_s = SHORTEST_WAIT_S
        self._on_news()

    async def run(self) -> None:
        """Ask for state and rows until cancelled."""
        while True:
            try:
                await self._has_room.wait()
                await self._poll()
            except DriverError as error:
                self._on_poll(False)
                self._fail(error)
                await asyncio.sleep(self._backoff_s * random.uniform(0.8, 1.2))
                self._backoff_s = min(2 * self._backoff_s, LAST_BACKOFF_S)

    async def _poll(self) -> None:
        """Read the state, then the rows that follow; the order is what `DriverAnswer` promises."""
        state = await self._client.state(self.endpoint)
        self._on_poll(True)
        self._heard(state)
        epoch, after = self._inbox.epoch, self._inbox.last
        try:
            rows = await self._client.rows(self.endpoint, epoch=epoch, after=after, wait_s=self._wait_s)
            self._take(rows, epoch=epoch, after=after)
        except (Unreadable, Declined) as error:
            self._refuse(f"its rows were refused: {error}")
            raise
        if not rows.rows:
            await asyncio.sleep(PAUSE_S)

    def _heard(self, state: DriverState) -> None:
        is_news = self._state is None or self._silent_since is not None or _differs(state, self._state)
        if state.epoch != self._inbox.epoch:
            self._inbox = _Inbox(state.epoch)
            self._has_room.set()
        if self._silent_since is not None:
            logger.info("The driver of %s answers again", self._name)
        self._state, self._silent_since = state, None
        if is_news:
            self._wait_s = SHORTEST_WAIT_S
            self._on_news()

    def _take(self, rows: Rows, *, epoch: str, after: int) -> None:
        self._backoff_s = FIRST_BACKOFF_S
        if rows.epoch != epoch or (self._inbox.epoch, self._inbox.last) != (epoch, after):
            return  # a new life of the driver, or it is to be read again: the next request begins from 0
        numbers = [row.number for row in rows.rows]
        if numbers != list(range(after + 1, after + 1 + len(numbers))):
            raise Unreadable(f"row {after + 1} was asked for and rows {numbers[:3]} came")
        if not numbers:
            self._wait_s = min(2 * self._wait_s, LONGEST_POLL_S)
            return
        self._inbox.rows.extend(rows.rows)
        if len(self._inbox.rows) >= MOST_KEPT:
            self._has_room.clear()
        self._wait_s = SHORTEST_WAIT_S
        self._on_news()

    def _fail(self, error: DriverError) -> None:
        if self._refused and self._silent_since is None and self._state is not None:
            self._on_news()
            return  # it answers, though not what can be used
        if self._silent_since is None:
            self._silent_since = datetime.now(UTC)
            logger.info("The driver of %s does not answer: %s", self._name, error)
            self._on_news()
        self._why = str(error)

    def _refuse(self, sentence: str) -> None:
        """Keep what was refused for the next pass; log it once a life of the link."""
        if sentence not in self._logged and len(self._logged) < 1000:
            self._logged.add(sentence)
            logger.warning("Driver of %s: %s", self._name, sentence)
        if sentence not in self._refused and len(self._refused) < MOST_REFUSALS:
            self._refused.append(sentence)


def _differs(new: DriverState, old: DriverState) -> bool:
    """Return whether there is more news than what running costs all the time."""
    ignored = {"spent", "lanes", "last_row"}
    return new.model_dump(exclude=ignored) != old.model_dump(exclude=ignored)
