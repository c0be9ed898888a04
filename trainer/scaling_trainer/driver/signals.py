"""Notices that this process was asked to end, whoever handles the signal."""

import os
import signal
from types import FrameType
from typing import Final

ASKS_TO_END: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class EndSignals:
    """Remembers SIGTERM and its like. An executor that runs has handlers of its own; every signal comes by here too."""

    def __init__(self) -> None:
        """Watch from now on. Only in the main thread."""
        self._read, write = os.pipe()
        for descriptor in (self._read, write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for name in ASKS_TO_END:
            signal.signal(name, _do_nothing)
        self._has_come = False

    @property
    def has_come(self) -> bool:
        """Whether this process was asked to end."""
        try:
            numbers = os.read(self._read, 4096)
        except BlockingIOError:
            numbers = b""
        self._has_come = self._has_come or any(number in ASKS_TO_END for number in numbers)
        return self._has_come


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has noted it."""
