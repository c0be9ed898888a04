"""A watch of objects that nobody touches: silent for long, and no cause for a warning."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scaling_operator.cluster import reflector
from scaling_operator.cluster.bucket import TokenBucket
from scaling_operator.cluster.client import Call
from scaling_operator.cluster.errors import Unavailable
from scaling_operator.cluster.kinds import SERVICE_ACCOUNTS
from scaling_operator.cluster.reflector import Reflector
from scaling_operator.cluster.watches import new_stores


class QuietServer:
    """Lists nothing, and says nothing of it until the reader gives up."""

    def __init__(self) -> None:
        self.bucket = TokenBucket(1000, burst=1000)
        self.lists, self.is_away = 0, False

    def call_now(self, _: Call) -> dict[str, Any]:
        if self.is_away:
            raise Unavailable("connection refused")
        self.lists += 1
        return {"metadata": {"resourceVersion": "7"}, "items": []}

    def watch(self, _path: str, _query: object, *, silence_s: float) -> Iterator[dict[str, Any]]:
        time.sleep(silence_s)
        raise Unavailable("The watch broke off: Read timed out.")
        yield


def until(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_idle_watch_is_read_again_without_a_word_until_the_server_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reflector, "SILENCE_S", 0.05)
    caplog.set_level(logging.INFO)
    server = QuietServer()
    store = new_stores().applied[SERVICE_ACCOUNTS.name]
    watched: Reflector[Any] = Reflector(server, SERVICE_ACCOUNTS, store=store, on_change=lambda _: None)  # type: ignore[arg-type]
    watched.start()
    try:
        until(lambda: server.lists >= 4)
        assert watched.problem is None
        assert not caplog.records
        server.is_away = True
        until(lambda: watched.problem is not None)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    finally:
        watched.stop()
