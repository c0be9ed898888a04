"""Ours: `scaling_trainer.loop.train` itself, on fresh weights, with the seconds of each part of a step on request."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import ModelShape
from scaling_trainer import loop
from scaling_trainer.allocator import keep_freed_memory
from scaling_trainer.data.windows import TrainingWindows
from scaling_trainer.models.decoder import Decoder, initialise
from scaling_trainer.optim import build_optimizer, trunk_rate
from scaling_trainer.tasks.language import Batches


class TrainerLoop:
    def __init__(
        self, text: NDArray[np.uint8], *, layers: int, width: int, heads: int, context: int, batch: int
    ) -> None:
        keep_freed_memory()
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        shape = ModelShape(family="decoder", layers=layers, width=width, heads=heads, context=context, vocabulary=256)
        training = Training(batch_size=batch)
        model = Decoder(shape)
        initialise(model, seed=0)
        self.batches = Batches(TrainingWindows(text, context=context, batch_size=batch, seed=0))
        self.state = loop.TrainingState(model, build_optimizer(model, training), 0, torch.zeros(1_000_000), 0)

    def train(self, steps: int) -> None:
        stretch = loop.Stretch(self.state.step + steps, lambda step: trunk_rate(step, warmup_steps=60))
        watch = loop.Watch(report=lambda _: None, save=lambda _: None, save_interval_s=15.0)
        loop.train(self.state, self.batches, stretch, gradient_clip=1.0, watch=watch)

    def part_seconds(self, steps: int) -> dict[str, float]:
        """Seconds in forward, backward, clipping and optimizer, and outside of them."""
        seconds: dict[str, float] = defaultdict(float)
        with (
            _timed(loop, "training_loss", "forward", seconds),
            _timed(torch.Tensor, "backward", "backward", seconds),
            _timed(torch.nn.utils, "clip_grad_norm_", "clipping", seconds),
            _timed(self.state.optimizer, "step", "optimizer", seconds),
        ):
            begin = time.perf_counter()
            self.train(steps)
            total = time.perf_counter() - begin
        # batches are made in the call's arguments, outside of the forward pass
        return {**seconds, "outside": total - sum(seconds.values()), "total": total}


@contextmanager
def _timed(owner: Any, name: str, part: str, seconds: dict[str, float]) -> Iterator[None]:
    function: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter()
        result = function(*args, **kwargs)
        seconds[part] += time.perf_counter() - begin
        return result

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, function)
