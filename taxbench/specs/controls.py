"""The controls, once and for all readers: the task schema, training, the board and its pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ControlName = Literal[
    "chance",
    "random_lm",
    "no_image",
    "shuffled_features",
    "label_oracle",
    "text_only",
    "feature_probe",
    "name_probe",
    "translated_name",
    "nonsense",
]
Variant = Literal["none", "random_lm", "shuffled_features", "no_image"]
"""What is not as the run says when a head is made: nothing, or what a control takes away; `no_image` is how a whole
system, of which nothing is trained, is shown the mean of all training images."""


@dataclass(frozen=True, slots=True)
class Control:
    """One baseline that says what a score would be without the thing claimed."""

    name: ControlName
    title: str
    """What a column is called."""
    help: str
    """What it is, as a sentence."""
    changes: Literal["lm", "features", "head", "words"] | None
    """What it puts in the place of the run's own; None: nothing is trained, its scores follow from the questions."""
    head: str = ""
    """The head that takes the place of the run's own."""
    added: bool = False
    """Whether it came after records were published, which are as good without it."""
    foreign: bool = False
    """Whether it says something only where the test is in another language than English; tasks that are have it."""

    @property
    def variant(self) -> Variant:
        """Return what is not as the run says when its head is made."""
        variants: dict[str | None, Variant] = {"lm": "random_lm", "features": "shuffled_features"}
        return variants.get(self.changes, "none")


CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("chance", "chance", "A fair coin on the same questions, exact.", None),
        Control("random_lm", "random LM", "The same head trained through the same LM with random weights.", "lm"),
        Control(
            "no_image", "no image", "Another head: a learned prompt that is the same for all images.", "head",
            head="no_image",
        ),
        Control("shuffled_features", "shuffled", "The same head, shown the features of other images.", "features"),
        Control(
            "text_only", "text only", "The LM given the tokens of the leaf's name where the image would be.", "head",
            head="text_only",
        ),
        Control(
            "label_oracle", "label oracle", "The LM given the embedding of the leaf's name in place of the image.",
            "head", head="label_oracle",
        ),
        Control(
            "feature_probe", "feature probe",
            "No LM: logistic regression from the same features to names, told the taxonomy.", "head",
            head="feature_probe", added=True,
        ),
        Control(
            "name_probe", "name probe",
            "No image: ridge regression from the LM's vectors of names, told what is true of other names.", "head",
            head="name_probe", added=True,
        ),
        Control(
            "translated_name", "translated name",
            "The LM given the leaf's name in the language of the test where the image would be.", "head",
            head="text_only", added=True, foreign=True,
        ),
        Control(
            "nonsense", "nonsense", "The same head, asked words that do not exist in the place of hypernyms.", "words",
            added=True, foreign=True,
        ),
    )
}  # fmt: skip
"""By name, in the order in which they are shown."""

FOREIGN_CONTROLS = frozenset(name for name, control in CONTROLS.items() if control.foreign)


def known_controls(used: Iterable[Iterable[str]]) -> list[Control]:
    """Return the controls to be explained beside tables: those of every task, and others that a row has."""
    there = {name for names in used for name in names}
    return [control for control in CONTROLS.values() if not control.foreign or control.name in there]


def in_order(names: Iterable[str]) -> list[str]:
    """Return controls in the order in which they are shown; unknown ones, of a newer release, follow by name."""
    given = set(names)
    return [name for name in CONTROLS if name in given] + sorted(given - CONTROLS.keys())


def control_title(name: str) -> str:
    """Return what the column of a control is called."""
    return CONTROLS[name].title if name in CONTROLS else name.replace("_", " ")


def control_help(name: str) -> str:
    """Return what a control is."""
    return CONTROLS[name].help if name in CONTROLS else "A control."
