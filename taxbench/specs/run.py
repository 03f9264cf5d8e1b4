"""The identity of one run: everything that decides its numbers."""

from typing import Literal

from pydantic import Field, JsonValue

from taxbench.specs.base import Spec, content_hash
from taxbench.specs.task import TaskSpec


class DatasetId(Spec):
    """Which pictures, leaves and hypernyms."""

    name: str
    fingerprint: str
    """Digest of image ids, contents, leaves, splits and the taxonomy."""


class EncoderId(Spec):
    """Which features."""

    name: str
    digest: str
    """Digest of the encoder's weights and configuration."""
    features: str
    """Key of the feature cache entry."""


class LMId(Spec):
    """Which frozen language model, and how it computed."""

    name: str
    digest: str
    dtype: Literal["float32", "bfloat16", "float16"]


class HeadSpec(Spec):
    """Which mapping, with its own settings resolved."""

    name: str
    settings: dict[str, JsonValue] = Field(default_factory=dict)


class TrainerSpec(Spec):
    """How a head is trained through the frozen LM."""

    epochs: int = Field(default=12, ge=1)
    """Passes over the training images; negatives and order are drawn anew in each."""
    batch_images: int = Field(default=64, ge=1)
    """Images a step; each comes with all its questions."""
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises linearly; a cosine to zero follows."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""


class RunSpec(Spec):
    """One run. Its digest names the result."""

    task: TaskSpec
    dataset: DatasetId
    encoder: EncoderId
    lm: LMId
    head: HeadSpec
    trainer: TrainerSpec
    seed: int
    device: str = "cpu"
    """The kind of device; figures may differ in the last digits between kinds."""

    @property
    def digest(self) -> str:
        """Hash every field, so that no two different runs share a name."""
        return content_hash(self, 16)
