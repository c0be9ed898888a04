"""Liveness, readiness and metrics, over HTTP from a thread of its own: it must answer when the event loop does not.

/livez     200 while the loop's heart beats and the API server is heard; else 503 with the reason
/readyz    200 for the leader, once it has read everything; 503 for a candidate
/metrics   Prometheus's text format
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, TypeAlias

logger = logging.getLogger(__name__)

BEAT_S: Final = 1.0
STOPPED_S: Final = 30.0
"""A loop that has not come round for so long is stuck."""
UNHEARD_S: Final = 300.0
"""Watches bring a bookmark a minute; one that has brought nothing for so long is dead."""
SLOWEST_CLIENT_S: Final = 10.0

Check: TypeAlias = Callable[[], str | None]
"""Returns why not; None where all is well."""
Page: TypeAlias = Callable[[], tuple[int, str, bytes]]
"""Returns status, content type and body."""


class Heart:
    """Beats on the event loop, for other threads to feel."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat_at = clock()

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat_at = self._clock()
            await asyncio.sleep(BEAT_S)

    def why_dead(self) -> str | None:
        """Return why the loop counts as stuck, if it does."""
        age_s = self._clock() - self._beat_at
        return f"The event loop has not come round for {age_s:.0f} s." if age_s > STOPPED_S else None


def unheard(ages: Mapping[str, float]) -> str | None:
    """Return which watch is dead, if one is."""
    silent = {resource: age for resource, age in ages.items() if age > UNHEARD_S}
    return "; ".join(f"Nothing was heard of {resource} for {age:.0f} s." for resource, age in silent.items()) or None


@dataclass
class Health:
    """Checks, which may be added to as the operator comes up."""

    live: list[Check] = field(default_factory=list)
    ready: list[Check] = field(default_factory=list)

    def livez(self) -> tuple[int, str, bytes]:
        """Return whether the process is worth keeping."""
        return _page(self.live)

    def readyz(self) -> tuple[int, str, bytes]:
        """Return whether it does its work."""
        return _page(self.ready)


def _page(checks: list[Check]) -> tuple[int, str, bytes]:
    problems = [problem for check in list(checks) if (problem := check())]
    return (503 if problems else 200), "text/plain; charset=utf-8", ("\n".join(problems) or "ok").encode() + b"\n"


class ProbeServer:
    """Serves pages on a port of all addresses; port 0 takes a free one."""

    def __init__(self, port: int, pages: Mapping[str, Page]) -> None:
        self._server = _Server(("", port), _handler(pages))
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"http-{self.port}", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Listen on IPv4 as well: the kubelet asks by the pod's address, whichever it is."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""
        logger.debug("A request from %s came to nothing", client_address, exc_info=True)


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SLOWEST_CLIENT_S

        def do_GET(self) -> None:
            """Answer with a page."""
            page = pages.get(self.path.partition("?")[0])
            status, kind, body = page() if page else (404, "text/plain", b"no such page\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Keep probes out of the log."""

    return Handler
