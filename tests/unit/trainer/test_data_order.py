"""The data order is a permutation of the seed, and noise a function of the position."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_trainer.data.order import derived_key, permuted
from scaling_trainer.data.treatments import with_token_noise
from scaling_trainer.data.windows import TrainingWindows

TEXT = np.random.default_rng(0).integers(0, 256, size=50_001, dtype=np.uint8)


def windows(*, seed: int = 0, batch_size: int = 8, noise: float = 0.0, context: int = 16) -> TrainingWindows:
    return TrainingWindows(TEXT, context=context, batch_size=batch_size, seed=seed, token_noise=noise)


def all_steps(source: TrainingWindows, steps: int) -> np.ndarray:
    blocks = [source.block(first) for first in range(0, steps, source.block_steps)]
    return np.concatenate(blocks)[:steps]


@given(count=st.integers(1, 5000), key=st.integers(0, 2**64 - 1))
def test_every_index_comes_once(count: int, key: int) -> None:
    assert sorted(permuted(np.arange(count), count=count, key=key)) == list(range(count))


@given(count=st.integers(2**33, 2**62), key=st.integers(0, 2**64 - 1), start=st.integers(0, 2**32))
def test_large_corpora_are_permuted_without_a_table(count: int, key: int, start: int) -> None:
    found = permuted(np.arange(start, start + 64), count=count, key=key)
    assert len(set(found.tolist())) == 64
    assert found.min() >= 0
    assert found.max() < count


def test_order_looks_random() -> None:
    order = permuted(np.arange(20_000), count=20_000, key=derived_key(3, 0))
    assert abs(np.corrcoef(np.arange(20_000), order)[0, 1]) < 0.03
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.03
    counts = np.bincount(order[:2000] // 1000, minlength=20)
    assert ((counts - 100.0) ** 2 / 100).sum() < 45  # chi-squared, 19 degrees of freedom, p = .0007


def test_seeds_give_different_orders() -> None:
    assert not np.array_equal(windows(seed=0).block(0), windows(seed=1).block(0))


def test_one_epoch_sees_every_window_once() -> None:
    source = windows(batch_size=5)
    seen = all_steps(source, source.count // 5).reshape(-1, 17)
    expected = np.lib.stride_tricks.sliding_window_view(TEXT, 17)[::16]
    assert len(np.unique(seen, axis=0)) == len(seen)
    assert set(map(bytes, seen)) <= set(map(bytes, expected))


def test_step_is_the_same_however_one_gets_there() -> None:
    source = windows()
    steps = source.block_steps + 3
    assert np.array_equal(source.block(source.block_steps)[2], all_steps(windows(), steps)[-1])


def test_larger_batches_see_the_same_prefix() -> None:
    small, large = all_steps(windows(batch_size=4), 20), all_steps(windows(batch_size=8), 10)
    assert np.array_equal(small.reshape(-1), large.reshape(-1))


def test_noise_replaces_the_asked_share_by_uniform_bytes() -> None:
    tokens = np.zeros(200_000, dtype=np.uint8)
    noisy = with_token_noise(tokens, np.arange(200_000, dtype=np.uint64), share=0.1, key=7)
    replaced = noisy[noisy != 0]
    assert len(replaced) / 200_000 == pytest.approx(0.1 * 255 / 256, abs=0.003)
    counts = np.bincount(replaced, minlength=256)[1:]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 340  # 254 degrees of freedom, p = .0002


def test_noise_belongs_to_the_position() -> None:
    clean, noisy = windows().block(0), windows(noise=0.3).block(0)
    changed = clean != noisy
    assert 0.25 < changed.mean() < 0.35
    again = windows(noise=0.3, batch_size=4)
    assert np.array_equal(all_steps(again, 20).reshape(-1, 17), noisy[:10].reshape(-1, 17))


def test_noise_of_a_byte_is_the_same_as_target_and_as_next_input() -> None:
    order = windows(batch_size=1, noise=0.5, context=16)
    seen = all_steps(order, order.count).reshape(-1, 17)
    clean = all_steps(windows(batch_size=1, context=16), order.count).reshape(-1, 17)
    starts = {bytes(row): row_noisy for row, row_noisy in zip(clean, seen, strict=True)}
    consecutive = np.lib.stride_tricks.sliding_window_view(TEXT, 17)[::16]
    pairs = [(starts[bytes(a)], starts[bytes(b)]) for a, b in itertools.pairwise(consecutive)]
    assert all(first[-1] == second[0] for first, second in pairs)


def test_no_noise_leaves_the_text_alone() -> None:
    assert set(windows().block(0).ravel().tolist()) <= set(range(256))
    tokens = np.arange(256, dtype=np.uint8)
    assert np.array_equal(with_token_noise(tokens, np.arange(256, dtype=np.uint64), share=0.0, key=1), tokens)
