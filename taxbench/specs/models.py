"""What the registries say about encoders and language models."""

from typing import Literal

from pydantic import Field

from taxbench.specs.base import Spec


class EncoderSpec(Spec):
    """Where an image encoder lives and how its features are read off."""

    name: str
    source: str
    """A Hugging Face id, a local directory in Hugging Face format, or `pocket`."""
    summary: str = ""
    tower: Literal["whole", "vision_model"] = "whole"
    """The part of the model that reads images: all of it, or the vision tower of a two-tower model."""
    prefix_tokens: int | None = Field(default=None, ge=0)
    """Leading tokens that are no patches (CLS, registers); None: found from the patch grid's size."""
    pooled: Literal["mean", "cls", "pooler"] = "mean"
    """What the single pooled vector is: mean over patches, the first token, or the model's own pooler."""
    gated: bool = False
    """Whether its licence must be accepted on the hub first."""


class LMSpec(Spec):
    """Where a causal language model lives."""

    name: str
    source: str
    """A Hugging Face id, a local directory in Hugging Face format, or `pocket`."""
    summary: str = ""
    gated: bool = False
    """Whether its licence must be accepted on the hub first."""
