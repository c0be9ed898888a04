"""The decoder: pre-norm transformer blocks with rotary positions, no biases, an untied head.

Parameters, by name and shape (width d, vocabulary V); nothing else is trained:

    embedding           V x d
    blocks.i.attention  qkv 3d x d, out d x d       with its gain, d
    blocks.i.mlp        up 4d x d, down d x 4d      with its gain, d
    gain                d
    head                V x d

So blocks hold 12 * layers * d^2, blocks and head 12 * layers * d^2 + V * d.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling_api.v1alpha1.trial import ModelShape
from scaling_trainer.models.attention import LONGEST_FUSED, causal_mask, rotary_attention, rotations
from scaling_trainer.models.layers import rms_norm, squared_relu
from scaling_trainer.models.matmul import Linear

BASE_WIDTH = 32
"""Width at which the head's initial scale is 1 / sqrt(width); wider heads start smaller."""
EMBEDDING_SCALE = 1.0


class Attention(nn.Module):
    """Causal self-attention of `heads` heads over windows of at most the rotation's length."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.gain = nn.Parameter(torch.ones(shape.width))
        self.qkv = Linear(shape.width, 3 * shape.width)
        self.out = Linear(shape.width, shape.width)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        """Return what the block adds to the residual stream `x`, shape (windows * context, width)."""
        qkv = self.qkv(rms_norm(x, self.gain))
        return self.out(rotary_attention(qkv, rotation, mask, heads=self.heads))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """Two linear layers, four times as wide between them."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(shape.width))
        self.up = Linear(shape.width, 4 * shape.width)
        self.down = Linear(4 * shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block adds to the residual stream `x`, shape (windows * context, width)."""
        return self.down(squared_relu(self.up(rms_norm(x, self.gain))))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then MLP, each added to the residual stream."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        """Return the residual stream behind the block."""
        x = x + self.attention(x, rotation, mask)
        return x + self.mlp(x)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """A decoder language model. Weights are uninitialised until `initialise` or a checkpoint fills them."""

    rotation: Tensor
    mask: Tensor

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        if shape.width % (2 * shape.heads):
            raise ValueError(f"width {shape.width} is not an even number of channels for each of {shape.heads} heads")
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.width))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.gain = nn.Parameter(torch.ones(shape.width))
        self.head = Linear(shape.width, shape.vocabulary)
        self.register_buffer("rotation", rotations(shape.context, shape.width // shape.heads), persistent=False)
        masked = shape.context if shape.context <= LONGEST_FUSED else 0  # it grows with the square
        self.register_buffer("mask", causal_mask(masked), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of each next token.

        Args:
            tokens: whole windows, one after the other, shape (windows * context,).

        Returns:
            Shape (windows * context, vocabulary).
        """
        x = functional.embedding(tokens, self.embedding)
        for block in self.blocks:
            x = block(x, self.rotation, self.mask)
        return self.head(rms_norm(x, self.gain))  # type: ignore[no-any-return]

    def block_weights(self) -> dict[str, nn.Parameter]:
        """Return the matrices of the blocks, by name: what pruning and quantization may change."""
        return {name: p for name, p in self.named_parameters() if name.startswith("blocks.") and p.dim() == 2}


@torch.no_grad()
def initialise(model: Decoder, *, seed: int) -> None:
    """Fill the weights: N(0, 1/fan-in) in the blocks, the head smaller by the width ratio, gains at one.

    The scales follow muP (Yang et al., "Tensor Programs V", 2022), so that one learning rate serves all widths.
    """
    generator = torch.Generator().manual_seed(seed)
    width = model.shape.width
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(1.0)
        elif name == "embedding":
            parameter.normal_(0.0, EMBEDDING_SCALE, generator=generator)
        else:
            scale = parameter.shape[1] ** -0.5 * (BASE_WIDTH / width if name.startswith("head") else 1.0)
            parameter.normal_(0.0, scale, generator=generator)
