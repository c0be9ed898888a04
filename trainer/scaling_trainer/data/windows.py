"""Windows of a text: which bytes a training step sees, and which held-out bytes every model is evaluated on."""

import numpy as np
from numpy.typing import NDArray

from scaling_trainer.data.corpus import PreparedCorpus
from scaling_trainer.data.order import derived_key, permuted
from scaling_trainer.data.treatments import with_token_noise

_ORDER, _NOISE, _EVALUATION = range(3)  # streams of a seed
_BLOCK_BYTES = 1 << 18
_LONGEST_BLOCK = 256


class TrainingWindows:
    """The batches of one training run: a function of the seed and the step alone.

    Window i is the `context + 1` bytes from i * context: inputs, and the same shifted by one as targets.
    """

    def __init__(
        self, text: NDArray[np.uint8], *, context: int, batch_size: int, seed: int, token_noise: float = 0.0
    ) -> None:
        self._text = text
        self._context = context
        self._batch_size = batch_size
        self._noise = token_noise
        self._order_key = derived_key(seed, _ORDER)
        self._noise_key = derived_key(seed, _NOISE)
        self.count = max(0, (len(text) - 1) // context)

    @property
    def block_steps(self) -> int:
        """Steps whose batches are made together: their cost a step is then that of copying them."""
        return max(1, min(_LONGEST_BLOCK, _BLOCK_BYTES // (self._batch_size * self._context)))

    def block(self, first_step: int) -> NDArray[np.uint8]:
        """Return the batches of `block_steps` steps, shape (steps, batch, context + 1).

        Steps beyond the corpus's one epoch are left out.
        """
        last = min(
            (first_step + self.block_steps) * self._batch_size, self.count // self._batch_size * self._batch_size
        )
        indices = np.arange(first_step * self._batch_size, last, dtype=np.uint64)
        starts = permuted(indices, count=self.count, key=self._order_key) * self._context
        windows = _gathered(self._text, starts, self._context)
        if self._noise:
            positions = (starts[:, None] + np.arange(self._context + 1)).astype(np.uint64)
            windows = with_token_noise(windows, positions, share=self._noise, key=self._noise_key)
        return windows.reshape(-1, self._batch_size, self._context + 1)


class EvaluationWindows:
    """The fixed sample of held-out windows: the same for every model, seed and treatment."""

    def __init__(self, corpus: PreparedCorpus, *, context: int, sequences: int) -> None:
        """Sample `sequences` of the held-out windows, or all where there are fewer."""
        available = corpus.held_out_windows(context)
        indices = np.arange(min(sequences, available), dtype=np.uint64)
        starts = np.sort(permuted(indices, count=available, key=derived_key(0, _EVALUATION))) * context
        self.tokens = _gathered(corpus.held_out, starts, context)
        """Shape (windows, context + 1)."""
        targets = starts[:, None] + np.arange(1, context + 1)
        self.documents = np.searchsorted(corpus.held_out_starts, targets, side="right") - 1
        """Index of the held-out document that each target belongs to, shape (windows, context)."""


def _gathered(text: NDArray[np.uint8], starts: NDArray[np.int64], context: int) -> NDArray[np.uint8]:
    windows = np.lib.stride_tricks.sliding_window_view(text, context + 1)
    return np.ascontiguousarray(windows[starts])
