"""One analysis at a time, small ones first, and none is lost when another is called off."""

import asyncio

from scaling_operator.turns import Turns


def test_the_smallest_comes_next_and_equals_in_order() -> None:
    async def scenario() -> list[str]:
        turns, order = Turns(), []

        async def work(name: str, size: int) -> None:
            async with turns.turn(size):
                order.append(name)
                await asyncio.sleep(0)

        sizes = {"first": 900, "large": 500, "small": 3, "as small": 3, "middle": 40}
        await asyncio.gather(*(work(name, size) for name, size in sizes.items()))
        return order

    assert asyncio.run(scenario()) == ["first", "small", "as small", "middle", "large"]


def test_what_is_called_off_keeps_nobody_waiting() -> None:
    async def scenario() -> int:
        turns, most, inside = Turns(), 0, 0

        async def work(size: int) -> None:
            nonlocal most, inside
            async with turns.turn(size):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        tasks = [asyncio.create_task(work(number)) for number in range(40)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), turns.turn(1):
            return most

    assert asyncio.run(scenario()) == 1
