"""Waits for storage that cannot be used for a while."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from scaling_trainer.errors import DiskFullError
from scaling_trainer.storage.errors import (
    StorageError,
    StorageFullError,
    StorageRefusedError,
    StorageUnreachableError,
    storage_error,
)
from scaling_trainer.storage.files import Files

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 10.0
_REFUSALS_BORNE: Final = 2  # credentials are exchanged, folders are mounted, while a program starts

T = TypeVar("T")


def wait_before(attempt: int) -> float:
    """Return the seconds to wait before another attempt, the first being 1: they double, with jitter, up to a limit."""
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempt, 16)) * random.uniform(0.5, 1.0))


class PatientFiles:
    """Files whose methods are tried again for some time where storage cannot be used."""

    def __init__(self, files: Files, *, patience_s: float, stopped: threading.Event | None = None) -> None:
        """Use `files`.

        Args:
            files: that may fail.
            patience_s: seconds from the first failure of a call to the last try.
            stopped: once set, nothing is tried again.
        """
        self._files = files
        self._patience_s = patience_s
        self._stopped = stopped or threading.Event()
        self.uri = files.uri

    def read(self, name: str) -> bytes:
        """See `Files`.

        Raises:
            StorageError: as of all methods, where storage cannot be used for longer than the patience lasts.
        """
        return self._tried(lambda: self._files.read(name))

    def write(self, name: str, content: bytes | Path) -> None:
        """See `Files`."""
        self._tried(lambda: self._files.write(name, content))

    def fetch(self, name: str, target: Path) -> None:
        """See `Files`.

        Raises:
            DiskFullError: the disk of `target` is full.
        """
        try:
            self._tried(lambda: self._files.fetch(name, target))
        except StorageFullError as error:  # storage is read alone
            raise DiskFullError.on_node(target.parent) from error

    def names(self, folder: str) -> list[str]:
        """See `Files`."""
        return self._tried(lambda: self._files.names(folder))

    def folders(self, folder: str) -> list[str]:
        """See `Files`."""
        return self._tried(lambda: self._files.folders(folder))

    def remove(self, name: str) -> None:
        """See `Files`."""
        self._tried(lambda: self._files.remove(name))

    def _tried(self, call: Callable[[], T]) -> T:
        give_up_at: float | None = None
        attempt = 0
        while True:
            try:
                return call()
            except FileNotFoundError:
                raise
            except OSError as error:
                attempt += 1
                give_up_at = give_up_at or time.monotonic() + self._patience_s
                why = storage_error(error, uri=self.uri)
                if self._is_hopeless(why, attempt) or time.monotonic() > give_up_at:
                    raise why from error
                self._stopped.wait(wait_before(attempt))

    def _is_hopeless(self, why: StorageError, attempt: int) -> bool:
        if isinstance(why, StorageUnreachableError):
            return self._stopped.is_set()
        return not isinstance(why, StorageRefusedError) or attempt > _REFUSALS_BORNE
