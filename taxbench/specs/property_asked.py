"""What a task file may say of a property that it asks in the place of hypernyms, and of what answers take to learn."""

from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from taxbench.specs.refusals import Number, Whole, refused
from taxbench.specs.spec import ADDED, Spec

WorldScope = Literal["corpora", "internet", "perception", "embodiment", "social"]
"""What learning something normally takes (Bisk et al. 2020, arXiv 2004.10151): a corpus of text, all text there is,
seeing or hearing, acting on things, or living with people."""


class PropertyQuestions(Spec):
    """What is asked at test of a property of leaves, in the place of hypernyms; training never names it."""

    column: str
    """The column of the dataset's table of properties: numbers, yes or no, or words separated by `|`."""
    wordings: tuple[str, ...] = Field(min_length=1)
    """Questions whose answer is positive where the property holds. With `values` they say `{value}`, with `references`
    `{a_reference}` or `{reference}`."""
    reversed: tuple[str, ...] = Field(min_length=1)
    """As many questions whose answer is negative there, so that nothing is gained by a liking for one answer."""
    values: tuple[str, ...] = ()
    """Of a column of words: those that are asked for. An image is asked the true ones and as many false ones."""
    references: dict[str, Annotated[Number, Field(gt=0)]] = Field(default_factory=dict)
    """Of a column of numbers: things to compare with, and their own numbers. Leaves within a quarter of one are not
    asked about it. Without references the highest third is asked against the lowest, and the middle is left out."""
    images: Annotated[Whole | None, Field(ge=1), ADDED] = None
    """How many test images of each leaf are asked, the first ones; None: all of them."""
    partners: Annotated[Whole, Field(ge=0), ADDED] = 0
    """Of a column of numbers: with how many others each image is asked together, both ways round. Wordings then ask
    of the thing in the first image whether it has more than that in the second; leaves within a quarter of each other
    are not asked about. 0: images are asked alone."""

    @model_validator(mode="after")
    def _wordings_fit(self) -> "PropertyQuestions":
        """Check that there are as many reversed wordings as others, and that each says what it is asked about."""
        both = (len(self.wordings), len(self.reversed))
        if both[0] != both[1]:
            raise refused(f"expected as many reversed wordings as others, found {both[1]} and {both[0]}", "reversed")
        if len({*self.wordings, *self.reversed}) < sum(both):
            raise refused("a wording is listed twice", "wordings")
        if self.values and self.references:
            raise refused("give values, of a column of words, or references, of one of numbers", "values", "references")
        if self.partners and (self.values or self.references):
            raise refused("two images are compared with each other; leave values and references out", "partners")
        names = ("value",) if self.values else ("a_reference", "reference") if self.references else ()
        expected = " or ".join(f"{{{name}}}" for name in names) + " in it" if names else "nothing in braces"
        for key, texts in (("wordings", self.wordings), ("reversed", self.reversed)):
            for index, text in enumerate(texts):
                try:
                    found = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
                except ValueError as error:
                    raise refused(f"'{text}' is no wording ({error})", (key, index)) from None
                if bool(found) < bool(names) or any(each not in [(name, "", None) for name in names] for each in found):
                    raise refused(f"'{text}': expected {expected}", (key, index))
        return self
