"""Windows of 2 x 2 patches pooled by attention, as in Molmo (Deitke et al., 2024, arXiv 2409.17146)."""

from math import isqrt

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
        half = self.side // 2
        rows = patches.reshape(len(patches), half, 2, half, 2, -1)  # (b, row, 2, column, 2, f)
        windows = rows.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (b, t / 4, 4, f)
        asked = windows.mean(2, keepdim=True)
        query, key, value = (
            self.split(layer(x)).transpose(2, 3)  # (b, t / 4, heads, 1 or 4, 64)
            for layer, x in ((self.query, asked), (self.key, windows), (self.value, windows))
        )
        pooled = nn.functional.scaled_dot_product_attention(query, key, value)  # (b, t / 4, heads, 1, 64)
        return self.out(pooled.squeeze(3).flatten(2))  # type: ignore[no-any-return]


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
