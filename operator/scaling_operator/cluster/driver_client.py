"""Requests to an experiment's driver. What a driver answers is the word of a stranger: bounded, timed, validated."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import aiohttp
from pydantic import ValidationError

from scaling_api.driver_protocol import LARGEST_ANSWER_BYTES, LONGEST_WAIT_S, DriverPlan, DriverState, Rows
from scaling_api.v1alpha1.base import ApiModel

ANSWER_S: Final = 15.0
"""From request to the last byte, waiting for rows aside: a body that drips in is given up."""
CONNECT_S: Final = 5.0
PIECE_BYTES: Final = 2**16

M = TypeVar("M", bound=ApiModel)


class DriverError(Exception):
    """The base: a driver did not do what was asked."""


class Unreachable(DriverError):  # noqa: N818 - a state of the driver
    """Nobody answers, or not in time."""


class Unreadable(DriverError):  # noqa: N818 - what its answer is
    """It answers what cannot be read: too large, no JSON, not a number, not what the protocol says."""


class Declined(DriverError):  # noqa: N818 - the driver's word
    """It answers that it will not."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Endpoint:
    """Where a driver is, and what it must be told to be believed."""

    url: str
    """Such as http://bytes-lm-a1-head-svc.default.svc:8470."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """With the bearer token."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """For one that is reached through the API server."""


class DriverClient:
    """Speaks the driver's protocol."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,  # a small body must not become a large one
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=2),  # a new head has the old one's name
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    async def state(self, endpoint: Endpoint) -> DriverState:
        """Return where the driver stands.

        Raises:
            DriverError: it does not answer, or not as the protocol says.
        """
        return _parsed(DriverState, await self._ask(endpoint, "GET", "/v1/state"))

    async def rows(self, endpoint: Endpoint, *, epoch: str, after: int, wait_s: float) -> Rows:
        """Return the rows after a cursor, waiting up to `wait_s` seconds where there is none yet.

        Raises:
            DriverError: it does not answer, or not as the protocol says.
        """
        wait_s = min(wait_s, LONGEST_WAIT_S)
        query = {"epoch": epoch, "after": str(after), "wait": f"{wait_s:g}"}
        answer = await self._ask(endpoint, "GET", "/v1/rows", query=query, wait_s=wait_s)
        return await asyncio.to_thread(_parsed, Rows, answer)

    async def put_plan(self, endpoint: Endpoint, plan: DriverPlan) -> DriverState:
        """Tell the driver what to do; return where it stands then.

        Raises:
            DriverError: it does not answer, or will not.
        """
        body = (await asyncio.to_thread(plan.model_dump_json, exclude_defaults=True)).encode()
        return _parsed(DriverState, await self._ask(endpoint, "PUT", "/v1/plan", body=body))

    async def _ask(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        wait_s: float = 0.0,
    ) -> bytes:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **endpoint.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                endpoint.url + path,
                params=query,
                data=body,
                headers=headers,
                ssl=endpoint.tls or True,
                allow_redirects=False,  # a driver must not send the token elsewhere
                timeout=aiohttp.ClientTimeout(total=ANSWER_S + wait_s, sock_connect=CONNECT_S),
            ) as answer:
                text = await _bounded(answer)
        except TimeoutError:
            raise Unreachable(f"it did not answer within {ANSWER_S + wait_s:g} s") from None
        except aiohttp.ClientConnectionError as error:
            raise Unreachable(_clause(error)) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise Unreadable(f"its answer is not HTTP: {_clause(error)}") from None
        if answer.status != 200:
            raise _declined(answer.status, text)
        return text


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Unreadable("its answer is compressed, which was not asked for")
    if (answer.content_length or 0) > LARGEST_ANSWER_BYTES:
        raise Unreadable(f"its answer has {answer.content_length:,} bytes, more than {LARGEST_ANSWER_BYTES:,}")
    text = bytearray()
    async for piece in answer.content.iter_chunked(PIECE_BYTES):
        text += piece
        if len(text) > LARGEST_ANSWER_BYTES:
            raise Unreadable(f"its answer has more than {LARGEST_ANSWER_BYTES:,} bytes")
    return bytes(text)


def _parsed(model: type[M], text: bytes) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"its answer is no {model.__name__}: {where + ': ' if where else ''}{first['msg']}") from None
    except RecursionError:
        raise Unreadable(f"its answer is no {model.__name__}: nested too deeply") from None


def _declined(code: int, text: bytes) -> DriverError:
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = ""
    sentence = said[:500] if isinstance(said, str) else ""
    if code >= 500:
        return Unreachable(f"it answers {code}" + (f": {sentence}" if sentence else ""))
    return Declined(f"it answers {code}" + (f": {sentence}" if sentence else ""), code=code)


def _clause(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:300]
