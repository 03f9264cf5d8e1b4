"""What a language file says: how its questions and answers are worded, and what terms are called in it."""

from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, Field

from taxbench.specs.language_pair import LanguageCode
from taxbench.specs.refusals import YesNo, refused
from taxbench.specs.spec import Spec
from taxbench.specs.task import IMAGE, QUESTION, Answers, AnswerSet
from taxbench.util.text import escaped

_PLACEHOLDERS = ("a_term", "term")


def _said(text: str) -> str:
    """Return the form of a word; raise where there is nothing, or something that no sentence has in it."""
    if not text:
        raise refused("it is blank; expected a word as it stands in a sentence")
    if text != text.strip() or not text.isprintable():
        raise refused(f"'{escaped(text)}': expected a word as it stands in a sentence, without blanks around it")
    return text


def _template(text: str) -> str:
    """Return a wording; raise where it does not say the term, or says it in another way than the table has it."""
    shown = " or ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
    if not text:
        raise refused(f"it is blank; expected a sentence with {shown} in it")
    try:
        found = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        raise refused(f"'{text}' is no wording ({error}); expected {shown} in it") from None
    if not found or any(each not in [(name, "", None) for name in _PLACEHOLDERS] for each in found):
        raise refused(f"'{text}' names no term in the way the table has it: expected {shown} in it")
    return text


def _image_first(text: str) -> str:
    """Return a frame; raise where image and question do not stand in it once each, in this order."""
    if not text:
        raise refused(f"it is blank; expected a text in which {IMAGE} and then {QUESTION} stand once each")
    if not (text.count(IMAGE) == text.count(QUESTION) == 1 and text.index(IMAGE) < text.index(QUESTION)):
        raise refused(f"'{text}': expected a text in which {IMAGE} and then {QUESTION} stand once each")
    return text


Word = Annotated[str, AfterValidator(_said)]
Template = Annotated[str, AfterValidator(_template)]
ImageFirst = Annotated[str, AfterValidator(_image_first)]


class Label(Spec):
    """What one term is called."""

    term: Word
    """The bare word, in the singular where it has one."""
    a_term: Word | None = None
    """The word as it stands in the templates, with the article and the form that they call for; none: as `term`."""
    reviewed: YesNo = False
    """Whether it has been checked to be the usual word for the sense meant. What is not reviewed is never asked."""
    source: str = ""
    """Where it is from, where that is not the source of the file."""

    @property
    def phrase(self) -> str:
        """Return the word as it stands in the templates."""
        return self.a_term or self.term


class Templates(Spec):
    """Wordings, written by hand so that every label fits in as the table has it."""

    presence: Template
    """The question whether a term is in the image."""
    statement: Template
    """The sentence that says it is."""


class Frames(Spec):
    """How image and question stand in the LM's text, as in the frames of these names in English, the image first."""

    plain: ImageFirst
    caption: ImageFirst
    qa: ImageFirst
    chat: ImageFirst
    """What a user says to the LM, who is told which answers to give."""


class OwnAnswers(Answers):
    """Words for yes and no, in quotes; those of a set add up. Both are said: English ones stand in for neither."""

    positive: AnswerSet
    """Yes; one string or a list."""
    negative: AnswerSet
    """No; one string or a list."""


class Language(Spec):
    """One language other than English."""

    language: LanguageCode
    """Its code; the file is named after it."""
    name: str = Field(min_length=1)
    """What it is called in its own words."""
    source: str = Field(min_length=1)
    """Who wrote the labels and templates, or where they are from, and under which licence."""
    answers: OwnAnswers
    templates: Templates
    frames: Frames
    nonsense: tuple[Label, ...] = Field(min_length=2)
    """Words that do not exist but could. Asked in the place of hypernyms, they must score at chance."""
    labels: dict[str, Label] = Field(min_length=1)
    """What terms are called, by the English name that datasets have."""

    def knows(self, term: str) -> bool:
        """Say whether a term has a reviewed label."""
        return term in self.labels and self.labels[term].reviewed
