"""A byte-level GPT of about one million parameters: the real thing, small enough for two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BYTES = 256


@dataclass(frozen=True, slots=True)
class GPTSize:
    """Width, depth and context (in bytes) of the model; the defaults make 1.05 M parameters."""

    width: int = 144
    layers: int = 4
    heads: int = 4
    context: int = 64


class Block(nn.Module):
    """Pre-norm causal self-attention, then a feed-forward of four times the width."""

    def __init__(self, size: GPTSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.norm_attention = nn.LayerNorm(size.width)
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.project = nn.Linear(size.width, size.width)
        self.norm_mlp = nn.LayerNorm(size.width)
        self.mlp = nn.Sequential(
            nn.Linear(size.width, 4 * size.width), nn.GELU(), nn.Linear(4 * size.width, size.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, context, width) to the same shape."""
        x = x + self._attend(self.norm_attention(x))
        grown: Tensor = self.mlp(self.norm_mlp(x))
        return x + grown

    def _attend(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=2)
        )
        mixed: Tensor = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected


class GPT(nn.Module):
    """Byte embedding, positions, blocks, and a head that shares the embedding's weights."""

    def __init__(self, size: GPTSize) -> None:
        super().__init__()
        self.bytes = nn.Embedding(BYTES, size.width)
        self.positions = nn.Embedding(size.context, size.width)
        self.blocks = nn.Sequential(*(Block(size) for _ in range(size.layers)))
        self.norm = nn.LayerNorm(size.width)
        for embedding in (self.bytes, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map byte ids (batch, context) to logits (batch, context, 256)."""
        positions = torch.arange(x.shape[1], device=x.device)
        hidden = self.blocks(self.bytes(x) + self.positions(positions))
        return functional.linear(self.norm(hidden), self.bytes.weight)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy of the next byte, in nats."""
        return functional.cross_entropy(self(x).flatten(0, 1), y.flatten())
