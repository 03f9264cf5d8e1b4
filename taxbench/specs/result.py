"""The record of one finished run: `result.json`."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator

from taxbench.specs.prompt_view import PromptView
from taxbench.specs.run import RunSpec
from taxbench.specs.spec import Spec

SCHEMA_VERSION: Literal[3] = 3

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


WEAK_LM = 0.65
"""An LM whose AUROC on named leaves is lower can show no transfer: it hardly tells the names themselves apart."""


class Scores(Spec):
    """The scores of one split. None means: could not be computed, never zero."""

    macro_f1: Share | None
    """Mean over categories of the mean of F1(Yes) and F1(No)."""
    auroc: Share | None
    """Mean over categories of the area under the ROC curve; blind to a per-question bias."""
    accuracy: Share | None
    """Share of all questions answered right."""
    chance_f1: Share | None
    """Expected macro-F1 of a fair coin on the same questions, exact."""
    fitted_f1: Share | None = None
    """Macro-F1 at the threshold that suits leaf questions about validation images best; None: none was fitted."""
    n_questions: Count
    n_categories: Count
    """Categories with a score."""
    n_one_class: Count
    """Categories asked with one answer only: they have no score."""


class CategoryScore(Spec):
    """One asked term of one split."""

    split: str
    term: str
    f1: Share | None
    auroc: Share | None
    accuracy: Share
    chance_f1: Share | None
    fitted_f1: Share | None = None
    """F1 at the fitted threshold."""
    n_positive: Count
    n_negative: Count
    controls: dict[str, Share | None] = Field(default_factory=dict)
    """F1 of the same term under each control but chance."""


class Similarity(Spec):
    """Mean pairwise cosine of features inside one hypernym, before and after the re-pairing."""

    hypernym: str
    before: Cosine | None
    after: Cosine | None


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

    n_images: Count
    n_leaf_questions: Count
    """Leaf questions an epoch."""
    n_hypernym_questions: Count
    """Hypernym questions an epoch."""
    removed_fraction: Share | None
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
    unasked_leaves: tuple[str, ...] = ()
    """Leaves whose name says a word of a property task's questions, which they are not asked."""
    seen_images: Count = 0
    """Test images that are, byte for byte, images of training."""
    fixed_points: tuple[str, ...]
    """Leaves that a re-pairing could not move."""


class VisualSimilarity(Spec):
    """Visual similarity inside hypernyms, measured on the run's own features."""

    before: Cosine | None
    """Mean over hypernyms with the true pairing."""
    after: Cosine | None
    """Mean over hypernyms with the pairing that was trained and tested."""
    categories: tuple[Similarity, ...]

    @field_validator("categories")
    @classmethod
    def _each_once(cls, categories: tuple[Similarity, ...]) -> tuple[Similarity, ...]:
        """Check that a result lists the visual similarity of each hypernym once."""
        if len({row.hypernym for row in categories}) < len(categories):
            raise ValueError("a hypernym is listed twice")
        return categories


class Versions(Spec):
    """The software that computed the numbers."""

    taxbench: str
    """The release."""
    numerics: str
    """The revision of the code that computes numbers (`taxbench/_version.py`); releases may share it."""
    python: str
    torch: str
    transformers: str
    numpy: str
    scipy: str | None = None
    scikit_learn: str | None = None
    tokenizers: str | None = None
    pillow: str | None = None
    """The version that drew or decoded the pictures."""

    @property
    def computing(self) -> dict[str, str | None]:
        """Return the versions that belong to the identity of what they computed; the others are for people."""
        return {name: getattr(self, name) for name in ("numerics", "torch", "transformers", "tokenizers", "numpy")}


class Code(Spec):
    """Where the code came from."""

    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40,64}$")
    """The commit of the checkout, or of the repository that was installed from; None where neither is known."""
    dirty: bool | None = None
    """Whether files of the package or its tasks differed from that commit."""
    threads: int | None = None
    """How many a training used; with their number sums are added up in another order."""


class PredictionsFile(Spec):
    """The file beside a record with every test question, its answer and the margins Yes − No."""

    file: Literal["predictions.npz"] = "predictions.npz"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the file."""
    questions: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of what was asked and what is true: all runs of one task, dataset and seed have the same."""
    n_questions: int = Field(ge=1)


class Result(PromptView, Spec):
    """One run's outcome. Holds no time stamps, so the same run writes the same bytes."""

    schema_version: Literal[3] = SCHEMA_VERSION
    """Raised whenever the form changes; `results/migrations.py` brings older records up to it."""
    run: RunSpec
    """What was run; the names, the seed and the digest of a record follow from it."""
    note: str = ""
    """Why a score is no better than it is, where the head itself explains it."""
    is_control: bool
    """Whether the head is a control; the head may not be installed where the record is read."""
    scores: dict[str, Scores]
    """By split."""
    controls: dict[str, dict[str, Scores]]
    """By control, then by split."""
    fitted: dict[str, JsonValue] = Field(default_factory=dict)
    """What the head chose by itself, on training and validation leaves only: a penalty, a layer, the epochs trained."""
    thresholds: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    """The margin above which an answer is Yes for `fitted_f1`, of the run's own head (`none`) and of its controls."""
    answer_language: dict[str, Share] = Field(default_factory=dict)
    """By split, of a test in another language than English: the mean probability of its own words for yes and no
    against those of English, where they differ."""
    unlabelled_terms: tuple[str, ...] = ()
    """Terms without a reviewed label in the languages of training and test: they are not trained, or not asked."""
    name_auroc: Share | None = None
    """How well the LM, asked in this prompt, tells a leaf's name from others that are said in place of the image; None:
    it was not asked."""
    validation: Scores
    """Leaf questions on validation images; the only scores a setting may be chosen by."""
    categories: tuple[CategoryScore, ...]
    """Term by term."""
    evidence: Evidence
    visual_similarity: VisualSimilarity
    predictions: PredictionsFile | None
    """None: a record of an older form whose predictions cannot be read any more."""
    versions: Versions
    code: Code = Code()

    @property
    def digest(self) -> str:
        """Return the digest of the run."""
        return self.run.digest

    @property
    def task(self) -> str:
        """Return the task as `name@version#hash`."""
        return self.run.task.identity

    @property
    def dataset(self) -> str:
        """Return the name of the dataset."""
        return self.run.dataset.name

    @property
    def encoder(self) -> str:
        """Return the name of the encoder."""
        return self.run.encoder.name

    @property
    def lm(self) -> str:
        """Return the name of the language model."""
        return self.run.lm.name

    @property
    def head(self) -> str:
        """Return the name of the head."""
        return self.run.head.name

    @property
    def seed(self) -> int:
        """Return the seed."""
        return self.run.seed


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema of `result.json`, of the present form."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Result of a taxbench run"}
    return Result.model_json_schema(mode="serialization") | about
