"""The held-out loss, its standard error over documents, and the sample that all models share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from scaling_api.v1alpha1.task import Corpus
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import ModelShape
from scaling_trainer.data.corpus import PreparedCorpus, load_corpus
from scaling_trainer.data.windows import EvaluationWindows
from scaling_trainer.evaluate import by_document, clustered_standard_error, load_document_losses, save_document_losses
from scaling_trainer.models.decoder import Decoder, initialise
from scaling_trainer.tasks.language import evaluate_tokens


@pytest.fixture
def corpus(corpus_folder: Path, tmp_path: Path) -> PreparedCorpus:
    return load_corpus(Corpus(uri=str(corpus_folder)), Training(held_out_fraction=0.2), folder=tmp_path)


def test_standard_error_is_that_of_cluster_means_of_one_size() -> None:
    sums, counts = np.array([10.0, 12.0, 17.0, 9.0]), np.full(4, 5)
    expected = np.std(sums / 5, ddof=1) / np.sqrt(4)
    assert clustered_standard_error(sums, counts) == pytest.approx(expected)


def test_one_document_has_no_standard_error() -> None:
    assert clustered_standard_error(np.array([3.0]), np.array([2])) is None


def test_standard_error_covers_what_it_should() -> None:
    random = np.random.default_rng(0)
    misses = 0
    for _ in range(400):
        counts = random.integers(20, 60, size=60)
        effects = random.normal(2.0, 0.3, size=60)
        sums = np.array([random.normal(effect, 1.0, size=n).sum() for effect, n in zip(effects, counts, strict=True)])
        error = clustered_standard_error(sums, counts)
        assert error is not None
        misses += abs(sums.sum() / counts.sum() - 2.0) > 2.0 * error
    assert 0.02 < misses / 400 < 0.09


def test_losses_are_summed_by_document(tmp_path: Path) -> None:
    losses = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=np.float32)
    found = by_document(losses, np.array([[7, 7, 9], [9, 9, 12]]))
    assert found.document.tolist() == [7, 9, 12]
    assert found.tokens.tolist() == [2, 3, 1]
    assert found.loss.tolist() == [3.0, 12.0, 6.0]
    assert found.mean == 3.5
    save_document_losses(tmp_path, found)
    again = load_document_losses(tmp_path)
    assert again.mean == found.mean
    assert again.document.tolist() == found.document.tolist()


def test_sample_is_held_out_text_with_its_documents(corpus: PreparedCorpus) -> None:
    sample = EvaluationWindows(corpus, context=16, sequences=50)
    held_out = corpus.held_out.tobytes()
    assert sample.tokens.shape == (50, 17)
    assert len(np.unique(sample.tokens, axis=0)) == 50
    ends = [*corpus.held_out_starts[1:].tolist(), len(held_out)]
    for window, documents in zip(sample.tokens, sample.documents, strict=True):
        places = [p for p in range(0, len(held_out) - 16, 16) if held_out[p : p + 17] == window.tobytes()]
        document = int(documents[0])
        assert any(corpus.held_out_starts[document] <= place + 1 < ends[document] for place in places)


def test_separator_counts_to_the_document_that_it_opens(corpus: PreparedCorpus) -> None:
    sample = EvaluationWindows(corpus, context=16, sequences=10**6)
    changes = np.diff(sample.documents, axis=1) > 0
    assert changes.any()
    assert (sample.tokens[:, 2:][changes] == 0).all()


def test_small_samples_are_part_of_large_ones_and_no_more_than_there_is(corpus: PreparedCorpus) -> None:
    few, many = (EvaluationWindows(corpus, context=16, sequences=n).tokens for n in (20, 60))
    assert set(map(bytes, few)) <= set(map(bytes, many))
    everything = EvaluationWindows(corpus, context=16, sequences=10**6)
    assert len(everything.tokens) == corpus.held_out_windows(16)


@pytest.mark.parametrize("chunk_tokens", [1, 100, 8192])
def test_token_losses_do_not_depend_on_how_many_are_computed_at_once(corpus: PreparedCorpus, chunk_tokens: int) -> None:
    model = Decoder(ModelShape(family="decoder", layers=1, width=16, heads=1, context=16, vocabulary=256))
    initialise(model, seed=0)
    sample = EvaluationWindows(corpus, context=16, sequences=24)
    found = evaluate_tokens(model, sample, chunk_tokens=chunk_tokens)
    tokens = torch.from_numpy(sample.tokens).long()
    logits = model(tokens[:, :-1].flatten())
    expected = functional.cross_entropy(logits, tokens[:, 1:].flatten(), reduction="none").view(24, 16)
    np.testing.assert_allclose(found.losses, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert np.array_equal(found.correct, (logits.argmax(-1).view(24, 16) == tokens[:, 1:]).numpy())
