"""Stateless data order: the window that a step sees is a function of the seed and the step, of nothing else.

A keyed permutation of the training windows is evaluated at step * batch + i. Any process can compute any batch,
a shorter run sees a prefix of what a longer one sees, and resuming needs no iterator state.
"""

import numpy as np
from numpy.typing import NDArray

IndexArray = NDArray[np.uint64]

_ROUNDS = 6  # even, so that both halves end where they began; 4 already pass for a random permutation
_MASK64 = 2**64 - 1


def permuted(indices: NDArray[np.integer], *, count: int, key: int) -> NDArray[np.int64]:
    """Return where a keyed permutation of 0..count-1 sends each of `indices` (any shape, each below `count`).

    A Feistel network over the next power of two, walked until it lands below `count` (Black and Rogaway,
    "Ciphers with arbitrary finite domains", 2002): at most two rounds of walking on average, and no table.
    """
    bits = max(2, (count - 1).bit_length())
    keys = [derived_key(key, round_number) for round_number in range(_ROUNDS)]
    values = _feistel(indices.astype(np.uint64), bits=bits, keys=keys)
    while (outside := values >= np.uint64(count)).any():
        values[outside] = _feistel(values[outside], bits=bits, keys=keys)
    return values.astype(np.int64)


def _feistel(values: IndexArray, *, bits: int, keys: list[int]) -> IndexArray:
    low_bits = bits // 2
    high_bits = bits - low_bits
    for key in keys:
        high = values >> np.uint64(low_bits)
        low = values & np.uint64((1 << low_bits) - 1)
        mixed = (high ^ mixed_bits(low, key=key)) & np.uint64((1 << high_bits) - 1)
        values = (low << np.uint64(high_bits)) | mixed
        low_bits, high_bits = high_bits, low_bits
    return values


def mixed_bits(values: IndexArray, *, key: int) -> IndexArray:
    """Return 64 pseudo-random bits for each value under `key`: SplitMix64's finalizer (Steele et al., 2014)."""
    bits = values + np.uint64(key & _MASK64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def derived_key(seed: int, stream: int) -> int:
    """Return a 64-bit key for one purpose (`stream`) of a seed."""
    increment = 0x9E3779B97F4A7C15  # the golden ratio: consecutive seeds and streams land far apart
    start = np.array([(seed * increment) & _MASK64], dtype=np.uint64)
    return int(mixed_bits(mixed_bits(start, key=increment), key=(stream + 1) * increment)[0])
