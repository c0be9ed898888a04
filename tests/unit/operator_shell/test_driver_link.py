"""The line to a driver: rows arrive once and in order; a driver that lies is refused, logged once, and asked again."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from lying_driver import EPOCH, LyingDriver, dripping, endless, lying_driver, row, rows, state, truly

from scaling_api.driver_protocol import DriverPlan, Intent
from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training
from scaling_operator.cluster import driver_client, driver_link
from scaling_operator.cluster.driver_client import Declined, DriverClient, Endpoint, Unreachable, Unreadable
from scaling_operator.cluster.driver_link import DriverLink
from scaling_operator.decision import Cursor
from scaling_operator.observed import DriverAnswer, DriverSilence

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_link, "FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(driver_link, "LAST_BACKOFF_S", 0.1)


def run(scenario: Callable[[LyingDriver, DriverClient], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with lying_driver() as driver:
            client = DriverClient()
            try:
                await asyncio.wait_for(_awaited(scenario(driver, client)), 30)
            finally:
                for listening in LISTENING:
                    listening.task.cancel()
                await asyncio.gather(*(listening.task for listening in LISTENING), return_exceptions=True)
                LISTENING.clear()
                await client.close()

    asyncio.run(whole())


async def _awaited(scenario: Awaitable[None]) -> None:
    await scenario


async def until(claim: Callable[[], bool], *, timeout_s: float = 25.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not claim():
            await asyncio.sleep(0.01)


class Listening:
    """A link at work, and how often it had news."""

    def __init__(self, driver: LyingDriver, client: DriverClient) -> None:
        self.news = 0
        self.link = DriverLink(client, Endpoint(driver.url, TOKEN), attempt=3, name="ns/e", on_news=self._count)
        self.task = asyncio.create_task(self.link.run())
        LISTENING.append(self)

    def _count(self) -> None:
        self.news += 1

    @property
    def numbers(self) -> list[int]:
        seen = self.link.seen()
        return [r.number for r in seen.rows] if isinstance(seen, DriverAnswer) else []


LISTENING: list[Listening] = []


def test_rows_arrive_once_and_in_order_and_go_when_they_were_dealt_with() -> None:
    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        async def paged(request: web.Request) -> web.Response:
            after = int(request.query["after"])
            found = [row(number) for number in range(after + 1, min(after + 3, 7) + 1)]
            if not found:
                await asyncio.sleep(float(request.query["wait"]))
            return web.json_response(rows(*found, last=7))

        driver.rows = paged
        listening = Listening(driver, client)
        await until(lambda: listening.numbers == [1, 2, 3, 4, 5, 6, 7])
        seen = listening.link.seen()
        assert isinstance(seen, DriverAnswer)
        assert (seen.attempt, seen.read, seen.state.epoch) == (3, 0, EPOCH)
        listening.link.dealt_with(seen, Cursor(EPOCH, 5))
        assert listening.numbers == [6, 7]
        listening.link.dealt_with(listening.link.seen(), Cursor("000009-00000000", 99))
        assert listening.numbers == [6, 7]
        assert all(headers["Authorization"] == "Bearer secret" for headers in driver.headers)

    run(scenario)


def test_a_new_life_of_the_driver_is_read_from_its_beginning() -> None:
    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        driver.rows = truly(1, 2)
        listening = Listening(driver, client)
        await until(lambda: listening.numbers == [1, 2])
        listening.link.dealt_with(listening.link.seen(), Cursor(EPOCH, 2))
        driver.asked.clear()
        driver.state = state(epoch="000002-0000beef")
        driver.rows = truly(1, epoch="000002-0000beef")
        await until(lambda: listening.numbers == [1])
        seen = listening.link.seen()
        assert isinstance(seen, DriverAnswer)
        assert seen.state.epoch == "000002-0000beef"
        assert seen.read == 0
        assert ("/v1/rows", {"epoch": "000002-0000beef", "after": "0", "wait": "0.5"}) in driver.asked

    run(scenario)


def test_a_driver_that_goes_away_is_silent_since_its_first_failure_and_comes_back() -> None:
    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        driver.state = web.Response(status=503, text='{"error": "The journal is being read."}')
        listening = Listening(driver, client)
        await until(lambda: isinstance(listening.link.seen(), DriverSilence))
        first = listening.link.seen()
        assert isinstance(first, DriverSilence)
        assert "journal is being read" in first.why
        await asyncio.sleep(0.6)
        again = listening.link.seen()
        assert isinstance(again, DriverSilence)
        assert again.since == first.since
        driver.state = state()
        await until(lambda: isinstance(listening.link.seen(), DriverAnswer))

    run(scenario)


LIES: dict[str, tuple[Any, str]] = {
    "half a JSON": (json.dumps(rows(row(1)))[:-20], "no Rows"),
    "no JSON": ("<html>hello</html>", "no Rows"),
    "NaN": (json.dumps(rows(row(1))).replace("1.25", "NaN"), "finite"),
    "infinity": (json.dumps(rows(row(1))).replace("1.25", "1e999"), "no Rows"),
    "a gap": (rows(row(2)), "row 1 was asked for"),
    "rows twice": (rows(row(1), row(1)), "row 1 was asked for"),
    "too many rows": (rows(*(row(n) for n in range(1, 502))), "no Rows"),
    "unknown fields": (rows({**row(1), "surprise": 1}), "surprise"),
    "a number for a text": ({**rows(), "epoch": 7}, "epoch"),
    "deep nesting": ("[" * 100_000, "no Rows"),
    "a hundred megabytes": (endless, "more than"),
    "a compressed body": (web.Response(body=b"x", headers={"Content-Encoding": "gzip"}), "compressed"),
    "a redirect": (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "302"),
    "a refusal": (web.Response(status=401, text='{"error": "The token is wrong."}'), "The token is wrong."),
    "an error that is none": (web.Response(status=400, text="[1,2"), "400"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_rows_is_refused_and_logged_once_and_the_truth_is_taken_after_it(
    lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    wanted, said = LIES[lie]

    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        driver.rows = wanted
        listening = Listening(driver, client)

        def refused() -> tuple[str, ...]:
            seen = listening.link.seen()
            return seen.refused if isinstance(seen, DriverAnswer) else ()

        await until(lambda: bool(refused()))
        assert said in refused()[0]
        assert listening.numbers == []
        polls = len(driver.asked)
        await until(lambda: len(driver.asked) > polls + 2)
        assert len(refused()) == 1
        listening.link.dealt_with(listening.link.seen(), None)
        driver.rows = truly(1)
        await until(lambda: listening.numbers == [1])

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert sum("its rows were refused" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("lie", ["[]", "{}", '{"epoch": "x", "phase": "Running"}', json.dumps(state(phase="Dancing"))])
def test_a_lie_about_its_state_is_silence(lie: str) -> None:
    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        driver.state = lie
        listening = Listening(driver, client)
        await until(lambda: isinstance(listening.link.seen(), DriverSilence))
        seen = listening.link.seen()
        assert isinstance(seen, DriverSilence)
        assert "DriverState" in seen.why

    run(scenario)


def test_an_answer_that_drips_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_client, "ANSWER_S", 0.5)

    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        driver.state = dripping
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"within 0\.5 s"):
            await client.state(Endpoint(driver.url))
        assert time.monotonic() - began < 20

    run(scenario)


def test_nobody_at_home() -> None:
    async def scenario(_: LyingDriver, client: DriverClient) -> None:
        with pytest.raises(Unreachable):
            await client.state(Endpoint("http://127.0.0.1:1"))

    run(scenario)


def test_no_rows_said_at_once_for_ever_do_not_keep_a_core_busy() -> None:
    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        async def nothing(_: web.Request) -> web.Response:
            return web.json_response(rows(last=5))

        driver.state = state(lastRow=5)
        driver.rows = nothing
        Listening(driver, client)
        await asyncio.sleep(1.0)
        assert len(driver.asked) < 30

    run(scenario)


def test_rows_that_nobody_deals_with_are_left_with_the_driver() -> None:
    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        async def flood(request: web.Request) -> web.Response:
            after = int(request.query["after"])
            return web.json_response(rows(*(row(n) for n in range(after + 1, after + 501)), last=10**6))

        driver.rows = flood
        listening = Listening(driver, client)
        await until(lambda: len(listening.numbers) >= 2000)
        await asyncio.sleep(0.5)
        assert len(listening.numbers) <= 2500
        listening.link.dealt_with(listening.link.seen(), Cursor(EPOCH, listening.numbers[-1]))
        await until(lambda: len(listening.numbers) >= 500)

    run(scenario)


def test_a_plan_is_put_and_what_the_driver_says_of_it_is_seen() -> None:
    plan = DriverPlan(
        experiment="uid-1",
        revision=1,
        intent=Intent.PAUSE,
        task=Task.model_validate({"language": {"corpus": {"python": {}}}}),
        training=Training(),
    )

    async def scenario(driver: LyingDriver, client: DriverClient) -> None:
        taken: list[DriverPlan] = []

        async def take(request: web.Request) -> web.Response:
            if request.method == "PUT":
                taken.append(DriverPlan.model_validate_json(await request.read()))
                driver.state = state(planHash=taken[-1].hash)
                return web.json_response(driver.state)
            return web.json_response(state())

        driver.state = take
        listening = Listening(driver, client)
        await until(lambda: isinstance(listening.link.seen(), DriverAnswer))
        await listening.link.send(plan)
        assert taken == [plan]
        seen = listening.link.seen()
        assert isinstance(seen, DriverAnswer)
        assert seen.state.plan_hash == plan.hash
        driver.state = web.Response(status=409, text='{"error": "This is another experiment\'s plan."}')
        with pytest.raises(Declined, match="another experiment"):
            await listening.link.send(plan)

    run(scenario)


def test_what_is_no_answer_at_all_is_unreadable() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def scenario(_: LyingDriver, client: DriverClient) -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises((Unreadable, Unreachable)):
                await client.state(Endpoint(f"http://127.0.0.1:{port}"))
            await asyncio.sleep(0.1)

    run(scenario)
