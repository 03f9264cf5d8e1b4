"""Learnt latents that attend to features, Flamingo's resampler (Alayrac et al., 2022, arXiv 2204.14198)."""

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec

POOL = "grid4"


class Settings(Spec, strict=True):
    """Options of the perceiver head."""

    tokens: int = Field(default=8, ge=1, le=256)
    """Latents, each of which becomes a soft token; Flamingo has 64."""
    blocks: int = Field(default=2, ge=1, le=24)
    """Blocks of attention; Flamingo has 6."""
    attention_heads: int = Field(default=4, ge=1, le=64)
    """Heads of attention, each 64 wide as in Flamingo; the inner width is w = 64 · attention_heads."""
    positions: bool = True
    """Whether a learnt vector tells each of several feature vectors where it comes from."""


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.forth = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, latents: Tensor, features: Tensor) -> Tensor:
        """Attend to features and latents, and think.  # (b, k, w), (b, t, w) → (b, k, w)"""
        asked, seen = self._seen(latents, features)
        latents = latents + self.attend(asked, seen, seen, need_weights=False)[0]
        return latents + self.forth(self.norms[2](latents))  # type: ignore[no-any-return]

    def looks(self, latents: Tensor, features: Tensor) -> Tensor:
        """Return how much each latent attends to each feature vector.  # (b, k, w), (b, t, w) → (b, k, t)"""
        asked, seen = self._seen(latents, features)
        return self.attend(asked, seen, seen)[1][..., : features.shape[1]]  # type: ignore[no-any-return]

    def _seen(self, latents: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents that ask, and the features and latents that they attend to."""
        asked = self.norms[0](latents)
        return asked, torch.cat([self.norms[1](features), asked], dim=1)


class _Perceiver(nn.Module):
    def __init__(self, shape: HeadShape, settings: Settings) -> None:
        super().__init__()
        heads = settings.attention_heads
        width = 64 * heads
        self.enter = nn.Linear(shape.features, width)
        several = settings.positions and shape.tokens > 1
        self.positions = nn.Parameter(0.02 * torch.randn(shape.tokens, width)) if several else None
        self.latents = nn.Parameter(0.02 * torch.randn(settings.tokens, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(settings.blocks))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, shape.width))

    def forward(self, features: Tensor) -> Tensor:
        """Resample the features.  # (b, t, f) → (b, k, d)"""
        latents, entered = self._entered(features)
        for block in self.blocks:
            latents = block(latents, entered)
        return self.out(latents)  # type: ignore[no-any-return]

    def attention(self, features: Tensor) -> Tensor:
        """Return how much each soft token looks at each feature vector, in the last block.  # (b, t, f) → (b, k, t)"""
        latents, entered = self._entered(features)
        for block in self.blocks[:-1]:
            latents = block(latents, entered)
        return self.blocks[-1].looks(latents, entered)  # type: ignore[no-any-return, operator]

    def _entered(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first latents and the features in their width.  # (b, t, f) → (b, k, w), (b, t, w)"""
        entered = self.enter(features)
        entered = entered if self.positions is None else entered + self.positions
        return self.latents.expand(len(features), -1, -1), entered


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the perceiver resampler (b, t, f) → (b, k, d), trained through the LM.

    Parameters: (f + 1) · w + k · w + blocks · (12 w² + 15 w) + 2 w + (w + 1) · d, and t · w for positions where t > 1.
    """
    return _Perceiver(shape, settings)
