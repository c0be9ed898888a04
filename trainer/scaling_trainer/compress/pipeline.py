"""What a trial does, as stages in order: stretches of training, and the operations between them."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import torch

from scaling_api.v1alpha1.compression import Finetune, Prune, Quantize
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_trainer.compress.prune import magnitude_masks
from scaling_trainer.compress.quantize import quantized
from scaling_trainer.loop import Stretch, TrainingState
from scaling_trainer.optim import branch_rate, finetune_rate, trunk_rate

Stage: TypeAlias = Stretch | Prune | Quantize


def stages_of(trial: TrialSpec, training: Training) -> tuple[Stage, ...]:
    """Return the stages of `trial`, whose stretches together reach from its start step to its end step."""
    warmup, start, end = training.warmup_steps, trial.start_step, trial.end_step
    match trial.kind:
        case TrialKind.TRUNK:
            rate: Callable[[int], float] = partial(trunk_rate, warmup_steps=warmup)
        case TrialKind.DENSE:
            rate = partial(branch_rate, start=start, end=end, warmup_steps=warmup)
        case _:
            return tuple(_post_training(trial))
    return (Stretch(end, rate, uniform_loss=math.log(trial.model.vocabulary), checked_from=warmup),)


def _post_training(trial: TrialSpec) -> Iterator[Stage]:
    """Yield a pipeline's stages. They never end for a high loss: a pruned model may start above the uniform guess."""
    step = trial.start_step
    for stage in trial.pipeline.stages:
        operation = stage.operation
        if isinstance(operation, Finetune):
            start, step = step, step + max(1, round(operation.fraction * trial.start_step))
            yield Stretch(step, partial(finetune_rate, start=start, end=step))
        elif isinstance(operation, Prune | Quantize):
            yield operation
        else:
            raise NotImplementedError(f"a {type(operation).__name__} stage")
    assert step == trial.end_step, f"trial {trial.id} ends at step {trial.end_step}, its stages at {step}"


@torch.no_grad()
def compress(state: TrainingState, operation: Prune | Quantize) -> None:
    """Change the blocks' weights of `state` in place, as `operation` says."""
    weights = state.model.block_weights()
    if isinstance(operation, Prune):
        state.masks = magnitude_masks(weights, operation)
        for name, weight in weights.items():
            weight.mul_(state.masks[name])
    else:
        for weight in weights.values():
            weight.copy_(quantized(weight, operation))
