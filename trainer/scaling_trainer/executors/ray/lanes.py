"""All lanes on Ray, from the driver's side."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scaling_trainer.executors.messages import Lost, Message, Setup, Work, parse_message
from scaling_trainer.executors.ray.failures import failure_of_ray
from scaling_trainer.executors.ray.pools import PoolSlots
from scaling_trainer.executors.slots import Queue

_NODE: Final = "ray.io/node-id"
_THREADS: Final = 2  # of a lane's actor: one waits for words, one brings trials


@dataclass(frozen=True)
class _Actor:
    handle: Any
    heard: Any
    """Reference to what it says next."""


class RayLanes:
    """Lanes that are Ray actors: one holds a slot of its pool's nodes, or runs a gang on Ray Train."""

    def __init__(self, pools: Callable[[], Mapping[str, PoolSlots]], *, setup: Callable[[], Setup], log: str) -> None:
        """Begin without lanes.

        Args:
            pools: by name, as they are now.
            setup: of a lane that is opened now; the pool's accelerator is added.
            log: takes what lanes print, on their nodes, their number added.
        """
        self._pools = pools
        self._setup = setup
        self._log = log
        self._actors: dict[int, _Actor] = {}
        self._numbers: dict[Any, int] = {}
        self._ready: set[int] = set()

    @property
    def ready(self) -> int:
        """Lanes that are ready or at work; from any thread."""
        return len(self._ready)

    def slots(self, pool: str) -> int:
        """Return the slots of all nodes that a pool may have."""
        found = self._pools().get(pool)
        return found.slots if found else 0

    def open(self, number: int, queue: Queue) -> None:
        """Ask Ray for a lane. Where no node has a slot for it, it waits, and the autoscaler sees it."""
        pool = self._pools()[queue.pool]
        setup = self._setup().model_copy(update={"accelerator": pool.accelerator}).model_dump_json()
        make = _gang_actor if queue.is_gang else _lane_actor
        self._listen(number, make(number, pool, setup=setup, log=f"{self._log}{number}.log"))

    def start(self, number: int, work: Work) -> None:
        """Send a trial to a lane."""
        self._actors[number].handle.start.remote(work.model_dump_json())

    def hear(self, timeout_s: float) -> list[tuple[int, Message]]:
        """Return what lanes have said; of a lost one the reason, as far as Ray knows it."""
        import ray

        if not self._numbers:
            time.sleep(timeout_s)
            return []
        waiting = list(self._numbers)
        if not ray.wait(waiting, num_returns=1, timeout=timeout_s, fetch_local=False)[0]:
            return []
        said, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0, fetch_local=False)
        return [found for ref in said for found in self._words(ref)]

    def end(self, number: int) -> list[Message]:
        """Kill a lane's actor."""
        import ray

        if number not in self._actors:
            return []
        actor = self._actors[number]
        said, _ = ray.wait([actor.heard], timeout=0, fetch_local=False)
        last = _said(actor.heard) if said else []
        del self._numbers[actor.heard], self._actors[number]
        self._ready.discard(number)
        self._kill(actor)
        return [message for message in last if not isinstance(message, Lost)]

    def close(self) -> list[tuple[int, Message]]:
        """Kill all."""
        return [(number, message) for number in list(self._actors) for message in self.end(number)]

    def _words(self, heard: Any) -> list[tuple[int, Message]]:
        """Return what a lane said, and listen on."""
        number = self._numbers.pop(heard)
        messages = _said(heard)
        self._ready.add(number)  # whatever it said, it is there
        if any(isinstance(message, Lost) for message in messages):
            self._ready.discard(number)
            self._kill(self._actors.pop(number))
        else:
            self._listen(number, self._actors[number].handle)
        return [(number, message) for message in messages]

    def _listen(self, number: int, handle: Any) -> None:
        heard = handle.exchange.remote()
        self._actors[number] = _Actor(handle, heard)
        self._numbers[heard] = number

    def _kill(self, actor: _Actor) -> None:
        import ray

        ray.kill(actor.handle)


def _said(heard: Any) -> list[Message]:
    import ray

    try:
        return [parse_message(line) for line in ray.get(heard)]
    except ray.exceptions.RayError as error:
        return [Lost(failure=failure_of_ray(error))]


def _lane_actor(number: int, pool: PoolSlots, *, setup: str, log: str) -> Any:
    import ray

    from scaling_trainer.executors.ray.lane_actor import LaneActor

    request = dict(pool.request)
    options = {"num_cpus": request.pop("CPU", 0), "num_gpus": request.pop("GPU", 0), "resources": request}
    actor = ray.remote(LaneActor).options(max_concurrency=_THREADS, max_restarts=0, max_task_retries=0, **options)
    return actor.remote(number, setup, log)


def _gang_actor(number: int, pool: PoolSlots, *, setup: str, log: str) -> Any:
    """Return the actor that looks after a gang: beside the driver, where no training is."""
    import ray

    from scaling_trainer.executors.ray.gang_actor import GangActor

    here = {_NODE: ray.get_runtime_context().get_node_id()}
    actor = ray.remote(GangActor).options(num_cpus=0, max_concurrency=3, max_restarts=0, label_selector=here)
    return actor.remote(number, setup, pool.request)
