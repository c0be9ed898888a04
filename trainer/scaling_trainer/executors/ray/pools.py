"""What a pool's nodes have, in slots, and what a lane asks Ray for.

A worker group of a pool gives each of its nodes the custom resource `pool-<name>`, as much as the node has slots: its
accelerators or, without any, one for each whole core. A lane takes one of it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scaling_api.v1alpha1.execution import Pool
from scaling_trainer.executors.base import Capacity

PREFIX: Final = "pool-"
LOCAL_POOL: Final = "local"
_SUFFIXES: Final = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class PoolSlots:
    """A pool, as lanes see it."""

    name: str
    slots: int
    """Of all its nodes, at most."""
    accelerator: str | None = None
    """Kubernetes resource of its accelerators."""

    @property
    def resource(self) -> str:
        """Name of the custom resource of its nodes."""
        return PREFIX + self.name

    @property
    def request(self) -> dict[str, float]:
        """What a lane asks Ray for. GPUs of every make are GPU to Ray; the devices of other accelerators are a lane's
        by its slot alone.
        """
        if self.accelerator is None:
            return {self.resource: 1.0, "CPU": 1.0}
        return {self.resource: 1.0, "GPU": 1.0} if self.accelerator.endswith("gpu") else {self.resource: 1.0}


def pool_slots(pool: Pool) -> PoolSlots:
    """Return a pool of an experiment as lanes see it."""
    accelerator = pool.accelerator.resource if pool.accelerator else None
    return PoolSlots(pool.name, slots_per_node(pool) * pool.max_nodes, accelerator)


def slots_per_node(pool: Pool) -> int:
    """Return how many lanes a node of a pool has: its accelerators or, without any, its whole cores."""
    if pool.accelerator is not None:
        return pool.accelerator.per_node
    return max(1, math.floor(_number(str(pool.resources.cpu or 1)) + 1e-9))


def capacities(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Capacity]:
    """Return what is up of each pool, by Ray's list of nodes."""
    found: dict[str, Capacity] = {}
    for node in nodes:
        for resource, quantity in (node["Resources"] if node["Alive"] else {}).items():
            if resource.startswith(PREFIX):
                name = resource.removeprefix(PREFIX)
                before = found.get(name, Capacity(0, 0))
                found[name] = Capacity(before.nodes + 1, before.accelerators + int(quantity))
    return found


def _number(quantity: str) -> float:
    """Return a Kubernetes quantity of cores."""
    match = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)", quantity)
    assert match is not None, quantity
    return float(match[1]) * _SUFFIXES[match[2]]
