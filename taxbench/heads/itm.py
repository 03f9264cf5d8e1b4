"""Image-text matching read off the LM's state, as in FLAVA (Singh et al., 2022, arXiv 2112.04482) and BLIP-2.

There the multimodal encoder under the matching head is trained as well; here it is the frozen LM.
"""

from pydantic import Field
from torch import nn

from taxbench.heads import linear
from taxbench.heads.base import HeadShape
from taxbench.specs.spec import Spec

READS = "state"


class Settings(Spec, strict=True):
    """Options of the image-text matching head."""

    tokens: int = Field(default=1, ge=1, le=64)
    """Soft tokens for every feature vector; k = t · tokens."""


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return FLAVA's linear map (b, t, f) → (b, t · tokens, d), trained on whether the question's answer is yes.

    Parameters: (f + 1) · tokens · d, and d + 1 for the reading of the state (`StateHead`).
    """
    return linear.build(shape, linear.Settings(tokens=settings.tokens))
