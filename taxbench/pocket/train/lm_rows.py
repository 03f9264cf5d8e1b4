"""Pack contexts and questions into rows, as the benchmark does, and lay a batch of rows out as arrays.

A row is `BOS | context | segment 1 | segment 2 | ...`. A segment (question or statement) sees BOS, the context and
itself; its positions restart after the context. Segment number 0 is BOS and context, -1 is padding.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from tokenizers import Tokenizer

from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.reading_questions import TRAINING_TEMPLATES, Sampler, Shown
from taxbench.pocket.train.tokenizer import BOS, EOS, NO, YES, token_id
from taxbench.protocol.words import with_article

MOST_QUESTIONS = 24
"""That are tried for a context; rows have room for fewer."""
_ADJECTIVES = ("small", "large", "old", "new", "white", "black", "red", "green", "blue", "brown", "young", "long")
_MARK = "\x00"
# Longest context in tokens; soft-token noise is drawn for these places only.
MAX_CONTEXT = 16


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One packed row before padding."""

    context: list[int]
    segments: list[list[int]]
    answers: list[bool]
    """One per question; empty for a row of statements."""


class Phrasebook:
    """Token ids of everything rows are made of, looked up once."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer) -> None:
        """Tokenise all names and fixed wordings; definitions are tokenised when they are used."""
        self._tokenizer = tokenizer
        self._encoded: dict[str, list[int]] = {}
        self.bos, self.eos = (token_id(tokenizer, token) for token in (BOS, EOS))
        self.yes, self.no = self.encode(YES)[0], self.encode(NO)[0]
        self.names = [found.ids for found in tokenizer.encode_batch(corpus.names, add_special_tokens=False)]
        articles = {"a": self.encode("a"), "an": self.encode("an")}
        self.articles: list[list[int]] = [
            articles.get(with_article(name).removesuffix(name).strip(), []) for name in corpus.names
        ]
        self._glosses = [synset.gloss for synset in corpus.nouns.synsets]
        self.templates = [self._split(template) for template in TRAINING_TEMPLATES]
        self.template_weights = list(TRAINING_TEMPLATES.values())
        self.adjectives = [self.encode(word) for word in _ADJECTIVES]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text without BOS, remembered: the same few wordings come back all the time."""
        if text not in self._encoded:
            self._encoded[text] = list(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return self._encoded[text]

    def _continue(self, text: str) -> list[int]:
        """Return the ids of a text that follows a word without a space."""
        return self.encode("x" + text)[len(self.encode("x")) :]

    def gloss(self, synset: int) -> list[int]:
        """Return the ids of a synset's definition."""
        return list(self._tokenizer.encode(self._glosses[synset], add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        """Return the text of a run of ids."""
        return str(self._tokenizer.decode(ids))

    def _split(self, template: str) -> tuple[list[int], bool, list[int]]:
        """Return the ids before the term, whether its article is said, and the ids after it."""
        says_article = "{a_term}" in template
        before, after = template.replace("{a_term}", _MARK).replace("{term}", _MARK).split(_MARK)
        return self.encode(before.strip()), says_article, self._continue(after)

    def question(self, template: int, term: int) -> list[int]:
        """Return the ids of one of the training wordings with a term filled in."""
        before, says_article, after = self.templates[template]
        return before + (self.articles[term] if says_article else []) + self.names[term] + after

    def kinds_of(self, term: int) -> list[int]:
        """Return the ids of "kinds of bird:"."""
        return self.encode("kinds of") + self.names[term] + self._continue(":")

    def join(self, names: list[int]) -> list[int]:
        """Return the ids of names with commas between them."""
        ids = list(self.names[names[0]])
        for name in names[1:]:
            ids += self._continue(",") + self.names[name]
        return ids

    def with_article(self, name: int) -> list[int]:
        """Return the ids of a name with its article."""
        return self.articles[name] + self.names[name]


class RowMaker:
    """Write random rows of at most `length` tokens."""

    def __init__(self, corpus: Corpus, book: Phrasebook, random: Random, pool: int, length: int) -> None:
        """Set up one batch's source of rows."""
        self._book, self._random, self._length = book, random, length
        self._corpus = corpus
        self._sampler = Sampler(corpus, random, pool)

    def question_row(self) -> TrainingRow:
        """Write one context with as many questions as fit."""
        context, things = self._context(self._sampler.thing())
        return self._filled(context, self._questions(things))

    def _questions(self, things: tuple[Shown, ...]) -> Iterator[tuple[list[int], bool]]:
        """Draw questions about the things of a context, as ids, with their answers."""
        for _ in range(MOST_QUESTIONS):
            asked = self._sampler.question(self._random.choice(things), things)
            if asked is not None:
                template = self._random.choices(range(len(self._book.templates)), self._book.template_weights)[0]
                yield self._book.question(template, asked.term), asked.is_yes

    def _filled(self, context: list[int], questions: Iterable[tuple[list[int], bool]]) -> TrainingRow:
        """Return a row with as many of the questions as fit."""
        room, segments, answers = self._length - 1 - len(context), list[list[int]](), list[bool]()
        for ids, is_yes in questions:
            if len(ids) > room:
                break
            room -= len(ids)
            segments.append(ids)
            answers.append(is_yes)
        return TrainingRow(context, segments, answers)

    def _context(self, shown: Shown) -> tuple[list[int], tuple[Shown, ...]]:
        """Write a context that shows a thing, most often its bare name, and return all it shows."""
        draw, book = self._random.random(), self._book
        name = shown.name
        ids = book.names[name]
        things: tuple[Shown, ...] = (shown,)
        if draw < 0.16 and len(ids) <= 3:  # what a head with several soft tokens gives
            ids = ids * self._random.randint(2, max(2, 6 // len(ids)))
        elif draw < 0.22:
            ids = book.with_article(name)
        elif draw < 0.27:
            ids = book.encode("a photo of") + book.with_article(name)
        elif draw < 0.33:
            ids = self._random.choice(book.adjectives) + ids
        elif draw < 0.40:
            synset = self._sampler.sense(name)
            ids, things = self._gloss(synset), (Shown(name, synset, shown.category),)
        elif draw < 0.50:
            things += tuple(self._sampler.thing() for _ in range(self._random.randint(1, 2)))
            ids = [token for each in things for token in book.names[each.name]]
        return ids[:MAX_CONTEXT], things

    def _gloss(self, synset: int) -> list[int]:
        """Return a piece of the definition in the name's place."""
        gloss = self._book.gloss(synset)
        start = 0 if self._random.random() < 0.7 else self._random.randrange(len(gloss))
        return gloss[start : start + self._random.randint(5, MAX_CONTEXT)]

    def statement_row(self) -> TrainingRow:
        """Write statements, one after the other, without a context."""
        room, segments = self._length - 1, []
        for _ in range(12):
            ids = [*self._statement(self._sampler.thing()), self._book.eos]
            if len(ids) <= room:
                room -= len(ids)
                segments.append(ids)
        return TrainingRow([], segments, [])

    def _statement(self, shown: Shown) -> list[int]:
        """Write one true sentence about a thing."""
        draw, book, name = self._random.random(), self._book, shown.name
        synset = self._sampler.sense(name)
        if draw < 0.5:
            stated = self._stated_categories(Shown(name, synset, shown.category))
            if stated:
                return book.with_article(name) + book.encode("is a kind of") + book.join(stated)
        if draw < 0.65:
            listed = self._listed_kinds(synset)
            if listed:
                return listed
        if draw < 0.72 and len(self._corpus.lemmas[synset]) > 1:
            other = self._random.choice([lemma for lemma in self._corpus.lemmas[synset] if lemma != name])
            return book.with_article(name) + book.encode("is also called") + book.with_article(other)
        return book.with_article(name) + book.encode("is") + book.gloss(synset)[:24]

    def _listed_kinds(self, synset: int) -> list[int]:
        """Write "kinds of bird: ..." for one of the categories above a synset; empty where none may be stated."""
        above = self._random.choice(self._corpus.ancestors[synset] or (synset,))
        term = self._random.choice(self._corpus.lemmas[above])
        if synset not in self._corpus.terms or term not in self._corpus.terms[synset].ids:
            return []
        members = [kind for kind in self._corpus.kinds.get(above, ())[:40] if not self._corpus.is_unseen(kind, term)]
        chosen = self._random.sample(members, min(4, len(members)))
        return self._book.kinds_of(term) + self._book.join(chosen) if chosen else []

    def _stated_categories(self, shown: Shown) -> list[int]:
        """Draw up to three true categories that may be stated, the nearest first."""
        drawn = {self._sampler.category(shown) for _ in range(3)}
        ordered = self._corpus.terms[shown.synset].ids if shown.synset in self._corpus.terms else ()
        return [term for term in ordered if term in drawn and not self._corpus.is_unseen(shown.name, term)]


def lay_out(rows: Sequence[TrainingRow], bos: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, segment numbers and positions of packed rows, each (rows, length)."""
    ids = np.zeros((len(rows), length), np.int64)
    segment = np.full((len(rows), length), -1, np.int64)
    position = np.zeros((len(rows), length), np.int64)
    for index, row in enumerate(rows):
        end = 1 + len(row.context)
        ids[index, :end] = [bos, *row.context]
        segment[index, :end] = 0
        position[index, :end] = np.arange(end)
        start = end
        for number, tokens in enumerate(row.segments, 1):
            stop = start + len(tokens)
            ids[index, start:stop] = tokens
            segment[index, start:stop] = number
            position[index, start:stop] = np.arange(end, end + len(tokens))
            start = stop
    return ids, segment, position


def answer_places(rows: Sequence[TrainingRow], length: int) -> list[int]:
    """Return the flat index of every question's last token, row by row."""
    places = []
    for index, row in enumerate(rows):
        end = index * length + 1 + len(row.context)
        for tokens in row.segments:
            end += len(tokens)
            places.append(end - 1)
    return places
