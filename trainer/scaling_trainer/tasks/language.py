"""The language task: a decoder on the bytes of a corpus."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.context import ALONE, World
from scaling_trainer.data.corpus import PreparedCorpus
from scaling_trainer.data.order import derived_key
from scaling_trainer.data.windows import EvaluationWindows, TrainingWindows
from scaling_trainer.models.decoder import Decoder


class Batches:
    """Inputs and targets of each training step, as tensors: this worker's share of them."""

    def __init__(self, windows: TrainingWindows, *, batch_size: int, world: World = ALONE) -> None:
        """Share every batch of `batch_size` windows evenly, up to one window, in order of rank."""
        self._windows = windows
        self._device = world.device
        begin, end = (batch_size * rank // world.size for rank in (world.rank, world.rank + 1))
        self._share = slice(begin, end)
        self.weight = (end - begin) * world.size / batch_size
        """What a loss over the share counts for in the mean over the workers, so that it is that over the batch."""
        self._first_step = -1
        self._inputs = self._targets = torch.empty(0, 0, dtype=torch.int64)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the share's inputs and targets, each of shape (windows * context,)."""
        first_step = step - step % self._windows.block_steps
        if first_step != self._first_step:
            block = torch.from_numpy(self._windows.block(first_step)[:, self._share])
            tokens = block.to(self._device, torch.int64)
            self._inputs = tokens[:, :, :-1].flatten(1)
            self._targets = tokens[:, :, 1:].flatten(1)
            self._first_step = first_step
        return self._inputs[step - first_step], self._targets[step - first_step]


def training_batches(trial: TrialSpec, training: Training, corpus: PreparedCorpus, *, world: World = ALONE) -> Batches:
    """Return this worker's share of the batches of `trial`: the same windows, whatever the world.

    Raises:
        CorpusError: the corpus is too small for the trial's last step.
    """
    context, size = trial.model.context, training.batch_size
    corpus.require(trial.end_step * size * context, context=context)
    windows = TrainingWindows(
        corpus.training,
        context=context,
        batch_size=size,
        seed=data_seed(trial),
        token_noise=trial.treatment.token_noise,
    )
    return Batches(windows, batch_size=size, world=world)


def data_seed(trial: TrialSpec) -> int:
    """Return the seed of the trial's data order: of its seed and its model's shape.

    Trunks of one seed must not see the same order: what it does to the loss over D would be common to all sizes, while
    a law's intervals count each trunk as independent (measured: losses' slopes over D correlated by .3 to .8 between
    sizes, and the exponent beta scattered by twice its standard error). Treatments and worlds do not enter: they are
    compared with each other on the same order.
    """
    return derived_key(trial.seed, (trial.model.layers << 32) + trial.model.width)


def training_loss(model: torch.nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of the batch in nats a token."""
    return functional.cross_entropy(model(inputs), targets)


@dataclass(frozen=True)
class TokenLosses:
    """What a model makes of each held-out token."""

    losses: NDArray[np.float32]
    """Nats, shape (windows, context)."""
    correct: NDArray[np.bool_]
    """Whether the likeliest token is the right one, same shape."""


@torch.inference_mode()
def evaluate_tokens(model: Decoder, windows: EvaluationWindows, *, chunk_tokens: int = 8192) -> TokenLosses:
    """Return the loss of every token of `windows`, computed `chunk_tokens` at a time."""
    tokens = torch.from_numpy(windows.tokens).to(model.embedding.device, torch.int64)
    losses, correct = [], []
    for chunk in torch.split(tokens, max(1, chunk_tokens // model.shape.context)):
        logits = model(chunk[:, :-1].flatten())
        targets = chunk[:, 1:].flatten()
        losses.append(functional.cross_entropy(logits, targets, reduction="none").view(len(chunk), -1))
        correct.append((logits.argmax(-1) == targets).view(len(chunk), -1))
    return TokenLosses(torch.cat(losses).cpu().numpy(), torch.cat(correct).cpu().numpy())
