"""Matrix products by the faster of PyTorch's two CPU libraries.

MKL keeps its AVX-512 kernels for Intel processors: on others with AVX-512, oneDNN, which PyTorch also ships, is
2.2 times as fast (Zen 5, fp32: 240 against 108 GFLOP/s on one thread). Which library multiplies is decided by the
processor and the shape alone, never by a timing, so that the same machine gives the same bits.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_SMALLEST_PRODUCT = 1 << 20
"""Multiply-adds below which the 10 microseconds of a oneDNN call outweigh its kernels (measured: 512 x 24 x 72)."""


@cache
def prefers_onednn() -> bool:
    """Say whether large fp32 products are faster by oneDNN on this processor."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available():
        return False
    try:
        return "GenuineIntel" not in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def product(x: Tensor, y: Tensor) -> Tensor:
    """Return x @ y.T for x of shape (m, k) and y of shape (n, k), of any strides. It has no gradient."""
    if x.device.type == "cpu" and x.numel() * y.shape[0] >= _SMALLEST_PRODUCT and prefers_onednn():
        return torch.ops.mkldnn._linear_pointwise.default(x, y, None, "none", [], "")  # type: ignore[no-any-return]
    return x @ y.T


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return product(gradient, weight.T), product(gradient.T, x.T)


class Linear(nn.Linear):
    """A linear layer without bias on rows: (tokens, in_features) to (tokens, out_features)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x @ weight.T."""
        if prefers_onednn() and x.device.type == "cpu":
            return _Linear.apply(x, self.weight)  # type: ignore[no-any-return, no-untyped-call]
        return functional.linear(x, self.weight)
