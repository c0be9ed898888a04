import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_laws.design.architectures import decoder_shape, parameter_counts
from scaling_laws.design.flops import forward_flops_per_token, training_flops_per_token


@given(target=st.integers(1_000_000, 10**12))
def test_from_a_million_on_n_is_within_five_percent_and_the_shape_is_ordinary(target: int) -> None:
    shape = decoder_shape(target, context=128)
    assert parameter_counts(shape).matmul == pytest.approx(target, rel=0.05)
    assert 40 <= shape.width / shape.layers <= 105
    assert shape.width % shape.heads == 0
    assert shape.width // shape.heads % 2 == 0
    assert 16 <= shape.width // shape.heads <= 96


@given(target=st.integers(1, 999_999))
def test_below_a_million_n_is_the_nearest_of_one_family(target: int) -> None:
    shape = decoder_shape(target, context=128)
    assert shape.layers == 2
    assert shape.width % 8 == 0
    others = [
        parameter_counts(shape.model_copy(update={"width": shape.width + step})).matmul
        for step in (-8, 8)
        if shape.width + step > 0
    ]
    assert all(abs(parameter_counts(shape).matmul - target) <= abs(n - target) for n in others)


@given(targets=st.lists(st.integers(1000, 10**11), min_size=2, max_size=2))
def test_n_grows_with_the_target(targets: list[int]) -> None:
    small, large = (parameter_counts(decoder_shape(t, context=64)).matmul for t in sorted(targets))
    assert small <= large * 1.07


def test_the_counts_of_a_known_shape() -> None:
    counts = parameter_counts(decoder_shape(115_000, context=64))
    assert (counts.blocks, counts.matmul, counts.total) == (98_304, 114_688, 114_688 + 16_384 + 5 * 64)


def test_flops_of_a_known_shape() -> None:
    shape = decoder_shape(115_000, context=64)
    counts = parameter_counts(shape)
    assert training_flops_per_token(shape, counts) == 6 * 114_688 + 12 * 2 * 64 * 64
    assert training_flops_per_token(shape, counts) == 3 * forward_flops_per_token(shape, counts)
