"""Keeps connections that send nothing, or never end what they send, from holding the server."""

import asyncio
from collections.abc import Callable
from typing import Final

HEADERS_WITHIN_S: Final = 5.0
"""From the first byte of a request to the last of its headers; from the connection to the first byte too."""
MOST_CONNECTIONS: Final = 256


class Guard:
    """Makes a protocol for each connection, and closes those that take too long or are too many."""

    def __init__(self, make: Callable[[], asyncio.Protocol], *, headers_within_s: float = HEADERS_WITHIN_S) -> None:
        """Guard the protocols that `make` makes."""
        self._make = make
        self._headers_within_s = headers_within_s
        self._connections: dict[asyncio.BaseTransport, _Guarded] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Guarded(self._make(), self._connections, headers_within_s=self._headers_within_s)

    def begun(self, transport: asyncio.BaseTransport | None) -> None:
        """A request's headers are complete: its handler watches over the rest."""
        if transport is not None and (connection := self._connections.get(transport)) is not None:
            connection.has_request = True
            connection.stop_waiting()

    def ended(self, transport: asyncio.BaseTransport | None) -> None:
        """A request was answered: the next one's headers may come."""
        if transport is not None and (connection := self._connections.get(transport)) is not None:
            connection.has_request = False


class _Guarded(asyncio.Protocol):
    def __init__(
        self,
        inner: asyncio.Protocol,
        connections: "dict[asyncio.BaseTransport, _Guarded]",
        *,
        headers_within_s: float,
    ) -> None:
        self.has_request = False
        self._inner = inner
        self._connections = connections
        self._within_s = headers_within_s
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            _abort(transport)
            return
        self._transport = transport
        self._connections[transport] = self
        self._wait(transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            if not self.has_request and self._timer is None:
                self._wait(self._transport)
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_waiting()
        if self._transport is not None:
            self._connections.pop(self._transport, None)
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._within_s, _abort, transport)


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()
