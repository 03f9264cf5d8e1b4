"""The identity of one run: everything that decides its numbers."""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from taxbench.specs.controls import Variant
from taxbench.specs.feature_key import FeatureOptions
from taxbench.specs.spec import ADDED, Spec, content_hash, identity_of
from taxbench.specs.task import RAW, PromptSpec, TaskSpec

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{1,128}(-random-[0-9]{1,20})?$")]
"""Hexadecimal digits, and the seed where weights are random."""


class DatasetId(Spec):
    """Which pictures, leaves and hypernyms."""

    name: str
    fingerprint: Digest
    """Digest of image ids, contents, leaves, splits and the taxonomy."""
    limit: Annotated[int | None, ADDED] = None
    """How many images of each leaf and split were used, for a first look; null: all."""
    properties: Annotated[str | None, Field(pattern=r"^[0-9a-f]{16}$"), ADDED] = None
    """Digest of the column that a property task asks; null: none is asked."""

    @property
    def label(self) -> str:
        """Return the dataset's name as tables have it, marked where only some of its images were used."""
        return self.name if self.limit is None else f"{self.name} (first {self.limit})"


class EncoderId(Spec):
    """Which features."""

    name: str
    digest: str = Field(pattern=r"^[A-Za-z0-9_.+:-]{1,128}$")
    """Digest of the encoder's weights and configuration."""
    features: Digest
    """Key of the feature cache entry."""
    options: FeatureOptions | None = FeatureOptions()
    """Which of the encoder's features they are; null: imported ones, which say no more."""

    @property
    def reading(self) -> str:
        """Say the features in words: pooled, tokens or gridK, and the layer where it is not the last; or `imported`."""
        return "imported" if self.options is None else self.options.reading

    def identity_fields(self) -> dict[str, Any]:
        """Return the options in words, as published records had them; `features` tells how they are stored."""
        fields = super().identity_fields()
        del fields["options"]
        return fields | {"reading": self.reading}


class LanguageId(Spec):
    """What a run that is not in English alone was taught and asked, in words."""

    taught: Digest | None = None
    """Digest of the questions and answers of training; null: English ones, which follow from the task."""
    asked: Digest | None = None
    """Digest of the questions and answers of the test, and of the words of nonsense; null: English ones."""
    prompt: PromptSpec
    """How the questions of the test are put: chosen anew in their language, where it is not that of training."""


class LMId(Spec):
    """Which frozen language model, and how it computed."""

    name: str
    digest: Digest
    dtype: Literal["float32", "bfloat16", "float16"]


class HeadSpec(Spec):
    """Which mapping, with its own settings resolved."""

    name: str
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    source: str = Field(default="", pattern=r"^([0-9a-f]{16})?$")
    """Digest of its code, where another package offers it."""


class TrainerSpec(Spec, strict=True):
    """How a head is trained through the frozen LM."""

    epochs: int = Field(default=4, ge=1)
    """Passes over the training images; negatives and order are drawn anew in each."""
    batch_images: int = Field(default=16, ge=1)
    """Images a step; each comes with all its questions."""
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    """AdamW's highest step size."""
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """AdamW's decay of the weights."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """AdamW's memory of squared gradients. At 0.999, a training of a few hundred steps goes by the size of its first
    ones, and rounding alone decided where heads ended up."""
    warmup: float = Field(default=0.2, ge=0, lt=1)
    """Share of the steps in which the learning rate rises linearly; a cosine to zero follows."""
    clip: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Largest norm of the gradient."""
    loss: Literal["answer", "full_text"] = "answer"
    """answer: the cross-entropy between the two answers; full_text: of every token of question and answer."""
    order: Literal["image_first", "question_first"] = "image_first"
    """What stands first in the LM's row, the image or the question; with the question first, its part is computed once
    for all images."""
    patience: int = Field(default=0, ge=0)
    """Stop when the loss on validation questions about leaves has not fallen for so many epochs, and keep the best
    weights; 0: train to the end."""


class ScoringSpec(Spec, strict=True):
    """How margins become answers."""

    calibration: Literal["none", "contextual", "pmi", "batch"] = "none"
    """What is taken off every margin log p(Yes) − log p(No): none; contextual: the mean margin of all questions about
    an empty image (Zhao et al., 2021, arXiv 2102.09690); pmi: that of the same question (Holtzman et al., 2021, arXiv
    2104.08315); batch: the mean margin of the split (Zhou et al., 2024, arXiv 2309.17249). The margins of heads that
    read names, or compare label vectors, know no empty image; contextual and pmi leave them as they are."""


class RunSpec(Spec):
    """One run. Its digest names the result."""

    task: TaskSpec
    dataset: DatasetId
    encoder: EncoderId
    lm: LMId
    head: HeadSpec
    trainer: TrainerSpec
    scoring: ScoringSpec = ScoringSpec()
    prompt: Annotated[PromptSpec, ADDED] = RAW
    language: Annotated[LanguageId | None, ADDED] = None
    """Null: training and test are in English."""
    seed: int = Field(ge=0)
    device: str = Field(default="cpu", pattern=r"^[a-z]{2,16}$")
    """The kind of device, such as cpu or cuda; scores may differ in the last digits between kinds."""

    @cached_property
    def digest(self) -> str:
        """Hash every field, so that no two different runs share a name."""
        return content_hash(self, 16)


# The parts of a task that decide what a head is trained on; the others decide what it is asked afterwards.
TRAINING_FIELDS = frozenset({"deprivation", "counterfactual", "heldout_leaves", "leaks", "questions"})


class HeadKey(Spec):
    """The identity of one trained head: everything that decides its weights, and not what it is asked later."""

    training: dict[str, JsonValue]
    """The task's `TRAINING_FIELDS`; tasks that agree on them share heads."""
    dataset: DatasetId
    encoder: EncoderId | None
    """None where the head sees no features."""
    lm: LMId
    variant: Variant
    head: HeadSpec
    trainer: TrainerSpec
    prompt: Annotated[PromptSpec, ADDED] = RAW
    language: Annotated[Digest | None, ADDED] = None
    """Of the words of training, where they are not English."""
    seed: int
    device: str
    code: str
    """The versions that compute, `NUMERICS` among them, and the threads: another build may add up in another order."""

    @cached_property
    def digest(self) -> str:
        """Return the digest of the head's key, which names its file in the cache."""
        return content_hash(self, 20)


def head_key(run: RunSpec, variant: Variant, head: HeadSpec, code: str, sees_features: bool = True) -> HeadKey:
    """Return the key of a run's own head, or of the head that a control makes; encoders share one without features."""
    shared = {name: getattr(run, name) for name in RunSpec.model_fields if name not in ("task", "scoring", "head")}
    training = {name: part for name, part in identity_of(run.task.as_taught()).items() if name in TRAINING_FIELDS}
    shared["language"] = run.language and run.language.taught
    shared["dataset"] = run.dataset.model_copy(update={"properties": None})  # training never asks one
    # A graded re-pairing follows the features, and with it what any head is trained on and told.
    shared["encoder"] = run.encoder if sees_features or run.task.counterfactual.kind == "graded" else None
    return HeadKey(training=training, variant=variant, head=head, code=code, **shared)
