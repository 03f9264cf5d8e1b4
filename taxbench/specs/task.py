"""What a task file may say. A task is a recipe that names no dataset: evidence, re-pairing, questions, measures."""

import unicodedata
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, field_validator, model_validator

from taxbench.specs.controls import CONTROLS, FOREIGN_CONTROLS, ControlName, in_order
from taxbench.specs.language_pair import CODE, ENGLISH, LanguagePair
from taxbench.specs.property_asked import PropertyQuestions, WorldScope
from taxbench.specs.refusals import PLACEHOLDERS, Number, Whole, YesNo, refused
from taxbench.specs.spec import ADDED, Spec, content_hash

SplitName = Literal["leaf", "seen", "unseen", "heldout_leaf"]
MetricName = Literal["macro_f1", "auroc", "accuracy"]
Unit = Literal["pair", "concept"]

NAME = "[a-z][a-z0-9_]{0,99}"
"""A name of a file's task or group: it stands in file names."""
WITH_LEVEL = rf"^{NAME}(-[0-9]+(\.[0-9]+)?)?$"
_FIELD = r"^[a-z_]+(\.[a-z_]+)+$"
_NAMED = "lower-case letters, digits and underscores, a letter first, 100 at most, such as my_task"
PATTERNS = {
    f"^{NAME}$": _NAMED,
    WITH_LEVEL: _NAMED,
    _FIELD: "a field inside another one, such as deprivation.fraction",
    CODE: "the code of a language, such as de or pt_br",
}
"""What a pattern means, in words."""

IMAGE, QUESTION = "{image}", "{question}"
"""What a frame of one's own says in the place of the image and of the question."""
FRAMES = {
    "raw": ("{image}{question}", "{question}{image}"),
    "plain": ("{image}. {question}", "{question} {image}."),
    "caption": ("This is an image of {image}. {question} Answer:", "{question} This is an image of {image}. Answer:"),
    "qa": (
        "An image of {image}.\nQuestion: {question}\nAnswer:",
        "Question: {question}\nAn image of {image}.\nAnswer:",
    ),
    "chat": ("This is an image of {image}. {question}", "{question} This is an image of {image}."),
}  # fmt: skip
"""The frames that have a name, with the image first and with the question first; of `chat`, what the user says."""
# What changes no score of a run: a control adds a column beside them.
_DESCRIPTIVE = frozenset({"summary", "tags", "version", "settings", "metrics", "controls", "expected"})


class NoDeprivation(Spec):
    """Training sees leaf questions and the questions about every hypernym."""

    kind: Literal["none"]


class RandomDeprivation(Spec):
    """Training is denied a random share of the (leaf, hypernym) pairs; the test splits are the rest and that share."""

    kind: Literal["random"]
    fraction: Number = Field(gt=0, lt=1)
    """The share to deny: of pairs, or (as published) of the leaves of every hypernym."""
    unit: Unit = "pair"
    """`pair`: a leaf may lose one hypernym and keep another, and as large a share of its wrong hypernyms is denied as
    well. `concept`: a leaf drawn for any of its hypernyms loses all its hypernym questions, so that more than
    `fraction` of them is removed; less where hypernyms have few leaves, since the share of them is rounded down."""


class SystematicDeprivation(Spec):
    """Training is denied whole hypernyms."""

    kind: Literal["systematic"]
    n: Number | None = Field(default=None, gt=0)
    """How many hypernyms to remove, drawn from the seed; below 1 it is a share of them."""
    categories: tuple[str, ...] = ()
    """The hypernyms to remove, by name, instead of `n`."""
    negatives: Literal["drop", "keep"] = "drop"
    """`drop`: training never asks a removed hypernym. `keep`: it asks them where the answer is negative."""
    unit: Unit = "pair"
    """`pair`: only questions about removed hypernyms are removed. `concept` (as published): a leaf under a removed
    hypernym loses all its hypernym questions, so that the split `unseen` mixes removed and kept hypernyms."""

    @model_validator(mode="after")
    def _one_choice(self) -> "SystematicDeprivation":
        """Check that a task's systematic deprivation gives either n or categories."""
        if (self.n is None) == (not self.categories):
            raise refused("give either n, how many hypernyms to remove, or categories, their names", "n", "categories")
        if self.n is not None and self.n >= 1 and self.n != int(self.n):
            raise refused("n is a whole number of hypernyms, or a share below 1", "n")
        if len(set(self.categories)) < len(self.categories):
            raise refused("categories names a hypernym twice", "categories")
        return self


class FullDeprivation(Spec):
    """Training sees leaf questions only; every hypernym is asked for the first time at test."""

    kind: Literal["full"]


Deprivation = Annotated[
    NoDeprivation | RandomDeprivation | SystematicDeprivation | FullDeprivation, Field(discriminator="kind")
]


class NoCounterfactual(Spec):
    """Images keep their own leaves."""

    kind: Literal["none"]


class WithinCategory(Spec):
    """Leaves swap images with leaves of the same hypernyms: visual similarity inside a hypernym stays high."""

    kind: Literal["within_category"]


class AcrossCategory(Spec):
    """Leaves swap images with any other leaf: visual similarity inside a hypernym is destroyed."""

    kind: Literal["across_category"]


class SwapCategories(Spec):
    """Whole categories swap images: they stay coherent, but their names are arbitrary."""

    kind: Literal["swap_categories"]


class Graded(Spec):
    """A mixture of within_category and across_category that reaches a wanted visual similarity between theirs."""

    kind: Literal["graded"]
    similarity: Number = Field(ge=0, le=1)
    """0: as across_category; 1: as within_category; between, linear in the measured mean cosine."""


Counterfactual = Annotated[
    NoCounterfactual | WithinCategory | AcrossCategory | SwapCategories | Graded, Field(discriminator="kind")
]


def _can_be_seen(text: str) -> str:
    """Return a task's answer; raise where it is blank or has a control character."""
    if not any(each.isprintable() and not each.isspace() for each in text):
        raise refused("an answer is blank")
    if any(unicodedata.category(each) == "Cc" for each in text):
        raise refused("an answer has a line break or a control character in it")
    return text


_Answer = Annotated[
    str, AfterValidator(_can_be_seen), Field(json_schema_extra={"pattern": r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$"})
]
_Answers = Annotated[tuple[_Answer, ...], Field(min_length=1)]
_one_or_several = BeforeValidator(
    lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=_Answer | _Answers
)
AnswerSet = Annotated[_Answers, _one_or_several]


class Answers(Spec):
    """The answer strings whose probabilities are compared; those of a set add up."""

    positive: AnswerSet = ("Yes",)
    """The answers of a question whose term is true of the image; one string or a list."""
    negative: AnswerSet = ("No",)
    """The answers of a question whose term is false of the image; one string or a list."""

    @model_validator(mode="after")
    def _differ(self) -> "Answers":
        """Check that no positive answer of a task is also a negative one."""
        both = {text.strip().lower() for text in self.positive} & {text.strip().lower() for text in self.negative}
        if both:
            message = f"positive and negative answers are the same: {', '.join(sorted(both))}"
            raise refused(message, "positive", "negative")
        return self


def _known_frame(text: str) -> str:
    names = (*FRAMES, "auto")
    if text not in names and not (text.count(IMAGE) == text.count(QUESTION) == 1):
        raise refused(f"expected {', '.join(names)}, or a text in which {IMAGE} and {QUESTION} stand once each")
    return text


AnswerForm = Literal["blank", "bare", "both", "auto"]


class PromptSpec(Spec, strict=True):
    """How images and questions stand in the LM's text. A property of the run; a task gives it a default."""

    frame: Annotated[str, AfterValidator(_known_frame)] = "raw"
    """raw: the image and the question, nothing else, as published; plain, caption, qa: in a sentence, as a caption, as
    question and answer; chat: by the model's own chat template; auto: whichever tells named leaves apart best, without
    any picture; or a text with `{image}` and `{question}`."""
    answer_form: AnswerForm = "blank"
    """How answers follow: blank, after a blank; bare, without one; both, added up; auto: chosen as a frame is, and with
    it."""


RAW = PromptSpec()
"""The prompt as published: the image and the question, nothing else."""


class Questions(Spec):
    """How a (term, answer) pair becomes text, and which wrong terms are asked."""

    template: str = "Is there {a_term} in this image?"
    """The question; `{a_term}` is the term with its article, `{term}` the bare term, `{plural}` its plural."""
    answers: Answers = Answers()
    negatives: Literal["uniform", "distinct", "sibling", "fixed"] = "uniform"
    """Wrong terms: `uniform` over all, anew for every question; `distinct`, the same, but an image is asked none twice;
    `sibling`, those that share a hypernym with the right one, where there are any; `fixed`, uniform but drawn once for
    each right term and leaf."""
    negatives_per_positive: Whole = Field(default=1, ge=1, le=16)
    """How many wrong terms are asked for every true one."""
    frame: Annotated[str, AfterValidator(_known_frame), ADDED] = "raw"
    """Where the question and the image stand in the LM's text, as for `--set frame=`, which overrides it: a default of
    runs, no part of the task's identity."""
    second_image: Annotated[YesNo, ADDED] = False
    """Whether training shows another image beside the one that is asked about; the template says it is the first."""
    language: Annotated[LanguagePair, ADDED] = LanguagePair()
    """The languages that training and test ask in. `template` and `answers` are those of English; another language has
    its own, and labels for the terms (`taxbench ls languages`)."""
    articles: Literal["lexicon", "dataset"] = "lexicon"
    """Where "a", "an" and no article come from: the suite's lexicon and rule, or the dataset's own forms where it
    brings them (the published question strings of THINGS)."""

    @field_validator("template")
    @classmethod
    def _known_placeholders(cls, template: str) -> str:
        """Check that a task's question template uses known placeholders only, and at least one."""
        names = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        try:
            parts = [part for part in Formatter().parse(template) if part[1] is not None]
        except ValueError as error:
            raise refused(f"the template may use {names} only (found {error})") from None
        unknown = tuple(dict.fromkeys(name for _, name, _, _ in parts if name not in PLACEHOLDERS))
        if unknown or any(form or conversion for _, _, form, conversion in parts):
            raise refused(f"the template may use {names} only, with nothing else in the braces", unknown=unknown)
        if not parts:
            raise refused(f"the template asks nothing: use one of {names} in it")
        return template


class Metric(Spec):
    """One column of the task's table."""

    name: MetricName
    """`macro_f1`, `auroc` or `accuracy`; all three are always computed and recorded."""
    primary: YesNo = False
    """Whether it is the score that stands for the task in a group's average; one of them is."""


class PublishedFigure(Spec):
    """One published cell that a run of this task can be compared with."""

    encoder: str
    lm: str
    split: SplitName
    macro_f1: Number
    sd: Number | None = None
    """Standard deviation over the published seeds."""
    two_class: Number | None = None
    """The same without categories asked with one answer only, which is how this suite scores; compare with this."""
    chance: Number | None = None
    control: Literal["none", "random_lm"] = "none"
    """Whether the LM was the trained one or its randomly initialised twin."""
    level: Number | None = None
    """The level of the curve it belongs to."""


class Expected(Spec):
    """Published scores, to compare a run with at once. They change nothing."""

    source: str
    """Where they were published."""
    dataset: str
    figures: tuple[PublishedFigure, ...]


class Levels(Spec):
    """One task for each value of one field: a curve."""

    field: str = Field(pattern=_FIELD)
    """Which field varies, such as deprivation.fraction."""
    values: tuple[Number, ...] = Field(min_length=1)
    """Its values; the task NAME becomes NAME-0.1, NAME-0.3 and so on, and NAME a group of them."""


class TaskSpec(Spec):
    """One task, resolved."""

    model_config = ConfigDict(allow_inf_nan=False)  # in settings as well

    name: str = Field(pattern=WITH_LEVEL)
    """What users type; lower case, digits and underscores, and the level where the task is one of a curve."""
    version: Whole = Field(ge=1)
    """Raised by hand whenever the content changes; results carry `name@version#hash`."""
    summary: str
    """One sentence for `taxbench ls`."""
    tags: tuple[str, ...] = ()
    """Free labels for filtering."""
    world_scope: Annotated[WorldScope | None, ADDED] = None
    """What the answers normally take to learn; it describes, and is no part of any identity."""
    deprivation: Deprivation
    """Which hypernym evidence training is denied."""
    counterfactual: Counterfactual = NoCounterfactual(kind="none")
    """How leaves and image classes are re-paired before anything is asked."""
    heldout_leaves: Number = Field(default=0.15, ge=0.0, lt=1.0)
    """The share of leaves kept out of training altogether and scored as the split `heldout_leaf`."""
    leaks: Literal["drop", "keep"] = "drop"
    """What to do with leaves whose question would name a denied hypernym: leave them out, or (as published) train on
    them. They are listed with the result either way."""
    questions: Questions = Questions()
    property_questions: Annotated[PropertyQuestions | None, ADDED] = None
    """What is asked of a property of leaves at test, in the place of hypernyms."""
    evaluate: tuple[SplitName, ...] = Field(min_length=1)
    """The splits to score; the last one that is not `heldout_leaf` is the task's headline."""
    metrics: tuple[Metric, ...] = (Metric(name="macro_f1", primary=True), Metric(name="auroc"))
    """What the table shows."""
    controls: tuple[ControlName, ...] = Field(
        default=("chance", "random_lm"),
        description="Baselines that say what the score would be without the thing claimed. "
        + " ".join(f"`{name}`: {control.help}" for name, control in CONTROLS.items()),
    )
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Settings of the features, the trainer or the head that the task was published with, as for `--set`, which
    overrides them. They are part of a run's identity, not of the task's."""
    expected: Expected | None = None
    """Published scores to compare with."""

    @model_validator(mode="after")
    def _splits_fit_the_evidence(self) -> "TaskSpec":
        """Check that a task's splits and controls come once and that its evidence allows them."""
        if len(set(self.evaluate)) < len(self.evaluate):
            raise refused("evaluate names a split twice", "evaluate")
        if len(set(self.controls)) < len(self.controls):
            raise refused("controls names one twice", "controls")
        if self.property_questions and self.deprivation.kind != "full":
            message = "a property is asked of heads that were taught names alone; say deprivation: {kind: full}"
            raise refused(message, "property_questions", "deprivation")
        told = [name for name in self.controls if name in ("feature_probe", "name_probe")]
        if told and self.property_questions and self.property_questions.partners:
            raise refused(
                f"{told[0]} is told of one image, and two are asked", ("controls", self.controls.index(told[0]))
            )
        if self.property_questions and self.questions.language.foreign:
            raise refused("wordings of properties are in English only", "property_questions", "questions")
        if self.questions.second_image and self.questions.language.foreign:
            raise refused("questions about two images are in English only", "questions")
        unfit = [name for name in self.controls if name in FOREIGN_CONTROLS]
        if unfit and self.questions.language.test == ENGLISH:
            message = f"the control '{unfit[0]}' is of tasks that are asked in another language than English"
            raise refused(message, ("controls", self.controls.index(unfit[0])), "questions")
        impossible = {"none": "unseen", "full": "seen"}.get(self.deprivation.kind)
        if impossible in self.evaluate:
            message = f"deprivation '{self.deprivation.kind}' leaves no '{impossible}' hypernyms to evaluate"
            raise refused(message, ("evaluate", self.evaluate.index(impossible)), "deprivation")
        if "heldout_leaf" in self.evaluate and self.heldout_leaves == 0:
            message = "evaluate names 'heldout_leaf' but heldout_leaves is 0"
            raise refused(message, ("evaluate", self.evaluate.index("heldout_leaf")), "heldout_leaves")
        if set(self.evaluate) == {"heldout_leaf"}:
            message = "evaluate names 'heldout_leaf' only; name the split that stands for the task as well"
            raise refused(message, ("evaluate", 0))
        return self

    @field_validator("metrics")
    @classmethod
    def _one_primary(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        """Check that a task lists each metric once and exactly one as primary."""
        if sum(metric.primary for metric in metrics) != 1:
            raise refused("exactly one metric is primary")
        if len({metric.name for metric in metrics}) < len(metrics):
            raise refused("a metric is listed twice")
        return metrics

    def identity_fields(self) -> dict[str, Any]:
        """Return the fields that an identity goes by: all but the world scope."""
        return {name: value for name, value in super().identity_fields().items() if name != "world_scope"}

    @property
    def in_pairs(self) -> bool:
        """Say whether two images stand in one question, in training or at test."""
        asks = self.property_questions
        return self.questions.second_image or bool(asks and asks.partners)

    def as_run(self) -> "TaskSpec":
        """Return the task without what is no part of a run: published figures, and a frame that the run says itself.

        One that is asked in another language has the controls of such tasks.
        """
        questions = self.questions.model_copy(update={"frame": "raw"})
        foreign = FOREIGN_CONTROLS if self.questions.language.test != ENGLISH else set()
        controls = tuple(dict.fromkeys((*self.controls, *in_order(foreign))))
        return self.model_copy(update={"expected": None, "questions": questions, "controls": controls})

    def in_languages(self, pair: LanguagePair) -> "TaskSpec":
        """Return the task taught and asked in two languages, as a file that extends it and says so would give it."""
        if pair.is_english:
            return self
        name, dash, level = self.name.partition("-")
        questions = self.questions.model_copy(update={"language": pair})
        name = f"{name}_{str(pair).replace(':', '_')}{dash}{level}"
        return TaskSpec.model_validate({**dict(self), "name": name, "questions": questions, "expected": None})

    def as_taught(self) -> "TaskSpec":
        """Return the task with nothing in it of the language that the test is in."""
        train = self.questions.language.train
        questions = self.questions.model_copy(update={"language": LanguagePair(train=train, test=train)})
        return self.model_copy(update={"questions": questions})

    @property
    def headline(self) -> SplitName:
        """Name the split that stands for the task in a table."""
        return [split for split in self.evaluate if split != "heldout_leaf"][-1]

    @property
    def primary(self) -> MetricName:
        """Name the metric that stands for the task in a table."""
        return next(metric.name for metric in self.metrics if metric.primary)

    @property
    def digest(self) -> str:
        """Hash what changes a score: not words for people, defaults of a run, columns beside it, published scores."""
        fields, questions = self.identity_fields(), self.questions.identity_fields()
        fields["questions"] = {name: questions[name] for name in questions if name != "frame"}
        return content_hash({name: fields[name] for name in fields if name not in _DESCRIPTIVE}, 8)

    @property
    def identity(self) -> str:
        """Return `name@version#hash`, the form results carry."""
        return f"{self.name}@{self.version}#{self.digest}"
