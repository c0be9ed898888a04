"""Training FLOPs of a token: the one definition."""

from scaling_api.v1alpha1.trial import ModelShape, ParameterCounts


def forward_flops_per_token(shape: ModelShape, counts: ParameterCounts) -> float:
    """Return 2·P_matmul + 4·layers·width·context: one multiply and one add a parameter, and attention's two products.

    Attention is counted in full, as the hardware computes it, not halved for causality
    (PaLM, arXiv:2204.02311, appendix B).
    """
    return 2.0 * counts.matmul + 4.0 * shape.layers * shape.width * shape.context


def training_flops_per_token(shape: ModelShape, counts: ParameterCounts) -> float:
    """Return 6·P_matmul + 12·layers·width·context: the backward pass costs twice the forward one."""
    return 3.0 * forward_flops_per_token(shape, counts)
