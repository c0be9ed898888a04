"""Ctrl-C and its like, politely."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def polite_signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C and its like call `interrupt`, once; the next Ctrl-C kills. What is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.getsignal(name) for name in names if signal.getsignal(name) is not signal.SIG_IGN}

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        interrupt()

    for name in before:
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
