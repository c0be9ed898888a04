"""Starts the driver as a process of its own, and again where it crashes: a crash alone does not end the RayJob."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from threading import Thread
from types import FrameType
from typing import Final

from scaling_trainer.container_log import copy, outputs

CHILD: Final = "SCALING_DRIVER_PARENT"
"""Variable that tells a driver the process that it is to die with."""
_USAGE: Final = 64
_FINAL: Final = frozenset({0, _USAGE, 75, 76, 143})
"""Exit statuses of a driver that means to end; see `driver` and `__main__`."""
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 30.0
_MOST_CRASHES: Final = 6
_WITHIN_S: Final = 600.0
_LAST_WORDS_S: Final = 2.0
"""A process that the driver has left behind may hold the pipe of its words open: no longer is waited for their end."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def supervise(words: Sequence[str]) -> int:
    """Run the driver until it means to end, or has crashed too often; return its exit status.

    Args:
        words: its command line.
    """
    crashes: deque[float] = deque(maxlen=_MOST_CRASHES)
    child = _Child()
    while True:
        status = child.run(words)
        if status in _FINAL or child.is_asked_to_end:
            return status
        crashes.append(time.monotonic())
        if len(crashes) == _MOST_CRASHES and crashes[-1] - crashes[0] < _WITHIN_S:
            sys.stderr.write(f"The driver has crashed {_MOST_CRASHES} times within {_WITHIN_S:.0f} s: giving up.\n")
            return status if status > 0 else 1
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (len(crashes) - 1))
        sys.stderr.write(f"The driver ended with status {status}; it is started again in {pause_s:.1f} s.\n")
        child.wait(pause_s)


class _Child:
    """The driver's process; it gets the signals that this one gets."""

    def __init__(self) -> None:
        self.is_asked_to_end = False
        self._process: subprocess.Popen[bytes] | None = None
        self._outputs = outputs()
        for name in _SIGNALS:
            signal.signal(name, self._pass_on)

    def run(self, words: Sequence[str]) -> int:
        """Run the driver to its end; negative is the number of the signal that killed it."""
        if self.is_asked_to_end:
            return 143
        command = [sys.executable, "-m", "scaling_trainer.driver", *words]
        environment = {**os.environ, CHILD: str(os.getpid())}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self._process.stdout is not None
        copying = Thread(target=copy, args=(self._process.stdout, self._outputs), daemon=True)
        copying.start()
        if self.is_asked_to_end:  # meanwhile
            self._process.terminate()
        status = self._process.wait()
        copying.join(_LAST_WORDS_S)
        return status

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until this process is asked to end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_asked_to_end:
            time.sleep(0.05)

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked_to_end = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
