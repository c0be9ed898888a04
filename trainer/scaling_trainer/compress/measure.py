"""What a model weighs: parameters, bits and bytes as it would be stored, FLOPs as it would run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scaling_api.v1alpha1.compression import Quantize
from scaling_api.v1alpha1.trial import ModelShape, ParameterCounts
from scaling_laws.design.flops import forward_flops_per_token
from scaling_trainer.compress.quantize import group_size

FLOAT_BITS = 32
SCALE_BITS = 32
"""torchao keeps one scale a group in the weights' own format."""


@dataclass(frozen=True)
class Weight:
    """One matrix of the blocks."""

    rows: int
    columns: int
    kept: int
    """Weights that pruning left."""


@dataclass(frozen=True)
class Weighed:
    """Size and cost of a model."""

    nonzero_parameters: int
    """Matmul parameters that pruning left; weights that rounding made zero count."""
    effective_bits: float
    """Stored bits a matmul parameter, scales and masks included."""
    stored_bytes: int
    """Of all parameters: blocks as compressed, head, embedding and gains in full precision."""
    inference_flops: float
    """Forward FLOPs a token, pruned weights left out."""


def weigh(
    shape: ModelShape, counts: ParameterCounts, blocks: Mapping[str, Weight], quantize: Quantize | None
) -> Weighed:
    """Return size and cost of a model whose blocks hold `blocks`, stored as `quantize` says.

    A pruned matrix is stored as a bit mask and its kept weights, or in full where that is smaller.
    """
    blocks_bits = sum(_stored_bits(weight, quantize) for weight in blocks.values())
    pruned = sum(weight.rows * weight.columns - weight.kept for weight in blocks.values())
    head = counts.matmul - counts.blocks
    matmul_bits = blocks_bits + FLOAT_BITS * head
    rest_bits = FLOAT_BITS * (counts.total - counts.matmul)
    return Weighed(
        nonzero_parameters=counts.matmul - pruned,
        effective_bits=matmul_bits / counts.matmul,
        stored_bytes=math.ceil((matmul_bits + rest_bits) / 8),
        inference_flops=forward_flops_per_token(shape, counts) - 2.0 * pruned,
    )


def _stored_bits(weight: Weight, quantize: Quantize | None) -> int:
    size = weight.rows * weight.columns
    bits = quantize.weight_bits if quantize else FLOAT_BITS
    scales = SCALE_BITS * size // group_size(quantize, weight.columns) if quantize else 0
    return min(size * bits, weight.kept * bits + size) + scales
