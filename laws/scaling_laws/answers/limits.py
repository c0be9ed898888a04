"""Limits of what a model may cost where it is served: bytes, FLOPs a token, time a token."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scaling_laws.points import FloatArray


@dataclass(frozen=True)
class BySize:
    """A quantity that grows with size: measured at some sizes, interpolated between, in proportion beyond them."""

    log_sizes: FloatArray
    """log N of the sizes at which it was measured, increasing."""
    log_values: FloatArray
    """Its logarithm there, not decreasing."""

    def largest_log_size(self, limit: float) -> float:
        """Return log N of the largest model within the limit."""
        room = np.log(limit)
        below, above = room - self.log_values[0], room - self.log_values[-1]
        if below <= 0 or above >= 0:
            return float(self.log_sizes[0] + below if below <= 0 else self.log_sizes[-1] + above)
        return float(np.interp(room, self.log_values, self.log_sizes))


class Costs(Protocol):
    """What a pipeline costs by size."""

    @property
    def stored_bytes(self) -> BySize:
        """Bytes of the model as it would be served."""
        ...

    @property
    def inference_flops(self) -> BySize:
        """Forward FLOPs a token."""
        ...


class Limit(Protocol):
    """A limit that decides how large a model may be."""

    @property
    def question(self) -> str:
        """The question of spec.ask that sets it."""
        ...

    @property
    def at(self) -> float:
        """The limit, in the question's unit."""
        ...

    def largest_log_size(self, costs: Costs) -> float:
        """Return log N of the largest model of a pipeline within the limit."""
        ...

    def __str__(self) -> str:
        """The limit with its unit, such as 1000 bytes."""
        ...


@dataclass(frozen=True)
class MemoryLimit:
    """Stored bytes."""

    at: float
    question: str = "servingMemory"

    def largest_log_size(self, costs: Costs) -> float:
        """Return log N of the largest model that fits."""
        return costs.stored_bytes.largest_log_size(self.at)

    def __str__(self) -> str:
        return f"{self.at:.4g} bytes"


@dataclass(frozen=True)
class FlopsLimit:
    """Forward FLOPs a token."""

    at: float
    question: str = "inferenceFlops"

    def largest_log_size(self, costs: Costs) -> float:
        """Return log N of the largest model that stays below."""
        return costs.inference_flops.largest_log_size(self.at)

    def __str__(self) -> str:
        return f"{self.at:.4g} FLOPs a token"


@dataclass(frozen=True)
class LatencyLimit:
    """Seconds a token, one at a time: the slower of computing it and of reading the model once decides.

    Williams, Waterman and Patterson 2009, "Roofline" (doi:10.1145/1498765.1498785).
    """

    at: float
    """Seconds."""
    flops_per_second: float
    bytes_per_second: float
    question: str = "latency"

    def largest_log_size(self, costs: Costs) -> float:
        """Return log N of the largest model that is fast enough."""
        return min(
            costs.inference_flops.largest_log_size(self.at * self.flops_per_second),
            costs.stored_bytes.largest_log_size(self.at * self.bytes_per_second),
        )

    def __str__(self) -> str:
        return f"{self.at:.4g} seconds a token"
