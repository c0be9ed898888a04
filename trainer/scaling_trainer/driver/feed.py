"""The rows of this epoch as they are served: those that are in storage, in the order in which they came to be."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scaling_api.driver_protocol import LARGEST_ANSWER_BYTES, MOST_ROWS
from scaling_trainer.driver.rows import served_row

_ROOM_FOR_THE_REST: Final = 1024


@dataclass(frozen=True)
class Page:
    """Rows after a cursor, as they are served."""

    body: bytes
    rows: int


class Feed:
    """Rows by number, from 1. May be used from several threads."""

    def __init__(self, epoch: str) -> None:
        """Begin without rows."""
        self.epoch = epoch
        self._rows: list[tuple[datetime, bytes]] = []
        self._visible = 0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def last_row(self) -> int:
        """Number of the last row that is served."""
        return self._visible

    @property
    def length(self) -> int:
        """Rows, those that are not in storage yet included."""
        return len(self._rows)

    def add(self, at: datetime, record: bytes) -> None:
        """Add a row, which is served once it is shown."""
        with self._lock:
            self._rows.append((at, record))

    def show(self, last_row: int) -> None:
        """Serve the rows up to a number: they are in storage."""
        with self._lock:
            self._visible = max(self._visible, last_row)
        for listener in list(self._listeners):
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, from any thread, whenever more rows are served."""
        self._listeners.append(listener)

    def page(self, epoch: str | None, after: int) -> Page:
        """Return the rows after a number, or from the beginning where the reader does not know this epoch."""
        begin = after if epoch == self.epoch else 0
        with self._lock:
            visible = self._visible
            chosen = self._rows[begin : min(visible, begin + MOST_ROWS)]
        rows: list[bytes] = []
        room = LARGEST_ANSWER_BYTES - _ROOM_FOR_THE_REST
        for number, (at, record) in enumerate(chosen, start=begin + 1):
            row = served_row(number, at, record)
            room -= len(row) + 1
            if room < 0 and rows:
                break
            rows.append(row)
        head = b'{"epoch":"%b","lastRow":%d,"rows":[' % (self.epoch.encode(), visible)
        return Page(b"%b%b]}" % (head, b",".join(rows)), len(rows))
