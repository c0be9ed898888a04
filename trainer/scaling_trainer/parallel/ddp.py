"""Data parallelism: every worker has the whole model and a share of each batch; gradients are averaged.

The process group is the caller's. Loss and gradients are those of one process, up to the order of additions.
"""

import gc
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class DataParallel:
    """The workers of this process's group."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    @contextmanager
    def joined(cls, device: torch.device) -> Iterator["DataParallel"]:
        """Lend the world of the process group that this process is in.

        Models are gone when it is given back: ending the group while one with its hooks lives can hang for ever.
        """
        yield cls(distributed.get_rank(), distributed.get_world_size(), device)
        gc.collect()

    def shared(self, model: nn.Module) -> nn.Module:
        """Return `model` such that its gradients are the mean over the workers'; weights become those of rank 0."""
        devices = [self.device] if self.device.type == "cuda" else None
        with warnings.catch_warnings():  # of an option whose successor is not in every version that can be used
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)

    def average(self, values: Tensor) -> None:
        """Make `values` their mean over the workers, in place."""
        total = values.contiguous()
        distributed.all_reduce(total)
        values.copy_(total / self.size)

    def told(self, value: T) -> T:
        """Return what rank 0 gives, on every worker."""
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def copy(self, tensors: Iterable[Tensor]) -> None:
        """Make each tensor what it is at rank 0, in place."""
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)
