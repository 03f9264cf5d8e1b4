"""What terms are called in a language and how they are asked, one entry a term of a vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from taxbench.protocol.questions import render_question
from taxbench.protocol.words import with_article
from taxbench.specs.language import Language
from taxbench.specs.language_pair import ENGLISH
from taxbench.specs.spec import content_hash
from taxbench.specs.task import FRAMES, Questions
from taxbench.tasks.language_files import find_language

AnswerTexts = tuple[tuple[str, ...], tuple[str, ...]]
"""The positive and the negative answers."""


@dataclass(frozen=True, slots=True, eq=False)
class TermTexts:
    """Questions about terms, answers to them, and what the terms are called, in one language."""

    questions: tuple[str, ...]  # (v,)
    names: tuple[str, ...]  # (v,) bare words
    phrases: tuple[str, ...]  # (v,) as they stand in a sentence
    known: np.ndarray  # (v,) bool: whether there is a reviewed label; without one a term is never asked
    answers: AnswerTexts
    frames: Mapping[str, tuple[str, ...]]
    """Frames by name, with the image first and, in English, with the question first."""
    language: Language | None = None
    """None: English."""

    @property
    def digest(self) -> str | None:
        """Return the digest of all that is asked of known terms; None in English, where it follows from the task."""
        if self.language is None:
            return None
        words = zip(self.questions, self.names, self.phrases, self.known.tolist(), strict=True)
        asked = [said if known else None for *said, known in words]
        nonsense = [(word.term, word.phrase) for word in self.language.nonsense]
        return content_hash([asked, self.answers, self.language.templates.presence, dict(self.frames), nonsense])

    def nonsense(self, replaced: np.ndarray) -> "TermTexts":
        """Return the same with words that do not exist in the place of some terms.  # (v,) bool"""
        assert self.language is not None
        texts, names, phrases = map(list, (self.questions, self.names, self.phrases))
        for term, word in zip(np.flatnonzero(replaced).tolist(), cycle(self.language.nonsense)):
            texts[term] = _asked(self.language, word.term, word.phrase)
            names[term], phrases[term] = word.term, word.phrase
        return replace(self, questions=tuple(texts), names=tuple(names), phrases=tuple(phrases))

    def in_either_language(self) -> "TermTexts | None":
        """Return the same whose positive answers are all words of the language for yes and no, and whose negative ones
        are the English ones; words of both are left out. None where one side has no word of its own.
        """
        own, english = ([*dict.fromkeys(positive + negative)] for positive, negative in (self.answers, _english()))
        words = tuple(word for word in own if word not in english), tuple(word for word in english if word not in own)
        return replace(self, answers=words) if all(words) else None


def texts_in(code: str, questions: Questions, terms: tuple[str, ...], forms: Mapping[str, str]) -> TermTexts:
    """Return how a task asks terms in a language.

    Args:
        code: The language.
        questions: The task's wording, which is that of English.
        forms: The dataset's own English forms with articles.

    Raises:
        UsageError: the language is unknown.
        TaskError: its file is broken.
    """
    asked = tuple(render_question(questions, term, forms) for term in terms)
    if code == ENGLISH:
        answers = questions.answers.positive, questions.answers.negative
        phrases = tuple(map(with_article, terms))
        return TermTexts(asked, terms, phrases, np.ones(len(terms), bool), answers, FRAMES)
    language = find_language(code)
    known = [language.knows(term) for term in terms]
    labels = [language.labels[term] if there else None for term, there in zip(terms, known, strict=True)]
    return TermTexts(
        tuple(
            _asked(language, each.term, each.phrase) if each else text for each, text in zip(labels, asked, strict=True)
        ),
        tuple(each.term if each else term for each, term in zip(labels, terms, strict=True)),
        tuple(each.phrase if each else with_article(term) for each, term in zip(labels, terms, strict=True)),
        np.array(known, bool),
        (language.answers.positive, language.answers.negative),
        {"raw": FRAMES["raw"], **{name: (text,) for name, text in language.frames}},
        language,
    )


def _asked(language: Language, term: str, phrase: str) -> str:
    """Return the question about a word."""
    return language.templates.presence.format(term=term, a_term=phrase)


def _english() -> AnswerTexts:
    """Return the usual English answers."""
    usual = Questions().answers
    return usual.positive, usual.negative
