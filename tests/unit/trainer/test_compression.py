"""Pruning masks, quantization grids, and what a compressed model weighs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scaling_api.v1alpha1.compression import Prune, PruneMethod, Quantize
from scaling_laws.design.architectures import decoder_shape, parameter_counts
from scaling_laws.design.flops import forward_flops_per_token
from scaling_trainer.compress.measure import Weight, weigh
from scaling_trainer.compress.prune import magnitude_masks
from scaling_trainer.compress.quantize import group_size, quantized

Weights = Callable[[], dict[str, Tensor]]


@pytest.fixture
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "small": 0.1 * torch.randn(16, 32, generator=generator),
        "large": torch.randn(64, 16, generator=generator),
    }


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.731, 0.99])
def test_global_pruning_takes_the_smallest_of_all(weights: dict[str, Tensor], sparsity: float) -> None:
    masks = magnitude_masks(weights, Prune(sparsity=sparsity))
    flat = {key: torch.cat([t[name].flatten() for name in weights]) for key, t in (("w", weights), ("m", masks))}
    gone = flat["m"] == 0
    assert int(gone.sum()) == round(sparsity * len(gone))
    assert flat["w"][gone].abs().max() <= flat["w"][~gone].abs().min()
    assert masks["small"].mean() < masks["large"].mean()


def test_layer_pruning_takes_the_same_share_of_each(weights: dict[str, Tensor]) -> None:
    masks = magnitude_masks(weights, Prune(sparsity=0.25, method=PruneMethod.LAYER_MAGNITUDE))
    assert {name: float(mask.mean()) for name, mask in masks.items()} == {"small": 0.75, "large": 0.75}


def test_equal_weights_are_pruned_in_order() -> None:
    masks = magnitude_masks({"w": torch.ones(2, 4)}, Prune(sparsity=0.5))
    assert masks["w"].tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("asked", "inputs", "used"), [(32, 64, 32), (32, 24, 8), (32, 40, 8), (64, 16, 16), (100, 24, 12), (1, 24, 1)]
)
def test_group_is_halved_until_it_divides_the_inputs(asked: int, inputs: int, used: int) -> None:
    assert group_size(Quantize(weight_bits=4, group_size=asked), inputs) == used


@pytest.mark.parametrize("bits", range(1, 9))
def test_quantized_groups_have_as_many_levels_as_bits_allow(bits: int) -> None:
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    rounded = quantized(weight, Quantize(weight_bits=bits))
    assert rounded.shape == weight.shape
    for group in rounded.view(-1, 32):
        assert len(group.unique()) <= 2**bits


def test_error_falls_with_bits() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    errors = [float((quantized(weight, Quantize(weight_bits=b)) - weight).square().mean()) for b in range(1, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4


def test_quantization_keeps_pruned_weights_at_zero() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    weight *= magnitude_masks({"w": weight}, Prune(sparsity=0.5))["w"]
    assert quantized(weight, Quantize(weight_bits=4))[weight == 0].abs().max() == 0


def _blocks(width: int, kept: float) -> dict[str, Weight]:
    sizes = {"qkv": (3, 1), "out": (1, 1), "up": (4, 1), "down": (1, 4)}
    return {
        f"{layer}.{name}": Weight(rows=r * width, columns=c * width, kept=round(kept * r * c * width**2))
        for layer in range(2)
        for name, (r, c) in sizes.items()
    }


def test_dense_model_weighs_four_bytes_a_parameter() -> None:
    shape = decoder_shape(115_000, context=64)
    counts = parameter_counts(shape)
    found = weigh(shape, counts, _blocks(shape.width, 1.0), None)
    assert found.nonzero_parameters == counts.matmul
    assert found.effective_bits == 32
    assert found.stored_bytes == 4 * counts.total
    assert found.inference_flops == forward_flops_per_token(shape, counts)


def test_quantized_blocks_weigh_their_bits_and_a_scale_a_group() -> None:
    shape = decoder_shape(115_000, context=64)
    counts = parameter_counts(shape)
    found = weigh(shape, counts, _blocks(shape.width, 1.0), Quantize(weight_bits=4))
    blocks_bits = counts.blocks * 4 + counts.blocks // 32 * 32
    assert found.effective_bits == (blocks_bits + 32 * (counts.matmul - counts.blocks)) / counts.matmul
    assert found.stored_bytes == (blocks_bits + 32 * (counts.total - counts.blocks)) // 8
    assert found.nonzero_parameters == counts.matmul


def test_pruned_blocks_weigh_a_mask_and_what_is_kept() -> None:
    shape = decoder_shape(115_000, context=64)
    counts = parameter_counts(shape)
    found = weigh(shape, counts, _blocks(shape.width, 0.5), None)
    assert found.nonzero_parameters == counts.matmul - counts.blocks // 2
    assert found.stored_bytes == 4 * counts.total - counts.blocks * 32 // 2 // 8 + counts.blocks // 8
    assert found.inference_flops == forward_flops_per_token(shape, counts) - counts.blocks


def test_mask_that_costs_more_than_it_saves_is_not_stored() -> None:
    shape = decoder_shape(115_000, context=64)
    counts = parameter_counts(shape)
    int2 = Quantize(weight_bits=2)
    sparse, dense = (weigh(shape, counts, _blocks(shape.width, kept), int2) for kept in (0.9, 1.0))
    assert sparse.stored_bytes == dense.stored_bytes
