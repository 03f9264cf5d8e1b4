"""Frames: how an image and a question stand in the text that a language model reads, and how answers follow.

A base model goes on with a text, an instructed one answers its user, and the embedded one reads soft tokens right
before the question: which frame fits is a property of the language model.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from taxbench.lms.chat import SIGNS, around_in_chat
from taxbench.protocol.words import with_article
from taxbench.specs.task import FRAMES, IMAGE, QUESTION, AnswerForm, PromptSpec
from taxbench.util.errors import ModelError, UsageError

BLANKS: dict[AnswerForm, tuple[str, ...]] = {"blank": (" ",), "bare": ("",), "both": (" ", "")}


@dataclass(frozen=True, slots=True)
class Frame:
    """Text before, between and after an image and a question."""

    before: str
    between: str
    after: str
    image_first: bool = True
    blanks: tuple[str, ...] = (" ",)
    """What may stand before an answer; of several, the answer's probabilities add up."""

    @classmethod
    def parse(cls, text: str, image: str = IMAGE, question: str = QUESTION) -> "Frame":
        """Cut a text at what stands for the image and for the question, each of which is in it once."""
        first, second = sorted((image, question), key=text.index)
        before, rest = text.split(first)
        between, after = rest.split(second)
        return cls(before, between, after, first == image)

    @property
    def opening(self) -> str:
        """Return what stands before the image where the image comes first; a blank at its end goes with the image."""
        return self.before.rstrip(" ") if self.image_first else ""

    @property
    def ending(self) -> str:
        """Return what stands after the image where the question comes first."""
        return "" if self.image_first else self.after

    def around(self, question: str) -> str:
        """Return a question with what stands around it, but for opening and ending."""
        if self.image_first:
            return self.between + question + self.after
        return self.before + question + self.between.rstrip(" ")

    def said(self, name: str, phrase: str | None = None) -> str:
        """Return a name as it is said in the place of the image.

        With nothing at all around the image it is one more word before the question, and else a phrase with its
        article. Scripts without blanks between words have none here.

        Args:
            phrase: The name with its article, of a language other than English.
        """
        if not self.before + self.between + self.after:
            return name if unicodedata.east_asian_width(name[0]) == "W" else f" {name}"
        ahead, phrase = self.before if self.image_first else self.between, phrase or with_article(name)
        if ahead.endswith(" "):
            return f" {phrase}"
        return phrase[0].upper() + phrase[1:] if not ahead or ahead.endswith("\n") else phrase


def frame_of(
    prompt: PromptSpec,
    answers: tuple[tuple[str, ...], tuple[str, ...]],
    order: Literal["image_first", "question_first"],
    tokenizer: Any,
    frames: Mapping[str, tuple[str, ...]] = FRAMES,
) -> Frame:
    """Return the frame of a prompt that leaves nothing to be chosen.

    Args:
        answers: The positive and the negative ones; a chat names the first of each.
        order: What comes first; a frame of the user's own says it again.
        frames: Those of the language that is asked in.

    Raises:
        UsageError: the user's own frame has the other order.
        ModelError: it is `chat`, and the tokenizer's template is missing, fails, or does not say all once; or the
            language has no frame with the question first.
    """
    texts = frames.get(prompt.frame, (prompt.frame,) * 2)
    if len(texts) == 1 and order == "question_first":
        raise ModelError(f"The frame '{prompt.frame}' has the image first in this language. Type --set frame=raw.")
    text = texts[order == "question_first"]
    if prompt.frame == "chat":
        asked = text if frames is not FRAMES else f"{text} Answer {answers[0][0]} or {answers[1][0]}."
        frame = Frame.parse(around_in_chat(asked, tokenizer), *SIGNS.values())
    else:
        frame = Frame.parse(text)
    if frame.image_first != (order == "image_first"):
        other = "image_first" if frame.image_first else "question_first"
        raise UsageError(f"The frame '{text}' does not go with order={order}. Type --set order={other}.")
    return replace(frame, blanks=BLANKS[prompt.answer_form])
