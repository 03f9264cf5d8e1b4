"""One linear map from features to soft tokens, as in LiMBeR (Merullo et al., 2023, arXiv 2209.15162)."""

from pydantic import Field
from torch import nn

from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec


class Settings(Spec, strict=True):
    """Options of the linear head."""

    tokens: int = Field(default=1, ge=1, le=64)
    """Soft tokens for every feature vector; k = t · tokens."""


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the linear map (b, t, f) → (b, t · tokens, d), trained through the LM.

    Parameters: (f + 1) · tokens · d.
    """
    return nn.Sequential(
        nn.Linear(shape.features, settings.tokens * shape.width),  # (b, t, tokens · d)
        nn.Unflatten(-1, (settings.tokens, shape.width)),
        nn.Flatten(1, 2),  # (b, t · tokens, d)
    )
