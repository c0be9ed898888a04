"""The driver's HTTP server, in a thread of its own: what it is asked never holds up a trial."""

import asyncio
import contextlib
import hmac
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final, Protocol

from aiohttp import web
from pydantic import ValidationError

from scaling_api.driver_protocol import (
    LARGEST_PLAN_BYTES,
    LONGEST_WAIT_S,
    PROXIED_TOKEN_HEADER,
    DriverPlan,
    DriverState,
)
from scaling_api.problems import problems_of
from scaling_trainer.driver.desk import InvalidPlanError, PlanConflictError
from scaling_trainer.driver.feed import Feed, Page
from scaling_trainer.driver.guard import Guard
from scaling_trainer.driver.metrics import CONTENT_TYPE

_BODY_WITHIN_S: Final = 60.0
_DEFAULT_WAIT_S: Final = 20.0
_SHOWN_PROBLEMS: Final = 5
_LONGEST_CURSOR: Final = 18  # digits
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger("scaling.driver")


class NotReadyError(Exception):
    """The driver cannot answer yet; the sentence says why."""


class Answers(Protocol):
    """What the server answers with. Called from the server's threads."""

    def state(self) -> DriverState:
        """Return where the driver stands.

        Raises:
            NotReadyError: it has not read its journal yet.
        """

    def take(self, plan: DriverPlan) -> None:
        """Follow a plan.

        Raises:
            NotReadyError: it has not read its journal yet.
            PlanConflictError: the plan is not for this driver, or not any more.
            InvalidPlanError: the plan contradicts itself.
        """

    def feed(self) -> Feed:
        """Return the rows.

        Raises:
            NotReadyError: it has not read its journal yet.
        """

    def metrics(self) -> str:
        """Return the driver's numbers as Prometheus reads them."""

    def contacted(self) -> None:
        """Someone with the right token has asked."""


class Server:
    """Answers requests from a thread of its own."""

    def __init__(self, answers: Answers, *, token: bytes, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the address is in use, or not this machine's.
        """
        self._routes = _Routes(answers, token)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listening: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(host, port), name="server", daemon=True)
        self._thread.start()
        self.port = self._listening.result()
        """The port listened on."""

    def close(self) -> None:
        """Answer what was asked, and end the thread."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(2.0)

    def _run(self, host: str, port: int) -> None:
        try:
            self._loop.run_until_complete(self._serve(host, port))
        except BaseException as error:
            if not self._listening.done():
                self._listening.set_exception(error)
            else:
                raise
        finally:
            self._loop.close()

    async def _serve(self, host: str, port: int) -> None:
        runner = web.AppRunner(
            self._routes.app(), access_log=None, keepalive_timeout=75.0, lingering_time=1.0, shutdown_timeout=1.0
        )
        await runner.setup()
        assert runner.server is not None
        guard = Guard(runner.server)
        self._routes.guard = guard
        try:
            server = await self._loop.create_server(guard, host, port, reuse_address=True)
            self._listening.set_result(server.sockets[0].getsockname()[1])
            await self._stop.wait()
            server.close()
        finally:
            await runner.cleanup()


class _Routes:
    def __init__(self, answers: Answers, token: bytes) -> None:
        self.guard: Guard | None = None
        self._answers = answers
        self._expected = b"Bearer " + token
        self._more: asyncio.Event | None = None
        self._listened: Feed | None = None
        self._reported: set[str] = set()

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._guarded, self._explained], client_max_size=LARGEST_PLAN_BYTES)
        app.add_routes(
            [
                web.put("/v1/plan", self._put_plan, expect_handler=self._expected_body),
                web.get("/v1/state", self._get_state),
                web.get("/v1/rows", self._get_rows),
                web.get("/metrics", self._get_metrics),
                web.get("/healthz", self._get_healthz),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Tell the guard when headers have come, and check the token before anything else is read."""
        assert self.guard is not None
        transport = request.transport
        self.guard.begun(transport)
        try:
            return await handler(request)
        finally:
            self.guard.ended(transport)

    @web.middleware
    async def _explained(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if request.path.startswith("/v1/"):
                self._authorise(request)
            return await handler(request)
        except web.HTTPException as error:
            return self._refusal(error.status, f"{error.reason}: see the protocol for what is answered.")
        except NotReadyError as error:
            return _error(503, str(error))
        except (_RefusedError, PlanConflictError, InvalidPlanError) as error:
            return self._refusal(_status(error), str(error))
        except ConnectionError:
            raise
        except Exception:
            _log.exception("a request to %s could not be answered", request.path)
            return _error(500, "The driver has a bug; its log says more.")

    def _authorise(self, request: web.Request) -> None:
        headers = request.headers
        given = headers.get(PROXIED_TOKEN_HEADER, headers.get("Authorization", "")).encode(errors="replace")
        if not hmac.compare_digest(given, self._expected):
            raise _RefusedError(401, "The request has no token, or a wrong one.")
        self._answers.contacted()

    async def _expected_body(self, request: web.Request) -> web.StreamResponse | None:
        """Let a client that asks first send its body only if it would be read."""
        try:
            self._authorise(request)
            _refuse_large(request)
        except _RefusedError as error:
            return self._refusal(error.status, str(error))
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    async def _put_plan(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        plan = await asyncio.to_thread(_plan, body)
        await asyncio.to_thread(self._answers.take, plan)
        return await self._get_state(request)

    async def _get_state(self, _request: web.Request) -> web.StreamResponse:
        return _json(self._answers.state().model_dump_json(exclude_none=True).encode())

    async def _get_rows(self, request: web.Request) -> web.StreamResponse:
        feed = self._answers.feed()
        epoch, after = request.query.get("epoch"), _cursor(request)
        deadline = self._now() + _wait(request)
        while True:
            more = self._more_rows(feed)
            page: Page = feed.page(epoch, after)
            left = deadline - self._now()
            if page.rows or left <= 0 or epoch != feed.epoch:
                return _json(page.body)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(more.wait(), left)

    async def _get_metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self._answers.metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_healthz(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    def _more_rows(self, feed: Feed) -> asyncio.Event:
        """Return an event that is set when there are more rows than now."""
        if self._listened is not feed:
            loop = asyncio.get_running_loop()
            self._listened = feed
            feed.listen(lambda: _call_soon(loop, self._tell_readers))
        if self._more is None or self._more.is_set():
            self._more = asyncio.Event()
        return self._more

    def _tell_readers(self) -> None:
        if self._more is not None:
            self._more.set()

    def _refusal(self, status: int, sentence: str) -> web.Response:
        if sentence not in self._reported and len(self._reported) < 100:
            self._reported.add(sentence)
            _log.warning("refused a request with %d: %s", status, sentence)
        return _error(status, sentence)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _RefusedError(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


def _status(error: Exception) -> int:
    if isinstance(error, _RefusedError):
        return error.status
    return 409 if isinstance(error, PlanConflictError) else 400


async def _body(request: web.Request) -> bytes:
    _refuse_large(request)
    try:
        return await asyncio.wait_for(request.read(), _BODY_WITHIN_S)
    except TimeoutError:
        raise _RefusedError(408, f"The request's body did not come within {_BODY_WITHIN_S:.0f} s.") from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None


def _refuse_large(request: web.Request) -> None:
    if (request.content_length or 0) > LARGEST_PLAN_BYTES:
        raise _too_large()


def _too_large() -> _RefusedError:
    return _RefusedError(413, f"The request's body has more than {LARGEST_PLAN_BYTES:,} bytes.")


def _plan(body: bytes) -> DriverPlan:
    try:
        return DriverPlan.model_validate_json(body)
    except ValidationError as error:
        problems = [str(problem) for problem in problems_of(error)]
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        raise _RefusedError(400, f"The body is no plan: {shown}{more}."[:2000]) from error


def _cursor(request: web.Request) -> int:
    text = request.query.get("after", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_CURSOR):
        raise _RefusedError(400, "after must be a row's number, from 0.")
    return int(text)


def _wait(request: web.Request) -> float:
    try:
        wait = float(request.query.get("wait", _DEFAULT_WAIT_S))
    except ValueError:
        wait = -1.0
    if not 0.0 <= wait < float("inf"):
        raise _RefusedError(400, "wait must be a number of seconds, from 0.")
    return min(wait, LONGEST_WAIT_S)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status, dumps=json.dumps)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(callback)
