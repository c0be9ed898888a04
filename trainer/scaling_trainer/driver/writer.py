"""Writes segments to storage in a thread of its own: trials never wait for it, and rows are served only after it."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scaling_trainer.storage.errors import storage_error
from scaling_trainer.storage.files import Files
from scaling_trainer.storage.patience import wait_before

_SHORTEST_INTERVAL_S: Final = 0.05
_LONGEST_INTERVAL_S: Final = 2.0
_SHARE: Final = 2.0  # between segments passes so many times what the last one took: many rows become one segment


@dataclass(frozen=True)
class Batch:
    """What one file is to hold."""

    name: str
    content: bytes
    on_written: Callable[[], None]
    """Called from the writer's thread once it is in storage."""


class Writer:
    """One thread that writes what it is given, in order, for as long as it takes."""

    def __init__(self, files: Files, take: Callable[[], Batch | None]) -> None:
        """Start the thread.

        Args:
            files: whose calls fail at once where storage cannot be used.
            take: returns what is to be written next, if anything.
        """
        self.trouble: str | None = None
        """A sentence on why nothing can be written, as long as that is so."""
        self._files = files
        self._take = take
        self._woken = threading.Event()
        self._idle = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to write."""
        self._idle.clear()
        self._woken.set()

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything is written; return whether it is."""
        self.wake()
        return self._idle.wait(timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Write what is left and end the thread, within the time given; return whether everything is written."""
        is_written = self.drain(timeout_s)
        self._stopped.set()
        self._woken.set()
        self._thread.join(timeout_s)
        return is_written

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait()
            self._woken.clear()
            begin = time.monotonic()
            while not self._stopped.is_set() and (batch := self._take()) is not None:
                self._write(batch)
            if not self._woken.is_set():
                self._idle.set()
            pause_s = _SHARE * (time.monotonic() - begin)
            self._stopped.wait(min(_LONGEST_INTERVAL_S, max(_SHORTEST_INTERVAL_S, pause_s)))

    def _write(self, batch: Batch) -> None:
        """Write until it is written. The same name with the same content again does no harm: it may be there."""
        attempt = 0
        while not self._stopped.is_set():
            try:
                self._files.write(batch.name, batch.content)
            except OSError as error:
                attempt += 1
                self._complain(str(storage_error(error, uri=self._files.uri)))
                self._stopped.wait(wait_before(attempt))
                continue
            if self.trouble is not None:
                sys.stderr.write(f"The storage {self._files.uri} can be used again.\n")
                self.trouble = None
            batch.on_written()
            return

    def _complain(self, why: str) -> None:
        if self.trouble is None:
            sys.stderr.write(f"{why} Rows wait until it can be used again.\n")
        self.trouble = why[:1024]
