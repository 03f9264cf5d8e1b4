"""A control: a learnt prompt, the same for every image (as in Lester et al., 2021, arXiv 2104.08691)."""

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec

SEES = "nothing"
NOTE = "control: sees no image"
CONTROL = True


class Settings(Spec, strict=True):
    """Options of the no_image control."""

    tokens: int = Field(default=1, ge=1, le=64)
    """Soft tokens, k."""


class _Prompt(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.prompt = nn.Parameter(0.02 * torch.randn(tokens, width))

    def forward(self, features: Tensor) -> Tensor:
        """Repeat the prompt for every image.  # (b, t, f) → (b, k, d)"""
        return self.prompt.expand(len(features), -1, -1)


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return (b, t, f) → (b, k, d) without a look at the features: what questions alone give away is all it can learn.

    Parameters: k · d.
    """
    return _Prompt(settings.tokens, shape.width)
