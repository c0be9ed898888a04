"""A corpus is prepared once, whole or not at all, and checked when it is opened."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scaling_api.v1alpha1.task import Corpus
from scaling_api.v1alpha1.training import Training
from scaling_trainer.data import corpus as prepared
from scaling_trainer.data.corpus import CorpusError, PreparedCorpus, fingerprint, load_corpus
from scaling_trainer.data.sources import read_documents

TRAINING = Training(held_out_fraction=0.2)


def load(corpus_folder: Path, results: Path) -> PreparedCorpus:
    return load_corpus(Corpus(uri=str(corpus_folder)), TRAINING, folder=results)


def test_both_sides_are_the_documents_behind_separators(corpus_folder: Path, tmp_path: Path) -> None:
    corpus = load(corpus_folder, tmp_path)
    documents = read_documents(Corpus(uri=str(corpus_folder)))
    sides = [corpus.training.tobytes(), corpus.held_out.tobytes()]
    parts = [part for side in sides for part in side.removeprefix(b"\0").split(b"\0")]
    assert sorted(parts) == sorted(documents)
    assert all(corpus.held_out[start] == 0 for start in corpus.held_out_starts)
    assert len(corpus.held_out_starts) == sides[1].count(b"\0")


def test_prepared_corpus_is_used_without_its_source(corpus_folder: Path, tmp_path: Path) -> None:
    expected = load(corpus_folder, tmp_path)
    gone = Corpus(uri="/no/such/folder")
    again = load_corpus(gone, TRAINING, folder=tmp_path, expected=expected.fingerprint)
    assert np.array_equal(again.training, expected.training)


def test_changed_source_is_refused(corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="its text changed"):
        load_corpus(Corpus(uri=str(corpus_folder)), TRAINING, folder=tmp_path, expected="0" * 64)
    assert not [path for path in (tmp_path / "corpus").iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest"])
def test_damaged_copy_is_made_again(corpus_folder: Path, tmp_path: Path, damage: str) -> None:
    whole = load(corpus_folder, tmp_path).training.tobytes()
    (folder,) = [path for path in (tmp_path / "corpus").iterdir() if path.is_dir()]
    match damage:
        case "flip":
            (folder / "training").write_bytes(b"?" + whole[1:])
        case "truncate":
            (folder / "training").write_bytes(whole[:-1])
        case "remove":
            (folder / "held_out").unlink()
        case "manifest":
            (folder / "manifest.json").write_text("{")
    prepared._verified.cache_clear()
    assert load(corpus_folder, tmp_path).training.tobytes() == whole


def _load_in_process(corpus_folder: Path, results: Path, hashes: "multiprocessing.Queue[str]") -> None:
    hashes.put(load(corpus_folder, results).training.tobytes().hex())


def test_processes_that_start_at_once_share_one_copy(corpus_folder: Path, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    found: multiprocessing.Queue[str] = spawn.Queue()
    processes = [spawn.Process(target=_load_in_process, args=(corpus_folder, tmp_path, found)) for _ in range(4)]
    for process in processes:
        process.start()
    contents = {found.get(timeout=30) for _ in processes}
    for process in processes:
        process.join()
    assert len(contents) == 1
    assert len([path for path in (tmp_path / "corpus").iterdir() if path.is_dir()]) == 1


def test_other_held_out_share_is_another_copy(corpus_folder: Path, tmp_path: Path) -> None:
    small = load(corpus_folder, tmp_path)
    large = load_corpus(Corpus(uri=str(corpus_folder)), Training(held_out_fraction=0.4), folder=tmp_path)
    assert len(large.held_out) > len(small.held_out)
    assert fingerprint(Corpus(uri=str(corpus_folder))) == small.fingerprint == large.fingerprint


def test_too_few_tokens_are_refused_with_the_numbers(corpus_folder: Path, tmp_path: Path) -> None:
    corpus = load(corpus_folder, tmp_path)
    available = corpus.training_windows(16) * 16
    corpus.require(available, context=16)
    with pytest.raises(CorpusError, match=rf"has {available:,} training tokens .* {available + 1:,} are asked for"):
        corpus.require(available + 1, context=16)


def test_remarks_say_what_is_left_out_and_what_is_short(corpus_folder: Path, tmp_path: Path) -> None:
    corpus = load(corpus_folder, tmp_path)
    assert corpus.remarks(context=16, sequences=64) == ()
    (sentence,) = corpus.remarks(context=16, sequences=1_000_000)
    assert f"{corpus.held_out_windows(16):,} windows of 16 bytes" in sentence
    (sentence,) = replace(corpus, dropped_documents=3).remarks(context=16, sequences=64)
    assert sentence.startswith("3 documents")


def test_leftovers_of_a_killed_process_are_removed(corpus_folder: Path, tmp_path: Path) -> None:
    load(corpus_folder, tmp_path)
    (folder,) = [path for path in (tmp_path / "corpus").iterdir() if path.is_dir()]
    folder.rename(folder.with_name(f".{folder.name}-half"))
    load(corpus_folder, tmp_path)
    assert [path for path in (tmp_path / "corpus").iterdir() if path.is_dir()] == [folder]


def test_too_little_held_out_text_is_refused(corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="windows of 8192 bytes are held out"):
        load(corpus_folder, tmp_path).require(8192, context=8192)
