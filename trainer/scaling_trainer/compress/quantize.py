"""Post-training quantization of the blocks' weights through torchao."""

import torch
from torch import Tensor, nn

from scaling_api.v1alpha1.compression import Quantize


def group_size(quantize: Quantize, in_features: int) -> int:
    """Return how many weights share a scale: the asked size, halved until it divides the layer's inputs."""
    size = quantize.group_size
    while in_features % size:
        size //= 2
    return size


@torch.no_grad()
def quantized(weight: Tensor, quantize: Quantize) -> Tensor:
    """Return what the weight is after rounding to `weight_bits` bits, as floats of the same shape.

    torchao rounds symmetrically, one scale for each group of a row; the values are those of its integer kernels.
    """
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.copy_(weight)
    dtype = getattr(torch, f"int{quantize.weight_bits}")
    config = IntxWeightOnlyConfig(weight_dtype=dtype, granularity=PerGroup(group_size(quantize, weight.shape[1])))
    quantize_(layer, config)
    rounded: Tensor = layer.weight.dequantize()
    return rounded
