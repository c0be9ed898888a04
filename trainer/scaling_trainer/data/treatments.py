"""Data-quality treatments: what is done to the training text. Held-out text stays clean."""

import numpy as np
from numpy.typing import NDArray

from scaling_trainer.data.order import mixed_bits


def with_token_noise(
    tokens: NDArray[np.uint8], positions: NDArray[np.uint64], *, share: float, key: int
) -> NDArray[np.uint8]:
    """Return `tokens` with a share of them replaced by uniformly random bytes.

    Whether and by what a token is replaced depends on the key and on its position in the training text alone: a
    byte is the same noise as input and as target, in every process and attempt.

    Args:
        tokens: bytes, any shape.
        positions: where each byte stands in the training text, same shape.
        share: probability of replacement, 0..1; one replacement in 256 is by the same byte.
        key: of the seed.
    """
    bits = mixed_bits(positions, key=key)
    chosen = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53 < share
    return np.where(chosen, (bits & np.uint64(255)).astype(np.uint8), tokens)
