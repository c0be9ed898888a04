"""The held-out loss with its standard error, and the per-document losses that let points be paired."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaling_trainer.durable import make_folder, sync_folder, write_whole

DOCUMENTS_FILE = "documents.npz"
"""Arrays `document` (index among the held-out documents, ascending), `tokens` (of it in the sample) and `loss`
(nats, summed over them), one element a document. Points of one experiment share documents and tokens."""


@dataclass(frozen=True)
class DocumentLosses:
    """The loss over each document of the held-out sample; all arrays have one element a document."""

    document: NDArray[np.int64]
    """Index among the held-out documents, ascending."""
    tokens: NDArray[np.int64]
    """Tokens of it in the sample."""
    loss: NDArray[np.float64]
    """Nats, summed over them."""

    @property
    def mean(self) -> float:
        """Mean loss a token."""
        return float(self.loss.sum() / self.tokens.sum())

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean, documents being the sampling units; None of a single one."""
        return clustered_standard_error(self.loss, self.tokens)


def clustered_standard_error(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> float | None:
    """Return the standard error of sum(sums) / sum(counts), one element a cluster; None of a single cluster.

    The linearised variance of a ratio of totals (Cochran, "Sampling Techniques", 1977, eq. 6.13, 9A.3):
    G / (G - 1) * sum (s_g - r n_g)^2 / (sum n_g)^2.
    """
    clusters = len(sums)
    if clusters < 2:
        return None
    residuals = sums - sums.sum() / counts.sum() * counts
    return math.sqrt(clusters / (clusters - 1) * float(residuals @ residuals)) / float(counts.sum())


def by_document(losses: NDArray[np.float32], documents: NDArray[np.int64]) -> DocumentLosses:
    """Return token losses summed by document; both arrays have the same shape."""
    found, inverse, tokens = np.unique(documents, return_inverse=True, return_counts=True)
    sums = np.zeros(len(found))
    np.add.at(sums, inverse.ravel(), losses.ravel())
    return DocumentLosses(found.astype(np.int64), tokens.astype(np.int64), sums)


def save_document_losses(folder: Path, losses: DocumentLosses) -> None:
    """Write DOCUMENTS_FILE in `folder`, whole or not at all."""
    content = io.BytesIO()
    np.savez(content, document=losses.document, tokens=losses.tokens, loss=losses.loss)
    make_folder(folder)
    write_whole(folder / DOCUMENTS_FILE, content.getvalue())
    sync_folder(folder)


def load_document_losses(folder: Path) -> DocumentLosses:
    """Return what `save_document_losses` wrote in `folder`."""
    with np.load(folder / DOCUMENTS_FILE) as arrays:
        return DocumentLosses(arrays["document"], arrays["tokens"], arrays["loss"])
