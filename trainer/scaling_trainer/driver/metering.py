"""Looks at the meter, between runs too: accelerators that are idle cost as well."""

import threading
from collections.abc import Callable
from typing import Final

from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.meter import Meter

_LOOK_EVERY_S: Final = 0.2
_KEEP_EVERY_S: Final = 60.0


class Metering:
    """One thread that looks at a meter, and keeps what it has counted now and then."""

    def __init__(self, meter: Meter, spend: Callable[[Spending], None]) -> None:
        """Start the thread.

        Args:
            meter: that counts.
            spend: called from the thread with what has been spent since the last call.
        """
        self._meter = meter
        self._spend = spend
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Count until now, keep it, and end the thread."""
        self._stopped.set()
        self._thread.join()
        self._look(keep_after_s=0.0)

    def _run(self) -> None:
        self._look(keep_after_s=_KEEP_EVERY_S)
        while not self._stopped.wait(_LOOK_EVERY_S):
            self._look(keep_after_s=_KEEP_EVERY_S)

    def _look(self, *, keep_after_s: float) -> None:
        self._meter.look()
        self._meter.keep(self._spend, after_s=keep_after_s)
