"""Learnt queries that attend to features, the Q-Former of BLIP-2 (Li et al., 2023, arXiv 2301.12597)."""

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec

POOL = "grid4"


class Settings(Spec, strict=True):
    """Options of the Q-Former head."""

    tokens: int = Field(default=8, ge=1, le=256)
    """Queries, each of which becomes a soft token; BLIP-2 has 32."""
    blocks: int = Field(default=2, ge=1, le=24)
    """Blocks of attention; BLIP-2 has 12, of which every second one attends to the features."""
    attention_heads: int = Field(default=4, ge=1, le=64)
    """Heads of attention, each 64 wide as in BERT; the inner width is w = 64 · attention_heads."""


class _Block(nn.Module):
    """Norms come before each part, not after it as in BERT, which would need a long warm-up (arXiv 2002.04745)."""

    def __init__(self, features: int, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.among = nn.MultiheadAttention(width, heads, batch_first=True)
        self.across = nn.MultiheadAttention(width, heads, kdim=features, vdim=features, batch_first=True)
        self.forth = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def asked(self, queries: Tensor) -> Tensor:
        """Attend to queries.  # (b, k, w) → (b, k, w)"""
        asked = self.norms[0](queries)
        return queries + self.among(asked, asked, asked, need_weights=False)[0]  # type: ignore[no-any-return]

    def looks(self, queries: Tensor, features: Tensor) -> Tensor:
        """Return how much each query attends to each feature vector.  # (b, k, w), (b, t, f) → (b, k, t)"""
        return self.across(self.norms[1](self.asked(queries)), features, features)[1]  # type: ignore[no-any-return]

    def forward(self, queries: Tensor, features: Tensor) -> Tensor:
        """Attend to queries, to features, and think.  # (b, k, w), (b, t, f) → (b, k, w)"""
        queries = self.asked(queries)
        queries = queries + self.across(self.norms[1](queries), features, features, need_weights=False)[0]
        return queries + self.forth(self.norms[2](queries))  # type: ignore[no-any-return]


class _QFormer(nn.Module):
    def __init__(self, shape: HeadShape, settings: Settings) -> None:
        super().__init__()
        heads = settings.attention_heads
        width = 64 * heads
        self.queries = nn.Parameter(0.02 * torch.randn(settings.tokens, width))
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(_Block(shape.features, width, heads) for _ in range(settings.blocks))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, shape.width))

    def forward(self, features: Tensor) -> Tensor:
        """Let learnt queries attend to the features.  # (b, t, f) → (b, k, d)"""
        queries = self.norm(self.queries).expand(len(features), -1, -1)  # (b, k, w)
        for block in self.blocks:
            queries = block(queries, features)
        return self.out(queries)  # type: ignore[no-any-return]

    def attention(self, features: Tensor) -> Tensor:
        """Return how much each soft token looks at each feature vector, in the last block.  # (b, t, f) → (b, k, t)"""
        queries = self.norm(self.queries).expand(len(features), -1, -1)
        for block in self.blocks[:-1]:
            queries = block(queries, features)
        return self.blocks[-1].looks(queries, features)  # type: ignore[no-any-return, operator]


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the Q-Former (b, t, f) → (b, k, d), trained through the LM; it does not see the order of feature vectors.

    Parameters: k · w + blocks · (14 w² + 2 f w + 19 w) + 4 w + (w + 1) · d.
    """
    return _QFormer(shape, settings)
