"""Held-out documents share little text with training ones."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest

from scaling_trainer.data.sources import CorpusError
from scaling_trainer.data.split import SHINGLE_BYTES, split_documents

Documents: TypeAlias = Callable[..., list[bytes]]


def test_split_has_the_asked_share_and_loses_nothing(documents: Documents) -> None:
    text = documents(100)
    split = split_documents(text, held_out_fraction=0.1)
    assert sorted(split.training + split.held_out) == sorted(text)
    assert 0.1 <= sum(map(len, split.held_out)) / sum(map(len, text)) <= 0.12


def test_membership_depends_on_content_alone(documents: Documents) -> None:
    text = documents(60)
    forward = split_documents(text, held_out_fraction=0.1)
    backward = split_documents(text[::-1], held_out_fraction=0.1)
    assert set(forward.held_out) == set(backward.held_out)


def test_exact_copies_count_once(documents: Documents) -> None:
    text = documents(30)
    split = split_documents(text * 3, held_out_fraction=0.2)
    assert len(split.training) + len(split.held_out) == 30
    assert split.dropped == 60


def _near_copy(document: bytes, *, changed: int, seed: int) -> bytes:
    copy = bytearray(document)
    for position in np.random.default_rng(seed).choice(len(copy), size=changed, replace=False):
        copy[position] = ord("#")
    return bytes(copy)


def test_near_duplicates_of_held_out_documents_never_enter_training(documents: Documents) -> None:
    text = documents(40)
    held_out = split_documents(text, held_out_fraction=0.2).held_out
    copies = [_near_copy(document, changed=8, seed=i) for i, document in enumerate(held_out)]
    split = split_documents([*text, *copies], held_out_fraction=0.2)
    sides = (set(split.training), set(split.held_out))
    for original, copy in zip(held_out, copies, strict=True):
        assert not any(original in one and copy in other for one, other in (sides, sides[::-1]))


def test_training_document_that_contains_a_held_out_one_is_no_leak(documents: Documents) -> None:
    text = documents(40)
    held_out = split_documents(text, held_out_fraction=0.1).held_out
    containers = [b" ".join([*documents(6, seed=9 + i), document]) for i, document in enumerate(held_out)]
    split = split_documents([*text, *containers], held_out_fraction=0.1)
    for document in split.held_out:
        assert not any(document in other for other in split.training)


def test_shared_boilerplate_alone_is_no_reason_to_drop(documents: Documents) -> None:
    header = b"# Licensed under terms that everyone repeats, word for word, in each file.\n" * 4
    text = [header + document for document in documents(50)]
    assert split_documents(text, held_out_fraction=0.2).dropped == 0


def test_documents_shorter_than_a_shingle_are_compared_as_a_whole() -> None:
    short = [f"line {i} of a list".encode() for i in range(200)]
    assert max(map(len, short)) < SHINGLE_BYTES
    split = split_documents(short, held_out_fraction=0.1)
    assert split.dropped == 0
    assert len(split.held_out) >= 15


def test_few_documents_leave_both_sides_something(documents: Documents) -> None:
    split = split_documents(documents(2), held_out_fraction=0.01)
    assert (len(split.training), len(split.held_out)) == (1, 1)


@pytest.mark.parametrize("text", [[], [b"alone"], [b"same"] * 5])
def test_one_document_cannot_be_split(text: list[bytes]) -> None:
    with pytest.raises(CorpusError, match="too few to hold one out"):
        split_documents(text, held_out_fraction=0.1)


def test_text_that_repeats_itself_is_refused() -> None:
    sentence = b"All work and no play makes Jack a dull boy, all work and no play. "
    text = [sentence * n for n in range(20, 60)]
    with pytest.raises(CorpusError, match="repeats itself"):
        split_documents(text, held_out_fraction=0.2)
