"""The queue: coalescing, one pass a key at a time, backing off, looking again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

from scaling_operator.queue import Again, Queue, Wait

Work = Callable[[str], Awaitable[Again | None]]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_scenario(scenario), 20))


async def _scenario(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


async def until(claim: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not claim():
            await asyncio.sleep(0.005)


class Passes:
    """Counts passes and notes when two of a key overlap."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.keys: list[str] = []
        self.inside: set[str] = set()
        self.most_inside = 0
        self.has_overlapped = False

    async def __call__(self, key: str) -> Again | None:
        self.has_overlapped |= key in self.inside
        self.inside.add(key)
        self.most_inside = max(self.most_inside, len(self.inside))
        self.keys.append(key)
        await asyncio.sleep(self.seconds)
        self.inside.discard(key)
        return Again()


async def working(queue: "Queue[str]", scenario: Awaitable[None]) -> None:
    task = asyncio.create_task(queue.run())
    try:
        await scenario
    finally:
        task.cancel()
        await queue.close(grace_s=0)


def test_a_thousand_marks_in_a_row_are_one_pass() -> None:
    passes = Passes()
    queue = Queue(passes)

    async def scenario() -> None:
        for _ in range(1000):
            queue.mark("a")
        await asyncio.sleep(0.2)
        assert passes.keys == ["a"]

    run(lambda: working(queue, scenario()))


def test_a_mark_during_a_pass_makes_exactly_one_more() -> None:
    passes = Passes(seconds=0.1)
    queue = Queue(passes)

    async def scenario() -> None:
        queue.mark("a", after_s=0)
        await until(lambda: "a" in passes.inside)
        for _ in range(50):
            queue.mark("a")
        await asyncio.sleep(0.5)
        assert passes.keys == ["a", "a"]

    run(lambda: working(queue, scenario()))


def test_never_two_passes_of_a_key_at_once_and_never_more_keys_than_allowed() -> None:
    passes = Passes(seconds=0.01)
    queue = Queue(passes, concurrency=4)
    rng = random.Random(1)

    async def scenario() -> None:
        for _ in range(400):
            queue.mark(f"key-{rng.randrange(20)}", after_s=rng.uniform(0, 0.05))
            await asyncio.sleep(rng.uniform(0, 0.002))
        await until(lambda: queue.depth == 0 and not passes.inside)
        assert not passes.has_overlapped
        assert 1 < passes.most_inside <= 4
        assert set(passes.keys) == {f"key-{n}" for n in range(20)}

    run(lambda: working(queue, scenario()))


def test_a_failing_key_backs_off_although_it_is_marked_all_the_time_and_others_go_on() -> None:
    tries: list[float] = []
    good: list[str] = []

    async def work(key: str) -> Again:
        if key == "bad":
            tries.append(asyncio.get_running_loop().time())
            raise RuntimeError("broken")
        good.append(key)
        return Again()

    queue = Queue(work)

    async def scenario() -> None:
        for _ in range(200):
            queue.mark("bad")
            queue.mark("good")
            await asyncio.sleep(0.01)

    run(lambda: working(queue, scenario()))
    gaps = [after - before for before, after in pairwise(tries)]
    assert 2 <= len(tries) <= 4
    assert gaps[0] >= 0.4
    assert gaps[-1] > gaps[0]
    assert len(good) > 10


def test_a_pass_that_waits_is_repeated_within_seconds_however_often_it_has_waited() -> None:
    count = 0

    async def work(key: str) -> Again:
        nonlocal count
        count += 1
        if count < 4:
            raise Wait("not yet", after_s=0.0)
        return Again()

    queue = Queue(work)

    async def scenario() -> None:
        queue.mark("a")
        await until(lambda: count == 4, timeout_s=10)

    run(lambda: working(queue, scenario()))


def test_a_key_is_looked_at_again_when_it_asks_and_else_at_the_resync() -> None:
    seen: list[str] = []

    async def work(key: str) -> Again:
        seen.append(key)
        return Again(0.05 if key == "asks" else None)

    queue = Queue(work, resync_s=0.3)

    async def scenario() -> None:
        queue.mark("asks")
        queue.mark("idle")
        await asyncio.sleep(1.0)
        assert seen.count("asks") >= 8
        assert 2 <= seen.count("idle") <= 5

    run(lambda: working(queue, scenario()))


def test_a_key_that_is_gone_is_not_looked_at_again_until_it_is_marked() -> None:
    seen: list[str] = []

    async def work(key: str) -> Again | None:
        seen.append(key)
        return None

    queue = Queue(work, resync_s=0.05)

    async def scenario() -> None:
        queue.mark("a")
        await asyncio.sleep(0.4)
        assert seen == ["a"]
        queue.mark("a")
        await until(lambda: len(seen) == 2)

    run(lambda: working(queue, scenario()))


def test_a_mark_during_the_pass_that_finds_nothing_is_not_lost() -> None:
    seen: list[str] = []

    async def work(key: str) -> Again | None:
        seen.append(key)
        if len(seen) == 1:
            queue.mark(key)
        return None

    queue = Queue(work)

    async def scenario() -> None:
        queue.mark("a")
        await until(lambda: len(seen) == 2)

    run(lambda: working(queue, scenario()))


def test_closing_waits_for_passes_and_begins_none() -> None:
    passes = Passes(seconds=0.2)
    queue = Queue(passes, concurrency=1)

    async def scenario() -> None:
        task = asyncio.create_task(queue.run())
        queue.mark("a", after_s=0)
        queue.mark("b", after_s=0)
        await until(lambda: "a" in passes.inside)
        await queue.close(grace_s=5)
        assert not passes.inside
        assert passes.keys == ["a"]
        queue.mark("c", after_s=0)
        await asyncio.sleep(0.1)
        assert passes.keys == ["a"]
        task.cancel()

    run(scenario)


def test_a_queue_that_is_cancelled_in_the_moment_of_a_mark_ends() -> None:
    async def scenario() -> None:
        for _ in range(50):
            queue = Queue(Passes())
            task = asyncio.create_task(queue.run())
            queue.mark("later", after_s=60)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            queue.mark("a", after_s=0)
            task.cancel()
            _, pending = await asyncio.wait([task], timeout=1)
            assert not pending
            await queue.close(grace_s=0)

    run(scenario)
