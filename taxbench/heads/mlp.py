"""Linear, GELU, linear, as in LLaVA-1.5 (Liu et al., 2024, arXiv 2310.03744) and in the paper behind this suite.

Prismatic (Karamcheti et al., 2024, arXiv 2402.07865) maps its fused encoders the same way. There, as here with
`pool=tokens`, every patch becomes a soft token.
"""

from pydantic import Field
from torch import nn

from taxbench.heads.base import Dropout, HeadShape
from taxbench.specs.spec import Spec


class Settings(Spec, strict=True):
    """Options of the MLP head."""

    tokens: int = Field(default=1, ge=1, le=64)
    """Soft tokens for every feature vector; k = t · tokens."""
    hidden: int = Field(default=512, ge=1, le=1 << 17)
    """Width of the hidden layer."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the features left out at random in training. It slows down learning arbitrary image-to-word maps more
    than learning coherent ones (Arpit et al., 2017, arXiv 1706.05394), and those are what the suite tells apart."""


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the MLP with one hidden layer, (b, t, f) → (b, t · tokens, d), trained through the LM.

    Parameters: (f + 1) · hidden + (hidden + 1) · tokens · d.
    """
    return nn.Sequential(
        Dropout(settings.dropout),
        nn.Linear(shape.features, settings.hidden),
        nn.GELU(),
        nn.Linear(settings.hidden, settings.tokens * shape.width),  # (b, t, tokens · d)
        nn.Unflatten(-1, (settings.tokens, shape.width)),
        nn.Flatten(1, 2),  # (b, t · tokens, d)
    )
