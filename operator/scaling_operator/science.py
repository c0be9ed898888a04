"""Plans and fits in processes of their own: off the event loop, within limits of time and memory, killed when over.

A process is started when there is work and ends when there has been none for a while, so that an idle operator holds
neither numpy nor scipy. It speaks length-prefixed pickles over its standard streams: both ends are this program, and
nothing of a user's or a driver's is unpickled.
"""

import asyncio
import contextlib
import logging
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, replace
from os import environ
from typing import Any, Final, TypeAlias

from scaling_api.problems import Problem
from scaling_operator.fitting import AnalysisAnswer, AnalysisRequest
from scaling_operator.planning import PlanAnswer, PlanRequest
from scaling_operator.turns import Turns

logger = logging.getLogger(__name__)

IDLE_S: Final = 60.0
"""A process without work ends after so long."""
START_S: Final = 60.0
"""To import scipy, on a slow machine."""
PIECE: Final = 100
"""Trials or records pickled at a time: one piece holds the event loop up for about 2 ms."""
_THREADS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

Request: TypeAlias = PlanRequest | AnalysisRequest


class OverLimit(Exception):  # noqa: N818 - what happened
    """The work took more time or memory than it may, or its process died."""


@dataclass(frozen=True)
class Limits:
    """What one plan or fit may take."""

    seconds: float
    memory_bytes: int


class ScienceProcess:
    """One process that answers one request at a time."""

    def __init__(self, limits: Limits, *, name: str) -> None:
        self._limits, self._name = limits, name
        self._process: Process | None = None
        self._turns = Turns()
        self._idle: asyncio.TimerHandle | None = None

    async def answer(self, request: Request) -> Any:
        """Return the process's answer.

        Raises:
            OverLimit: it took too long or too much memory, or the process died.
        """
        async with self._turns.turn(_size(request)):
            self._stay()
            try:
                return await self._ask(request)
            except BaseException:
                await self.stop()  # what it still writes would be taken for the next answer
                raise
            finally:
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._retire)

    async def stop(self) -> None:
        """End the process now."""
        self._stay()
        if (process := self._retire()) is not None:
            await process.wait()

    async def _ask(self, request: Request) -> Any:
        try:
            process = await self._started()
            async with asyncio.timeout(self._limits.seconds):
                return await self._exchange(process, request)
        except TimeoutError:
            raise OverLimit(f"it took more than {self._limits.seconds:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise OverLimit(await self._cause_of_death()) from None

    async def _exchange(self, process: Process, request: Request) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        await _send(process.stdin, request)
        kind, found = await _receive(process.stdout)
        if kind == "memory":
            raise OverLimit(f"it needed more than {self._limits.memory_bytes / 2**20:,.0f} MiB")
        if kind == "error":
            raise OverLimit(f"it failed: {found}")
        return found

    async def _started(self) -> Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        threads = dict.fromkeys(_THREADS, "1")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "scaling_operator.science_process",
            str(self._limits.memory_bytes),
            stdin=PIPE,
            stdout=PIPE,
            env={**environ, **threads},
            limit=2**20,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            await _receive(self._process.stdout)  # it is ready, and the clock of the work begins
        return self._process

    async def _cause_of_death(self) -> str:
        assert self._process is not None
        code = await self._process.wait()
        named = signal.Signals(-code).name if code < 0 else f"status {code}"
        return f"its process ended with {named}, as it does for want of memory"

    def _retire(self) -> Process | None:
        """Kill the process, if there is one; the next request starts another."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return process

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _size(request: Request) -> int:
    return len(request.records) if isinstance(request, AnalysisRequest) else 0


class Science:
    """Answers plan and analysis requests. A fit of minutes does not keep a plan waiting: each kind has its process."""

    def __init__(self, limits: Limits) -> None:
        self._plans = ScienceProcess(limits, name="plans")
        self._analyses = ScienceProcess(limits, name="analyses")

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Return the plan, or the problems that stand in its way; being over the limits is one."""
        try:
            answer = await self._plans.answer(request)
        except OverLimit as over:
            logger.warning("A plan was given up: %s", over)
            return PlanAnswer(request.digest, problems=(Problem("spec.sweep", f"the plan was given up: {over}"),))
        assert isinstance(answer, PlanAnswer)
        return answer

    async def analyse(self, request: AnalysisRequest) -> AnalysisAnswer:
        """Return the laws and answers, or why there are none; being over the limits is a reason."""
        try:
            answer = await self._analyses.answer(request)
        except OverLimit as over:
            logger.warning("An analysis was given up: %s", over)
            return AnalysisAnswer(
                request.digest, trials=len(request.records), failure=f"The analysis was given up: {over}."
            )
        assert isinstance(answer, AnalysisAnswer)
        return answer

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(self._plans.stop(), self._analyses.stop())


async def _send(stream: asyncio.StreamWriter, request: Request) -> None:
    """Send a request, many records in pieces."""
    if isinstance(request, AnalysisRequest):
        await send_pieces(stream, replace(request, records=()), request.records)
    else:
        await send_pieces(stream, request, ())


async def send_pieces(stream: asyncio.StreamWriter, head: object, items: tuple[object, ...]) -> None:
    """Write a head and its items so that pickling never holds the loop up for long."""
    await _write(stream, (head, len(items)))
    for start in range(0, len(items), PIECE):
        await _write(stream, items[start : start + PIECE])


async def _write(stream: asyncio.StreamWriter, value: object) -> None:
    frame = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(frame).to_bytes(8, "big") + frame)
    await stream.drain()
    await asyncio.sleep(0)


async def _receive(stream: asyncio.StreamReader) -> tuple[str, Any]:
    """Read an answer: its kind, its head, and items that came in pieces."""
    kind, head, count = await _read(stream)
    items: list[Any] = []
    while len(items) < count:
        items.extend(await _read(stream))
        await asyncio.sleep(0)
    if kind == "plan":
        return kind, with_trials(head, tuple(items))
    return kind, head


async def _read(stream: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await stream.readexactly(8), "big")
    return pickle.loads(await stream.readexactly(size))


def with_trials(answer: PlanAnswer, trials: tuple[Any, ...]) -> PlanAnswer:
    """Return the answer with the plan's trials set."""
    return answer if answer.plan is None else replace(answer, plan=replace(answer.plan, trials=trials))
