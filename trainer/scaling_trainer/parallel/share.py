"""The first worker's training state, on every worker."""

from collections.abc import Iterable

import torch

from scaling_trainer.context import World
from scaling_trainer.loop import TrainingState
from scaling_trainer.optim import MOMENTS


def share(state: TrainingState, world: World) -> None:
    """Make `state` that of the first worker: step, stage, weights, moments, masks and losses."""
    is_fresh = not state.optimizer.state
    step, stage, masks, is_fresh = world.told((state.step, state.stage, tuple(state.masks), is_fresh))
    if world.rank > 0 and not is_fresh:
        state.restore(_blanks(state, masks), step=step)
        state.stage = stage
    world.copy(state.tensors().values())


def _blanks(state: TrainingState, masks: Iterable[str]) -> dict[str, torch.Tensor]:
    """Return tensors of the right shapes, to be overwritten."""
    weights = dict(state.model.named_parameters())
    kinds = ("model", *MOMENTS)
    return {
        **{f"{kind}.{name}": torch.zeros_like(weight) for name, weight in weights.items() for kind in kinds},
        **{f"mask.{name}": torch.zeros_like(weights[name]) for name in masks},
    }
