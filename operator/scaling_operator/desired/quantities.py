"""Kubernetes quantities: what a pod asks for, and how many trials fit on it."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from scaling_api.v1alpha1.execution import Pool, Resources
from scaling_operator.desired.manifest import Manifest

_SUFFIXES: Final = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal("1e3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", start=2)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}  # fmt: skip


def parse_quantity(value: str | int) -> Decimal:
    """Return the number that a quantity such as 4, 500m, 1e3 or 320Gi stands for.

    Raises:
        ValueError: not a quantity.
    """
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9.]+)([KMGTPE]i|[numkMGTPE])", value)):
        return Decimal(match[1]) * _SUFFIXES[match[2]]
    return Decimal(value)


def slots_of(pool: Pool) -> int:
    """Return how many one-worker trials a node of the pool runs at a time: its accelerators, or its whole cores."""
    if pool.accelerator is not None:
        return pool.accelerator.per_node
    return whole_cores(pool.resources)


def whole_cores(resources: Resources) -> int:
    """Return the whole cores, at least one: half a core runs one trial, at half the speed."""
    return max(1, math.floor(parse_quantity(resources.cpu if resources.cpu is not None else 1)))


def filled(resources: Resources, defaults: Resources) -> Resources:
    """Return the resources, with the default where nothing is said."""
    asked = {name: value for name, value in resources if value is not None}
    return defaults.model_copy(update=asked)


def worker_resources(resources: Resources, accelerators: Mapping[str, int]) -> Manifest:
    """Return requests and limits, which are equal: a trial's speed must not depend on its neighbours."""
    asked = {**_amounts(resources), **{name: str(count) for name, count in accelerators.items()}}
    return {"requests": asked, "limits": dict(asked)}


def control_resources(resources: Resources) -> Manifest:
    """Return what a control process asks for: cores that are free are its own, or starting would take minutes."""
    asked = _amounts(resources)
    return {"requests": asked, "limits": {name: amount for name, amount in asked.items() if name != "cpu"}}


def _amounts(resources: Resources) -> dict[str, str]:
    amounts = {"cpu": resources.cpu, "memory": resources.memory, "ephemeral-storage": resources.ephemeral_storage}
    return {name: str(amount) for name, amount in amounts.items() if amount is not None}
