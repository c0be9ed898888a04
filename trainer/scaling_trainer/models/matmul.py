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
_SMALLEST_GRADIENT = 1 << 21
"""The same for a weight's gradient, a product of two transposed matrices."""


@cache
def prefers_onednn() -> bool:
    """Say whether large fp32 products are faster by oneDNN on this processor."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch._C._has_mkldnn:
        return False
    try:
        return "GenuineIntel" not in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _product(x: Tensor, y: Tensor) -> Tensor:
    """Return x @ y.T by oneDNN, for x of shape (m, k) and y of shape (n, k), of any strides."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, y, None, "none", [], "")
    return result


def _weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Return gradient.T @ x. oneDNN is up to twice as fast with the larger side second."""
    if x.shape[1] * gradient.numel() < _SMALLEST_GRADIENT:
        return gradient.T @ x
    if gradient.shape[1] > x.shape[1]:
        return _product(x.T, gradient.T).T
    return _product(gradient.T, x.T)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return _product(gradient, weight.T), _weight_gradient(x, gradient)


class Linear(nn.Linear):
    """A linear layer without bias on rows: (tokens, in_features) to (tokens, out_features)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x @ weight.T."""
        if x.device.type == "cpu" and len(x) * self.weight.numel() >= _SMALLEST_PRODUCT and prefers_onednn():
            return _Linear.apply(x, self.weight)  # type: ignore[no-any-return]
        return functional.linear(x, self.weight)
