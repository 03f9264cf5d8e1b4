"""The record of one finished run: `result.json`."""

from typing import Literal

from pydantic import Field, JsonValue

from taxbench.specs.base import Spec
from taxbench.specs.run import RunSpec


class Scores(Spec):
    """The scores of one split. None means: could not be computed, never zero."""

    macro_f1: float | None
    """Mean over categories of the mean of F1(Yes) and F1(No)."""
    auroc: float | None
    """Mean over categories of the area under the ROC curve; blind to a per-question bias."""
    accuracy: float | None
    """Share of all questions answered right."""
    chance_f1: float | None
    """Expected macro-F1 of a fair coin on the same questions, exact."""
    n_questions: int
    n_categories: int
    """Categories with a score."""
    n_one_class: int
    """Categories asked with one answer only: they have no score."""


class CategoryScore(Spec):
    """One asked term of one split."""

    split: str
    term: str
    f1: float | None
    auroc: float | None
    accuracy: float
    chance_f1: float | None
    n_positive: int
    n_negative: int


class Similarity(Spec):
    """Mean pairwise cosine of features inside one hypernym, before and after the re-pairing."""

    hypernym: str
    before: float | None
    after: float | None


LeakKind = Literal["exact", "lemma", "synonym"]


class Leak(Spec):
    """A leaf whose training question says a hypernym that training is denied."""

    leaf: str
    hypernym: str
    kind: LeakKind
    """`exact`: the same question; `lemma`: the same noun, but for number, spelling or "piece of"; `synonym`: WordNet
    has both for one meaning."""

    def __str__(self) -> str:
        return self.leaf if self.kind == "exact" else f"{self.leaf} ({self.kind} of {self.hypernym})"


class Evidence(Spec):
    """What training saw."""

    n_images: int
    n_leaf_questions: int
    """Leaf questions an epoch."""
    n_hypernym_questions: int
    """Hypernym questions an epoch."""
    removed_fraction: float | None
    """Share of the hypernym questions of trained leaves that the deprivation removed; None where there are none."""
    removed_hypernyms: tuple[str, ...]
    """The hypernyms that a systematic deprivation removed; of the other kinds they are none or all."""
    heldout_leaves: tuple[str, ...]
    """Leaves kept out of training altogether."""
    leaks: tuple[Leak, ...]
    """Leaves, not held out, whose training question would say a denied hypernym."""
    dropped_leaves: tuple[str, ...]
    """Those of them that were left out of training: all, unless the task keeps leaks."""
    unpictured_leaves: tuple[str, ...] = ()
    """Leaves, not held out, that have no training picture: they are neither trained nor asked."""
    fixed_points: tuple[str, ...]
    """Leaves that a re-pairing could not move."""


class VisualSimilarity(Spec):
    """Visual similarity inside hypernyms, measured on the run's own features."""

    before: float | None
    """Mean over hypernyms with the true pairing."""
    after: float | None
    """Mean over hypernyms with the pairing that was trained and tested."""
    categories: tuple[Similarity, ...]


class Versions(Spec):
    """The software that computed the numbers."""

    taxbench: str
    python: str
    torch: str
    transformers: str
    numpy: str


class Result(Spec):
    """One run's outcome. Holds no time stamps, so the same run writes the same bytes."""

    schema_version: int = 1
    digest: str
    """Digest of `run`."""
    task: str
    """`name@version#hash`."""
    dataset: str
    encoder: str
    lm: str
    head: str
    seed: int
    scores: dict[str, Scores]
    controls: dict[str, dict[str, Scores]]
    fitted: dict[str, JsonValue] = Field(default_factory=dict)
    """What the head chose by itself, on training and validation leaves only: a penalty, a layer, the epochs trained."""
    note: str = ""
    """Why a score is no better than it is, where the head itself explains it."""
    validation: Scores
    """Leaf questions on validation images; the only figures a setting may be chosen by."""
    categories: tuple[CategoryScore, ...]
    evidence: Evidence
    visual_similarity: VisualSimilarity
    predictions: str = Field(default="predictions.csv.gz")
    """The file beside this one with every question, its answer and the margin Yes − No."""
    run: RunSpec
    versions: Versions
