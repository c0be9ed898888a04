"""A corpus, prepared once: training and held-out bytes as memory-mapped files, shared by all processes.

Nothing here imports torch: planning needs fingerprints and sizes.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaling_api.v1alpha1.task import Corpus
from scaling_api.v1alpha1.training import Training
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_trainer.data.sources import CorpusError, read_documents
from scaling_trainer.data.split import Split, split_documents

__all__ = ["CorpusError", "PreparedCorpus", "fingerprint", "load_corpus"]

PREPARATION = 1
"""Version of the rules that make two byte arrays of documents: a change makes a new folder."""
SEPARATOR = b"\0"
"""Stands before each document: text has no NUL bytes."""
SMALLEST_EVALUATION = 16
"""Fewer held-out windows than this say nothing."""


@dataclass(frozen=True)
class PreparedCorpus:
    """Both sides of a corpus as bytes, each document behind a NUL."""

    fingerprint: str
    """SHA-256 over the documents, hex."""
    training: NDArray[np.uint8]
    """Training text, shape (bytes,)."""
    held_out: NDArray[np.uint8]
    """Held-out text, shape (bytes,)."""
    held_out_starts: NDArray[np.int64]
    """Where each held-out document starts in it, ascending from 0, shape (documents,)."""
    dropped_documents: int
    """Copies and near-duplicates that are on neither side."""

    def training_windows(self, context: int) -> int:
        """Return how many windows of `context` tokens (and the byte after them) training has."""
        return max(0, (len(self.training) - 1) // context)

    def held_out_windows(self, context: int) -> int:
        """Return how many windows of `context` tokens (and the byte after them) are held out."""
        return max(0, (len(self.held_out) - 1) // context)

    def require(self, tokens: int, *, context: int) -> None:
        """Return if one epoch has `tokens` training tokens and enough is held out for an evaluation.

        Raises:
            CorpusError: too small; the message has the numbers and what to do.
        """
        available = self.training_windows(context) * context
        if tokens > available:
            raise CorpusError(
                f"the corpus has {available:,} training tokens in windows of {context}, and {tokens:,} are asked for; "
                "text is never repeated: give more text, or ask for fewer tokens"
            )
        if (windows := self.held_out_windows(context)) < SMALLEST_EVALUATION:
            raise CorpusError(
                f"only {windows} windows of {context} bytes are held out, and an evaluation needs "
                f"{SMALLEST_EVALUATION}: give more text, a larger heldOutFraction, or a smaller contextLength"
            )

    def remarks(self, *, context: int, sequences: int) -> tuple[str, ...]:
        """Return a sentence for each way in which the corpus is not used as one may think."""
        found = []
        if self.dropped_documents:
            found.append(
                f"{self.dropped_documents:,} documents of the corpus are copies of others, or share most of their text "
                "with documents on the other side of the held-out split; they are left out."
            )
        if (windows := self.held_out_windows(context)) < sequences:
            found.append(
                f"The held-out text has {windows:,} windows of {context} bytes; all of them are evaluated on, fewer "
                f"than the {sequences:,} of evaluationSequences."
            )
        return tuple(found)


def fingerprint(corpus: Corpus) -> str:
    """Return the SHA-256 of the corpus's documents, hex. Of the built-in corpus it is a known constant.

    Raises:
        CorpusError: it cannot be read, or its fingerprint is not the one that the corpus must have.
    """
    found = PYTHON_CORPUS_FINGERPRINT if corpus.uri is None else fingerprint_of(read_documents(corpus))
    _require_same(corpus, found, corpus.fingerprint)
    return found


def fingerprint_of(documents: Sequence[bytes]) -> str:
    """Return the SHA-256 over the number of documents, and the length and bytes of each, hex."""
    digest = hashlib.sha256(len(documents).to_bytes(8, "little"))
    for document in documents:
        digest.update(len(document).to_bytes(8, "little"))
        digest.update(document)
    return digest.hexdigest()


def load_corpus(corpus: Corpus, training: Training, *, folder: Path, expected: str | None = None) -> PreparedCorpus:
    """Return the corpus from the results folder, prepared there first if no process has done so yet.

    Args:
        corpus: where the text comes from.
        training: says which share is held out.
        folder: the results folder; files are in `folder / "corpus" / ...`.
        expected: the fingerprint that it must have; a prepared corpus of that fingerprint is used without
            reading the source again.

    Raises:
        CorpusError: it cannot be used, or is not the expected one.
    """
    wanted = expected or fingerprint(corpus)
    target = folder / "corpus" / _folder_name(wanted, training.held_out_fraction)
    prepared = _opened(target)
    if prepared is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_process_at_a_time(target):
            if _opened(target) is None:
                _prepare(corpus, training.held_out_fraction, wanted, target)
        prepared = _opened(target)
    assert prepared is not None
    return prepared


def _folder_name(found: str, held_out_fraction: float) -> str:
    rule = hashlib.sha256(f"{PREPARATION} {held_out_fraction!r}".encode()).hexdigest()
    return f"{found[:32]}-{rule[:8]}"


def _require_same(corpus: Corpus, found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        name = corpus.uri or "python"
        raise CorpusError(
            f"the corpus {name} has the fingerprint {found}, and {expected} is asked for: its text changed"
        )


@contextmanager
def _one_process_at_a_time(target: Path) -> Iterator[None]:
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released by the kernel when a process dies
        yield


def _prepare(corpus: Corpus, held_out_fraction: float, wanted: str, target: Path) -> None:
    """Write both sides under a temporary name, sync, rename: the folder is there whole or not at all."""
    documents = read_documents(corpus)
    _require_same(corpus, fingerprint_of(documents), wanted)
    split = split_documents(documents, held_out_fraction=held_out_fraction)
    for left in target.parent.glob(f".{target.name}-*"):  # by a process that was killed: this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write(split, wanted, temporary)
        shutil.rmtree(target, ignore_errors=True)  # what is there failed its check
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(split: Split, found: str, folder: Path) -> None:
    sides = {"training": split.training, "held_out": split.held_out}
    contents = {name: SEPARATOR + SEPARATOR.join(documents) for name, documents in sides.items()}
    lengths = np.array([len(document) + 1 for document in split.held_out], dtype=np.int64)
    contents["held_out_starts"] = (np.cumsum(lengths) - lengths).tobytes()
    manifest = {
        "fingerprint": found,
        "dropped_documents": split.dropped,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    for name, content in (*contents.items(), ("manifest.json", json.dumps(manifest, indent=1).encode())):
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


@lru_cache(maxsize=4)
def _verified(target: Path, _written: int) -> PreparedCorpus | None:
    manifest = json.loads((target / "manifest.json").read_text())
    if any(_sha256(target / name) != digest for name, digest in manifest["sha256"].items()):
        return None
    arrays = {name: np.memmap(target / name, dtype=np.uint8, mode="r") for name in manifest["sha256"]}
    return PreparedCorpus(
        fingerprint=manifest["fingerprint"],
        training=arrays["training"],
        held_out=arrays["held_out"],
        held_out_starts=np.frombuffer(arrays["held_out_starts"], dtype=np.int64),
        dropped_documents=manifest["dropped_documents"],
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(target: Path) -> PreparedCorpus | None:
    """Return the prepared corpus, checked once a process; None when it is missing or damaged."""
    try:
        return _verified(target, (target / "manifest.json").stat().st_mtime_ns)
    except (FileNotFoundError, ValueError, KeyError):
        return None
