"""Magnitude pruning: which weights of the blocks go, as masks of our own."""

from collections.abc import Mapping

import torch
from torch import Tensor

from scaling_api.v1alpha1.compression import Prune, PruneMethod


def magnitude_masks(weights: Mapping[str, Tensor], prune: Prune) -> dict[str, Tensor]:
    """Return a mask for each of `weights`, one where a weight is kept and zero where it goes, in its dtype.

    GlobalMagnitude ranks the weights of all matrices together, LayerMagnitude those of each alone. Exactly
    round(sparsity * n) weights of n go; of equal ones those that come first.
    """
    if prune.method is PruneMethod.LAYER_MAGNITUDE:
        return {name: _mask([weight], prune.sparsity)[0] for name, weight in weights.items()}
    if prune.method is PruneMethod.GLOBAL_MAGNITUDE:
        return dict(zip(weights, _mask(list(weights.values()), prune.sparsity), strict=True))
    raise NotImplementedError(f"pruning by {prune.method}")


def _mask(weights: list[Tensor], sparsity: float) -> list[Tensor]:
    magnitudes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    mask = torch.ones_like(magnitudes)
    order = torch.argsort(magnitudes, stable=True)
    mask[order[: round(sparsity * len(magnitudes))]] = 0.0
    parts = torch.split(mask, [weight.numel() for weight in weights])
    return [part.view_as(weight).clone() for part, weight in zip(parts, weights, strict=True)]
