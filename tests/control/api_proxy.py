"""A TCP proxy before the API server, which can be taken away and put back: what a restarted API server looks like.

The server's certificate is for 127.0.0.1, whatever the port, so TLS ends where it did before.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from throwaway.api_server import ApiServer
from throwaway.ports import free_port


class ApiProxy:
    """Passes bytes on until it is told not to."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        document = json.loads(server.must("config", "view", "--raw", "-o", "json"))
        place = urlparse(document["clusters"][0]["cluster"]["server"])
        assert place.hostname
        assert place.port
        self._upstream = (place.hostname, place.port)
        self._port = free_port()
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = folder / "proxied-kubeconfig"
        self.kubeconfig.write_text(json.dumps(document))
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def put_back(self) -> None:
        """Listen and pass bytes on."""
        self._do(self._begin())

    def take_away(self) -> None:
        """Break all connections and refuse new ones."""
        self._do(self._end())

    def freeze(self) -> None:
        """Keep connections and pass nothing on, as when a network is cut."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def close(self) -> None:
        """End."""
        self.take_away()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _begin(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await asyncio.sleep(0.05)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
            try:
                await asyncio.gather(self._pass(reader, upstream_writer), self._pass(upstream_reader, writer))
            finally:
                upstream_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._pipes.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(2**16):
            await self._passing.wait()
            writer.write(piece)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof() if writer.can_write_eof() else writer.close()


@contextlib.contextmanager
def api_proxy(server: ApiServer, folder: Path) -> Iterator[ApiProxy]:
    """Have a proxy before an API server."""
    proxy = ApiProxy(server, folder)
    proxy.put_back()
    try:
        yield proxy
    finally:
        proxy.close()
