"""Slots of pools, what lanes ask for, and what is up."""

import pytest

from scaling_api.v1alpha1.execution import Accelerator, Pool, Resources
from scaling_trainer.executors.base import Capacity
from scaling_trainer.executors.ray.pools import capacities, pool_slots


@pytest.mark.parametrize(
    ("cpu", "slots"), [(None, 1), ("4", 4), ("3.9", 3), ("3900m", 3), ("500m", 1), ("1e1", 10), ("2k", 2000)]
)
def test_a_pool_without_accelerators_has_a_slot_a_core(cpu: str | None, slots: int) -> None:
    pool = pool_slots(Pool(name="cores", resources=Resources(cpu=cpu), max_nodes=3))
    assert (pool.slots, pool.resource) == (3 * slots, "pool-cores")
    assert pool.request == {"pool-cores": 1.0, "CPU": 1.0}


def test_a_pool_with_accelerators_has_a_slot_for_each() -> None:
    pool = pool_slots(Pool(name="a100", accelerator=Accelerator(per_node=8), resources=Resources(cpu="4"), max_nodes=2))
    assert pool.slots == 16
    assert pool.request == {"pool-a100": 1.0, "GPU": 1.0}
    other = Accelerator(resource="google.com/tpu", per_node=4)
    assert pool_slots(Pool(name="tpu", accelerator=other)).request == {"pool-tpu": 1.0}


def test_what_is_up_counts_living_nodes() -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 0.0, "memory": 1.0}},
        {"Alive": True, "Resources": {"pool-a": 2.0, "CPU": 2.0}},
        {"Alive": True, "Resources": {"pool-a": 2.0, "CPU": 2.0}},
        {"Alive": False, "Resources": {"pool-a": 2.0}},
        {"Alive": True, "Resources": {"pool-b": 8.0, "GPU": 8.0}},
    ]
    assert capacities(nodes) == {"a": Capacity(2, 4), "b": Capacity(1, 8)}
