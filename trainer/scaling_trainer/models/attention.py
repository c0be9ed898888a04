"""Causal attention with rotary positions (Su et al., "RoFormer", 2021), from projections to mixed values in one."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

LONGEST_FUSED = 256
"""Contexts up to this keep their attention weights for the backward pass; longer ones compute them again."""


def rotations(context: int, channels: int) -> Tensor:
    """Return the unit complex numbers that turn pairs of channels by position, shape (context, channels / 2)."""
    frequencies = 10_000.0 ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), frequencies)
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def causal_mask(context: int) -> Tensor:
    """Return what is added to the scores: zero for a position's past and itself, minus infinity for its future."""
    return torch.full((context, context), -math.inf).triu(1)


def rotary_attention(qkv: Tensor, rotation: Tensor, mask: Tensor, *, heads: int) -> Tensor:
    """Return softmax(rot(q) rot(k)^T / sqrt(channels) + mask) v of every head and window.

    Args:
        qkv: queries, keys and values side by side, shape (windows * context, 3 * width).
        rotation: of `rotations`, shape (context, channels / 2).
        mask: of `causal_mask`, shape (context, context); contexts above LONGEST_FUSED need none.
        heads: each has width / heads channels.

    Returns:
        Shape (windows * context, width).
    """
    if len(rotation) <= LONGEST_FUSED:
        return _Attention.apply(qkv, rotation, mask, heads)  # type: ignore[no-any-return]
    return _flash(qkv, rotation, heads)


def _flash(qkv: Tensor, rotation: Tensor, heads: int) -> Tensor:
    parts = _split(qkv, len(rotation), heads)
    turned = torch.view_as_real(_pairs(parts[:2]) * rotation).flatten(-2)
    mixed = functional.scaled_dot_product_attention(turned[0], turned[1], parts[2], is_causal=True)
    return mixed.transpose(1, 2).reshape(len(qkv), -1)


class _Attention(torch.autograd.Function):
    """5 to 8 % of a small model's step less than flash attention behind autograd's rotation."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, rotation: Tensor, mask: Tensor, heads: int) -> Tensor:
        context = len(rotation)
        parts = _split(qkv, context, heads)
        turned = torch.empty(parts[:2].shape, device=qkv.device)
        torch.mul(_pairs(parts[:2]), rotation, out=_pairs(turned))
        q, k = turned.flatten(1, 2)
        v = parts[2].reshape(q.shape)
        weights = torch.baddbmm(mask, q, k.mT, alpha=q.shape[-1] ** -0.5).softmax(-1)
        ctx.save_for_backward(q, k, v, weights, rotation)
        return torch.bmm(weights, v).view(-1, heads, *q.shape[1:]).transpose(1, 2).reshape(len(qkv), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        q, k, v, weights, rotation = ctx.saved_tensors
        heads = gradient.shape[1] // q.shape[2]
        mixed = gradient.view(-1, q.shape[1], heads, q.shape[2]).transpose(1, 2).reshape(q.shape)
        result = torch.empty(len(gradient), 3 * gradient.shape[1], device=gradient.device)
        parts = _split(result, len(rotation), heads)
        parts[2].copy_(torch.bmm(weights.mT, mixed).view(parts[2].shape))
        scores = torch.ops.aten._softmax_backward_data(torch.bmm(mixed, v.mT), weights, -1, weights.dtype)
        scores.mul_(q.shape[-1] ** -0.5)
        turned = torch.empty(2, *q.shape, device=q.device)
        torch.bmm(scores, k, out=turned[0])
        torch.bmm(scores.mT, q, out=turned[1])
        torch.mul(_pairs(turned.view(parts[:2].shape)), rotation.conj().resolve_conj(), out=_pairs(parts[:2]))
        return result, None, None, None


def _split(qkv: Tensor, context: int, heads: int) -> Tensor:
    """Return a view of shape (3, windows, heads, context, channels)."""
    return qkv.view(-1, context, 3, heads, qkv.shape[1] // (3 * heads)).permute(2, 0, 3, 1, 4)


def _pairs(x: Tensor) -> Tensor:
    """Return neighbouring channels as complex numbers, a view."""
    return torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))
