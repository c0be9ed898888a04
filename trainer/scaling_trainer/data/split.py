"""Which documents are held out, and which are dropped because the other side nearly contains them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_trainer.data.order import mixed_bits
from scaling_trainer.data.sources import CorpusError

SHINGLE_BYTES = 50
"""Length of the pieces that documents are compared by: shorter ones are shared by chance."""
LARGEST_SHARE = 0.5
"""A document is dropped when more of its shingles than this are on the other side."""
_TABLE_LOAD = 32  # slots per shingle of the other side: at most 1/32 of strangers look shared
_TABLE_BITS = 27
_HOLD_OUT_KEY = b"held out"


@dataclass(frozen=True)
class Split:
    """Documents of both sides, in the corpus's order; near-duplicates are in neither."""

    training: tuple[bytes, ...]
    held_out: tuple[bytes, ...]
    dropped: int
    """Near-duplicates and exact copies that were left out."""


def split_documents(documents: Sequence[bytes], *, held_out_fraction: float) -> Split:
    """Return training and held-out documents that share little text.

    Copies of a document count once. Documents go to the held-out side in the order of a keyed hash of their
    content until it has the asked share of the bytes; membership so depends on no name and no order. Then, with a
    shingle for every run of 50 bytes: a training document more than half of whose shingles occur in held-out text
    never enters training, and a held-out document more than half of whose shingles still occur in training text
    is not evaluated on. Shorter documents have no shingles and are compared as a whole.

    Raises:
        CorpusError: fewer than two different documents, or nothing left on one side.
    """
    unique = tuple(dict.fromkeys(documents))
    if len(unique) < 2:
        raise CorpusError(
            f"the corpus has {len(unique)} different document(s), too few to hold one out: give more text, "
            "as more files or with blank lines between its parts"
        )
    chosen = _held_out(unique, held_out_fraction)
    training = [d for i, d in enumerate(unique) if i not in chosen]
    held_out = [unique[i] for i in sorted(chosen)]
    kept_training = _unlike(training, held_out)
    kept_held_out = _unlike(held_out, kept_training)
    if not kept_training or not kept_held_out:
        raise CorpusError(
            "the corpus repeats itself: each of its training documents is nearly contained in the held-out ones, "
            "or the other way round; give text with less repetition"
        )
    dropped = len(documents) - len(kept_training) - len(kept_held_out)
    return Split(tuple(kept_training), tuple(kept_held_out), dropped)


def _held_out(documents: Sequence[bytes], fraction: float) -> set[int]:
    """Return the indices of at least one and never all documents."""
    digests = [hashlib.blake2b(document, digest_size=16, key=_HOLD_OUT_KEY).digest() for document in documents]
    wanted = fraction * sum(map(len, documents))
    chosen: set[int] = set()
    size = 0
    for index in sorted(range(len(documents)), key=digests.__getitem__)[:-1]:
        if size >= wanted:
            break
        chosen.add(index)
        size += len(documents[index])
    return chosen


def _unlike(documents: Sequence[bytes], others: Sequence[bytes]) -> list[bytes]:
    """Return those of `documents` that have at most LARGEST_SHARE of their shingles in `others`."""
    table = _Shingles(others)
    return [document for document in documents if table.share_of(document) <= LARGEST_SHARE]


class _Shingles:
    """The shingles of some documents, as a table of hashes that may call a few strangers members.

    Of very large texts only shingles whose hash falls on a fixed residue are kept, on both sides alike.
    """

    def __init__(self, documents: Sequence[bytes]) -> None:
        count = max(1, sum(map(len, documents)))
        wanted_bits = max(10, (count * _TABLE_LOAD - 1).bit_length())
        self._bits = min(wanted_bits, _TABLE_BITS)
        self._residue = np.uint64((1 << (wanted_bits - self._bits)) - 1)
        self._table = np.zeros(1 << self._bits, dtype=np.bool_)
        for document in documents:
            self._table[self._slots(document)] = True

    def _slots(self, document: bytes) -> NDArray[np.int64]:
        hashes = _shingle_hashes(document)
        if self._residue:
            hashes = hashes[hashes & self._residue == 0]
        return (hashes >> np.uint64(64 - self._bits)).astype(np.int64)

    def share_of(self, document: bytes) -> float:
        """Return which share of the document's shingles is in the table."""
        found = self._table[self._slots(document)]
        return float(found.mean()) if len(found) else 0.0


def _shingle_hashes(document: bytes) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each run of SHINGLE_BYTES bytes; of the whole document when it is shorter.

    Hashes of runs of 2k bytes come from those of k by doubling; the run of 50 is one of 32 and an overlapping one.
    """
    text = np.frombuffer(document, dtype=np.uint8)
    if len(text) < SHINGLE_BYTES:
        digest = hashlib.blake2b(document, digest_size=8).digest()
        return np.frombuffer(digest, dtype=np.uint64)
    hashes = text.astype(np.uint64)
    length = 1
    while length * 2 <= SHINGLE_BYTES:
        hashes = hashes[:-length] * np.uint64(0x9E3779B97F4A7C15) + (
            hashes[length:] ^ (hashes[length:] >> np.uint64(29))
        )
        length *= 2
    rest = SHINGLE_BYTES - length
    return mixed_bits(hashes[:-rest] * np.uint64(0xD6E8FEB86659FD93) + hashes[rest:], key=SHINGLE_BYTES)
