"""A driver that says what a test tells it to, over real HTTP on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]

EPOCH = "000001-0000abcd"
RECORD: dict[str, Any] = {
    "spec": {
        "id": "0123456789abcdef",
        "kind": "Dense",
        "task": "language",
        "model": {"family": "decoder", "layers": 2, "width": 16, "heads": 1, "context": 64, "vocabulary": 256},
        "parameters": {"matmul": 10_000, "blocks": 6_000, "total": 14_000},
        "tokens": 1_000_000,
        "startStep": 0,
        "endStep": 1000,
        "treatment": {"name": "clean"},
        "pipeline": {"name": "dense"},
        "compute": {},
        "seed": 0,
        "trajectory": "fedcba9876543210",
        "parents": [],
        "flops": 1e9,
        "cumulativeFlops": 2e9,
    },
    "status": {"state": "Succeeded", "attempts": 1, "metrics": {"loss": 1.25}},
}


def state(**changes: Any) -> dict[str, Any]:
    return {"epoch": EPOCH, "experiment": "uid-1", "phase": "Running", "lastRow": 0, **changes}


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"number": number, "at": "2026-01-01T00:00:00Z", "record": RECORD, **changes}


def rows(*found: dict[str, Any], epoch: str = EPOCH, last: int | None = None) -> dict[str, Any]:
    return {"epoch": epoch, "rows": list(found), "lastRow": len(found) if last is None else last}


def truly(*numbers: int, epoch: str = EPOCH) -> Reply:
    """Answer with the rows after the cursor, after a wait where there are none."""

    async def answer(request: web.Request) -> web.StreamResponse:
        left = [row(number) for number in numbers if number > int(request.query["after"])]
        if not left:
            await asyncio.sleep(min(0.2, float(request.query["wait"])))
        return web.json_response(rows(*left, epoch=epoch, last=max(numbers)))

    return answer


class LyingDriver:
    """Answers /v1/state and /v1/rows as it is set; remembers what it was asked."""

    def __init__(self) -> None:
        self.state: Any = state()
        self.rows: Any = rows()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        self.headers.append(dict(request.headers))
        wanted = self.state if request.path.endswith("state") or request.method == "PUT" else self.rows
        if callable(wanted):
            found: web.StreamResponse = await wanted(request)
            return found
        if isinstance(wanted, web.Response):
            return web.Response(status=wanted.status, body=wanted.body, headers=wanted.headers)
        text = wanted if isinstance(wanted, str) else json.dumps(wanted)
        if wanted is self.rows and isinstance(wanted, dict) and not wanted["rows"]:
            await asyncio.sleep(min(0.2, float(request.query.get("wait", "0"))))
        return web.Response(text=text, content_type="application/json")


@asynccontextmanager
async def lying_driver() -> AsyncIterator[LyingDriver]:
    driver = LyingDriver()
    application = web.Application(client_max_size=2**30)
    application.router.add_route("*", "/{path:.*}", driver.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    driver.url = f"http://{host}:{port}"
    try:
        yield driver
    finally:
        await runner.cleanup()
        await asyncio.sleep(0.02)  # for transports to close


async def endless(request: web.Request) -> web.StreamResponse:
    """A hundred megabytes, a piece at a time, without saying so before."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        for _ in range(1600):
            await answer.write(b" " * 2**16)
    except ConnectionError:
        pass
    return answer


async def dripping(request: web.Request) -> web.StreamResponse:
    """A byte now and then."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        for _ in range(600):
            await answer.write(b" ")
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass
    return answer
