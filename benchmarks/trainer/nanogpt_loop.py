"""The reference: a GPT-2 style model and loop as nanoGPT trains its CPU configuration, in plain PyTorch.

Blocks with LayerNorm, no biases, learned positions, GELU, tied head; random crops of a memory-mapped text; AdamW
(nanoGPT fuses it on CUDA alone), clipping at 1, cosine rate, the loss printed, and so waited for, at every step.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width, bias=False)
        self.norm_2 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        windows, context, width = x.shape
        q, k, v = (
            part.view(windows, context, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm_1(x)).split(width, dim=2)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).contiguous().view(windows, context, width))
        return x + self.down(self.gelu(self.up(self.norm_2(x))))


class GPT(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, context: int, vocabulary: int = 256) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.tokens.weight = self.head.weight
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(inputs) + self.positions(torch.arange(inputs.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class NanoGPTLoop:
    def __init__(
        self, text: NDArray[np.uint8], *, layers: int, width: int, heads: int, context: int, batch: int, fused: bool
    ) -> None:
        self.text, self.context, self.batch = text, context, batch
        self.model = GPT(layers, width, heads, context)
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=fused or None)

    def train(self, steps: int) -> None:
        inputs, targets = self._batch()
        for step in range(steps):
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate(step)
            loss = self.model(inputs, targets)
            inputs, targets = self._batch()  # fetched ahead, as there
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            loss.item()

    def _batch(self) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(self.text) - self.context, (self.batch,))
        crops = [self.text[i : i + self.context + 1].astype(np.int64) for i in starts.tolist()]
        inputs = torch.stack([torch.from_numpy(crop[:-1]) for crop in crops])
        return inputs, torch.stack([torch.from_numpy(crop[1:]) for crop in crops])

    @staticmethod
    def _rate(step: int) -> float:
        if step < 100:
            return 1e-3 * (step + 1) / 101
        return 1e-4 + 0.5 * (1 + math.cos(math.pi * min(1.0, (step - 100) / 1900))) * 9e-4
