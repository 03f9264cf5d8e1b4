"""One linear map from one vector to k soft tokens, as in Frozen (Tsimpoukelli et al., 2021, arXiv 2106.13884)."""

from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec


class Settings(Spec, strict=True):
    """Options of the linear_k head."""

    tokens: int = Field(default=2, ge=1, le=64)
    """Soft tokens for an image, k, however many feature vectors it has. Two were best in Frozen."""


class _Mean(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        """Average the feature vectors of an image.  # (b, t, f) → (b, f)"""
        return features.mean(1)


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the map of an image's mean feature vector, (b, t, f) → (b, k, d), trained through the LM.

    Parameters: (f + 1) · k · d.
    """
    return nn.Sequential(
        _Mean(),
        nn.Linear(shape.features, settings.tokens * shape.width),  # (b, k · d)
        nn.Unflatten(-1, (settings.tokens, shape.width)),  # (b, k, d)
    )
