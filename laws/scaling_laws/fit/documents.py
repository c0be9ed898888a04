"""The second level of a bootstrap: other held-out documents.

All points are evaluated on the same documents, so that another sample moves their losses together. Each draw takes
documents with replacement and works out every loss anew; what that changes is added to the draw's losses.
"""

import numpy as np

from scaling_laws.points import Documents, FloatArray, Points

DRAWS_AT_A_TIME = 64
SEED_STREAM = 2
"""Keeps the documents' draws apart from those of trajectories under the same seed."""


def document_changes(points: Points, draws: int, *, seed: int) -> FloatArray | None:
    """Return the logs (draws, n) by which other documents would change each loss; None where there are none."""
    documents = points.documents
    if documents is None or len(documents.tokens) < 2:
        return None
    rng = np.random.default_rng([seed, SEED_STREAM])
    parts = [
        _changes(documents, rng.multinomial(len(documents.tokens), _shares(documents), size=count).astype(np.float64))
        for count in _portions(draws)
    ]
    return np.concatenate(parts)


def _shares(documents: Documents) -> FloatArray:
    return np.full(len(documents.tokens), 1 / len(documents.tokens))


def _changes(documents: Documents, counts: FloatArray) -> FloatArray:
    """Return log changes of the mean loss a token for documents that count (draws, documents) times."""
    drawn = (counts @ documents.loss.T) / (counts @ documents.tokens)[:, None]
    own = documents.loss.sum(axis=1) / documents.tokens.sum()
    return np.asarray(np.log(drawn / own), dtype=np.float64)


def _portions(draws: int) -> list[int]:
    whole, rest = divmod(draws, DRAWS_AT_A_TIME)
    return [DRAWS_AT_A_TIME] * whole + ([rest] if rest else [])
