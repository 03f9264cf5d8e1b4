"""What a task file may say. A task is a recipe that names no dataset: evidence, re-pairing, questions, measures."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from taxbench.specs.base import Spec, content_hash

SplitName = Literal["leaf", "seen", "unseen", "heldout_leaf"]
ControlName = Literal["chance", "random_lm"]


class NoDeprivation(Spec):
    """Training sees leaf questions and the questions about every hypernym."""

    kind: Literal["none"]


class FullDeprivation(Spec):
    """Training sees leaf questions only; every hypernym is asked for the first time at test."""

    kind: Literal["full"]


Deprivation = Annotated[NoDeprivation | FullDeprivation, Field(discriminator="kind")]


class NoCounterfactual(Spec):
    """Images keep their own leaves."""

    kind: Literal["none"]


class WithinCategory(Spec):
    """Leaves swap images with leaves of the same hypernyms: visual similarity inside a hypernym stays high."""

    kind: Literal["within_category"]


class AcrossCategory(Spec):
    """Leaves swap images with any other leaf: visual similarity inside a hypernym is destroyed."""

    kind: Literal["across_category"]


Counterfactual = Annotated[NoCounterfactual | WithinCategory | AcrossCategory, Field(discriminator="kind")]


class Answers(Spec):
    """The answer strings whose first tokens are compared."""

    positive: str = "Yes"
    """The answer of a question whose term is true of the image."""
    negative: str = "No"
    """The answer of a question whose term is false of the image."""

    @model_validator(mode="after")
    def _differ(self) -> "Answers":
        if self.positive.strip().lower() == self.negative.strip().lower():
            raise ValueError("positive and negative answers are the same")
        return self


class Questions(Spec):
    """How a (term, answer) pair becomes text."""

    template: str = "Is there {a_term} in this image?"
    """The question; `{a_term}` is the term with its article, `{term}` the bare term."""
    answers: Answers = Answers()
    negatives_per_positive: int = Field(default=1, ge=1, le=16)
    """How many wrong terms are asked for every true one, drawn uniformly and anew for every question."""

    @field_validator("template")
    @classmethod
    def _one_placeholder(cls, template: str) -> str:
        try:
            filled = template.format(a_term="\0", term="\0")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"the template may use {{a_term}} or {{term}} only (found {error})") from None
        if "\0" not in filled:
            raise ValueError("the template asks nothing: use {a_term} or {term} in it")
        return template


class TaskSpec(Spec):
    """One task file, resolved."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """What users type; lower case, digits and underscores."""
    version: int = Field(ge=1)
    """Raised by hand whenever the content changes; results carry `name@version#hash`."""
    summary: str
    """One sentence for `taxbench ls`."""
    tags: tuple[str, ...] = ()
    """Free labels for filtering."""
    deprivation: Deprivation
    """Which hypernym evidence training is denied."""
    counterfactual: Counterfactual = NoCounterfactual(kind="none")
    """How leaves and image classes are re-paired before anything is asked."""
    heldout_leaves: float = Field(default=0.15, ge=0.0, lt=1.0)
    """The share of leaves kept out of training altogether and scored as the split `heldout_leaf`."""
    questions: Questions = Questions()
    evaluate: tuple[SplitName, ...] = Field(min_length=1)
    """The splits to score; the last one that is not `heldout_leaf` is the task's headline."""
    controls: tuple[ControlName, ...] = ("chance", "random_lm")
    """Baselines that say what the score would be without the thing claimed."""

    @model_validator(mode="after")
    def _splits_fit_the_evidence(self) -> "TaskSpec":
        impossible = "unseen" if self.deprivation.kind == "none" else "seen"
        if impossible in self.evaluate:
            raise ValueError(f"deprivation '{self.deprivation.kind}' leaves no '{impossible}' hypernyms to evaluate")
        if "heldout_leaf" in self.evaluate and self.heldout_leaves == 0:
            raise ValueError("evaluate names 'heldout_leaf' but heldout_leaves is 0")
        return self

    @property
    def headline(self) -> SplitName:
        """Name the split that stands for the task in a table."""
        return [split for split in self.evaluate if split != "heldout_leaf"][-1]

    @property
    def digest(self) -> str:
        """Hash what changes a number: everything but the words for people."""
        return content_hash(self.model_dump(mode="json", exclude={"summary", "tags", "version"}), 8)

    @property
    def identity(self) -> str:
        """Return `name@version#hash`, the form results carry."""
        return f"{self.name}@{self.version}#{self.digest}"


class GroupSpec(Spec):
    """A named list of tasks."""

    group: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    summary: str
    members: tuple[str, ...] = Field(min_length=1)
