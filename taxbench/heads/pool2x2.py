"""Windows of 2 x 2 patches pooled by attention, as in Molmo (Deitke et al., 2024, arXiv 2409.17146)."""

from math import isqrt

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec
from taxbench.util.errors import UsageError

POOL = "grid4"


class Settings(Spec, strict=True):
    """Options of the pool2x2 head."""

    attention_heads: int = Field(default=4, ge=1, le=64)
    """Heads of attention, each 64 wide as in Molmo; the inner width is w = 64 · attention_heads."""
    hidden: int = Field(default=512, ge=1, le=1 << 17)
    """Width of the MLP's hidden layer."""


class _Pool(nn.Module):
    """Attention to the patches of a window; the query is made of their mean."""

    def __init__(self, side: int, features: int, heads: int) -> None:
        super().__init__()
        self.side = side
        self.split = nn.Unflatten(-1, (heads, 64))
        self.query, self.key, self.value = (nn.Linear(features, 64 * heads) for _ in range(3))
        self.out = nn.Linear(64 * heads, 64 * heads)

    def forward(self, patches: Tensor) -> Tensor:
        """Pool each window.  # (b, t, f) → (b, t / 4, w)"""
        pooled = nn.functional.scaled_dot_product_attention(*self._parts(patches))  # (b, t / 4, heads, 1, 64)
        return self.out(pooled.squeeze(3).flatten(2))  # type: ignore[no-any-return]

    def attention(self, patches: Tensor) -> Tensor:
        """Return how much each soft token looks at each patch, zero outside its window.  # (b, t, f) → (b, t / 4, t)"""
        query, key, _ = self._parts(patches)
        shares = (query @ key.transpose(-1, -2) / 8).softmax(-1).mean(2).squeeze(2)  # (b, t / 4, 4); 8 = √64
        places = self._windows(torch.arange(patches.shape[1], device=patches.device)[None, :, None]).squeeze(-1)
        found = shares.new_zeros(len(patches), shares.shape[1], patches.shape[1])
        return found.scatter(2, places.expand(len(patches), -1, -1), shares)

    def _windows(self, patches: Tensor) -> Tensor:
        """Return the patches of each window.  # (b, t, f) → (b, t / 4, 4, f)"""
        half = self.side // 2
        rows = patches.reshape(len(patches), half, 2, half, 2, -1)  # (b, row, 2, column, 2, f)
        return rows.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _parts(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, keys and values of each window.  # (b, t / 4, heads, 1 or 4, 64) each"""
        windows = self._windows(patches)
        pairs = (self.query, windows.mean(2, keepdim=True)), (self.key, windows), (self.value, windows)
        query, key, value = (self.split(layer(x)).transpose(2, 3) for layer, x in pairs)
        return query, key, value


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the map (b, t, f) → (b, t / 4, d), trained through the LM.

    Parameters: 3 (f + 1) · w + (w + 1) · w + (w + 1) · hidden + (hidden + 1) · d.

    Raises:
        UsageError: the features are no square grid with an even side.
    """
    side = isqrt(shape.tokens)
    if side * side != shape.tokens or side % 2:
        raise UsageError(
            "The head 'pool2x2' pools windows of 2 x 2 patches: expected a square grid with an even side, found "
            f"{shape.tokens} feature vector{'s' if shape.tokens > 1 else ''} an image. Type --set pool=grid4."
        )
    width = 64 * settings.attention_heads
    return nn.Sequential(
        _Pool(side, shape.features, settings.attention_heads),
        nn.Linear(width, settings.hidden),
        nn.GELU(),
        nn.Linear(settings.hidden, shape.width),
    )
