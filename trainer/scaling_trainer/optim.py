"""The optimizer and its rates: fused AdamW, muP-style scaling by width, warmup, and the three schedules."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scaling_api.v1alpha1.training import Training
from scaling_trainer.models.decoder import BASE_WIDTH, Decoder

BETAS = (0.9, 0.95)
MOMENTS = ("exp_avg", "exp_avg_sq")
FINETUNE_PEAK = 0.5
"""Highest rate of fine-tuning, as a share of the training's."""
FINETUNE_WARMUP = 0.1
"""Share of the fine-tuning steps over which the rate rises to it."""


def build_optimizer(model: Decoder, training: Training) -> torch.optim.AdamW:
    """Return AdamW with one group for each rule of the width.

    Blocks and head learn at rate * 32 / width with a weight decay * width / 32, so that their product, the decay a
    step, is the same at every width; the embedding at the rate itself; gains at the rate without decay.
    """
    ratio = model.shape.width / BASE_WIDTH
    named = dict(model.named_parameters())
    scaled = [p for name, p in named.items() if p.dim() == 2 and name != "embedding"]
    gains = [p for p in named.values() if p.dim() == 1]
    rate, decay = training.learning_rate, training.weight_decay
    groups = [
        {"params": scaled, "peak": rate / ratio, "weight_decay": decay * ratio},
        {"params": [model.embedding], "peak": rate, "weight_decay": decay},
        {"params": gains, "peak": rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=BETAS, eps=1e-8, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Make the next step use `factor` times each group's peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def trunk_rate(step: int, *, warmup_steps: int) -> float:
    """Return the factor of the peak rate at `step` of a trunk: linear warmup, then one."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def branch_rate(step: int, *, start: int, end: int, warmup_steps: int) -> float:
    """Return the factor at `step` of a branch: 1 - sqrt of its progress (Hägele et al., 2024)."""
    return trunk_rate(step, warmup_steps=warmup_steps) * (1.0 - math.sqrt((step - start) / (end - start)))


def finetune_rate(step: int, *, start: int, end: int) -> float:
    """Return the factor at `step` of fine-tuning: up to FINETUNE_PEAK, then down to zero as 1 - sqrt.

    The same for a pipeline and its control.
    """
    progress = (step - start) / (end - start)
    warm = min(1.0, (step - start + 1) / max(1.0, FINETUNE_WARMUP * (end - start)))
    return FINETUNE_PEAK * warm * (1.0 - math.sqrt(progress))


def moments(optimizer: torch.optim.AdamW, model: Decoder) -> dict[str, Tensor]:
    """Return AdamW's running moments by name of parameter, as a checkpoint keeps them; empty before the first step."""
    return {
        f"{key}.{name}": optimizer.state[parameter][key]
        for name, parameter in model.named_parameters()
        for key in MOMENTS
        if parameter in optimizer.state
    }


def restore_moments(optimizer: torch.optim.AdamW, model: Decoder, tensors: Mapping[str, Tensor], *, step: int) -> None:
    """Make the optimizer continue after `step` steps from the moments that `moments` returned."""
    for name, parameter in model.named_parameters():
        kept = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in MOMENTS}
        optimizer.state[parameter] = {"step": torch.tensor(float(step), device=parameter.device), **kept}
