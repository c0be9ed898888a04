"""Room in the head for trials of several workers: Ray Train's own processes run there, beside the driver."""

from typing import Final

from scaling_api.v1alpha1.execution import Execution, Head, Pool
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_operator.desired.quantities import parse_quantity, slots_of

OF_A_GANG: Final = 2**30
"""Bytes for each that trains: two processes with PyTorch of 0.45 GiB, and a share of four that all gangs have in common
(docs/executors.md)."""
MOST: Final = 16
"""So many have room in a head whose memory nobody has set; no node may have more to give."""


def room_for_gangs(execution: Execution, spec: ExperimentSpec) -> Execution:
    """Return the execution with memory for all gangs that may train at a time, where the user has said nothing.

    Args:
        execution: as `effective_execution` returns it.
        spec: what the user asked for.
    """
    memory, count = execution.head.resources.memory, gangs_at_a_time(execution, spec)
    if not count or memory is None or spec.execution.head.resources.memory is not None:
        return execution
    wanted = parse_quantity(memory) + count * OF_A_GANG
    resources = execution.head.resources.model_copy(update={"memory": f"{-(-wanted // 2**20):.0f}Mi"})
    head = Head(resources=resources, node_selector=execution.head.node_selector)
    return execution.model_copy(update={"head": head})


def gangs_at_a_time(execution: Execution, spec: ExperimentSpec) -> int:
    """Return how many trials of several workers may train at a time, at most `MOST`."""
    count = sum(_gangs_of(pool, spec, is_first=pool is execution.pools[0]) for pool in execution.pools)
    return min(count, execution.parallel_trials or MOST, MOST)


def _gangs_of(pool: Pool, spec: ExperimentSpec, *, is_first: bool) -> int:
    levels = (level for level in spec.sweep.compute if level.pool == pool.name or (is_first and level.pool is None))
    sizes = [level.workers for level in levels if level.workers > 1]
    return slots_of(pool) * pool.max_nodes // min(sizes) if sizes else 0
