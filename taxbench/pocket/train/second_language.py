"""A second language for the LM: its words as tokens, and rows of questions and statements in it.

What the LM learns of it: what names are called (a name in either language before questions in the second one), and what
kinds of thing its words for hypernyms stand for, from English names before questions in the second language. Names that
the benchmark draws never stand with one of its hypernyms there, in either language, nor does any name with such a word
in it. So that a crow is a "Vogel" has to follow from crows being birds in English, and from sparrows being "Vögel".
"""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from taxbench.pocket.concepts import CONCEPT_NAMES, HYPERNYMS
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.kept_apart import KeptApart
from taxbench.pocket.train.lm_batches import BatchMaker, BatchShape
from taxbench.pocket.train.lm_rows import Phrasebook, RowMaker, TrainingRow
from taxbench.pocket.train.reading_questions import Shown
from taxbench.specs.language import Label, Language
from taxbench.util.errors import ModelError, TrainingError

_NAME_ROWS = 0.4
"""Share of the rows that ask what names are called; the others ask for hypernyms."""
_OWN_CONTEXT = 0.5
"""Share of those that say the name in the second language."""
_CONTEXT = 12  # tokens of a context at most, so that a question fits behind it
_TRIES = 40


def with_words_of(language: Language, source: Path) -> tuple[Tokenizer, list[tuple[int, int]]]:
    """Return a tokenizer for which words of a language are one token each, and which two pieces each new token joins.

    Its merges come after all others, so a text keeps its tokens but where those of such a word meet.
    """
    state = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    model = state["model"]
    own, joined = Tokenizer.from_str(json.dumps(state)), list[tuple[int, int]]()
    known = len(model["merges"])
    answers = (*language.answers.positive, *language.answers.negative)
    sentences = [language.templates.presence, language.templates.statement]
    texts = [*answers, *(text.format(term="", a_term="") for text in sentences)]
    texts += [label.phrase for label in language.labels.values()]
    words = dict.fromkeys(word.strip(".?!¿？。") for text in texts for word in text.split())
    for word in filter(None, words):
        pieces = own.encode(f" {word}", add_special_tokens=False).tokens
        for pair in model["merges"][known:]:  # the later ones come last, in their order
            pieces = _merged(pieces, *pair)
        while len(pieces) > 1:
            first, second = pieces[:2]
            model["vocab"][first + second] = len(model["vocab"])
            model["merges"].append([first, second])
            joined.append((model["vocab"][first], model["vocab"][second]))
            pieces = _merged(pieces, first, second)
    return Tokenizer.from_str(json.dumps(state)), joined


def _merged(pieces: list[str], first: str, second: str) -> list[str]:
    """Return pieces of a word with every pair of these two joined, from the left."""
    out: list[str] = []
    for piece in pieces:
        if out and out[-1] == first and piece == second:
            out[-1] = first + second
        else:
            out.append(piece)
    return out


class SecondLanguage:
    """Token ids of what is asked and said in a language, looked up once."""

    def __init__(self, language: Language, corpus: Corpus, book: Phrasebook) -> None:
        """Find which of the labels are names of the corpus, leaves and hypernyms apart.

        Raises:
            TrainingError: the language has no reviewed label for a leaf or hypernym of the benchmark.
        """
        self._language, self._book = language, book
        if missing := [name for name in (*CONCEPT_NAMES, *HYPERNYMS) if not language.knows(name)]:
            raise TrainingError(f"'{language.language}' has no reviewed label for {', '.join(missing)}.")
        reviewed = {name: label for name, label in language.labels.items() if label.reviewed and name in corpus.name_id}
        self.leaves = {corpus.name_id[name]: reviewed[name] for name in CONCEPT_NAMES if name in reviewed}
        self.hypernyms = {
            number: label
            for name, label in reviewed.items()
            if (number := corpus.name_id[name]) not in self.leaves
            and any(corpus.kinds.get(s) for s in corpus.senses[number])
        }
        self.apart = KeptApart(corpus, book)
        self.yes, self.no = (
            self._one_token(texts[0]) for texts in (language.answers.positive, language.answers.negative)
        )

    def _one_token(self, answer: str) -> int:
        """Return the token of an answer."""
        ids = self._book.encode(f" {answer}")
        if len(ids) != 1:
            raise ModelError(f"The answer '{answer}' is {len(ids)} tokens. Was the tokenizer made by with_words_of?")
        return ids[0]

    def question(self, label: Label) -> list[int]:
        """Return the ids of the question about a word."""
        return self._book.encode(self._language.templates.presence.format(term=label.term, a_term=label.phrase))

    def statement(self, label: Label) -> list[int]:
        """Return the ids of the sentence that says it is in the image."""
        return self._book.encode(self._language.templates.statement.format(term=label.term, a_term=label.phrase))

    def called(self, name: int, label: Label) -> list[int]:
        """Return the ids of the sentence that says what a name is called."""
        book = self._book
        return book.with_article(name) + book.encode(f"is called {label.phrase} in {self._language.name}")

    def said(self, label: Label) -> list[int]:
        """Return the ids of a word in the place of a picture."""
        return self._book.encode(label.term)


class SecondLanguageRows(RowMaker):
    """Write random rows in the second language."""

    def speak(self, words: SecondLanguage) -> "SecondLanguageRows":
        """Say which language it is."""
        self._words = words
        self._leaves, self._hypernyms = list(words.leaves), list(words.hypernyms)
        return self

    def question_row(self) -> TrainingRow:
        """Write one context with as many questions as fit."""
        if self._random.random() < _NAME_ROWS:
            return self._name_row()
        for _ in range(_TRIES):
            context, things = self._context(self._sampler.thing())
            if not self._words.apart.are_in(context, (thing.name for thing in things)):
                return self._kind_row(context[:_CONTEXT], things)
        return self._name_row()

    def _name_row(self) -> TrainingRow:
        """Ask a name, said in one of the languages, for itself and for others."""
        shown, words = self._random.choice(self._leaves), self._words
        own = self._random.random() < _OWN_CONTEXT
        context = words.said(words.leaves[shown]) if own else self._book.names[shown]
        if self._random.random() < 0.3:
            context = context * self._random.randint(2, 4)
        asked = []
        for _ in range(_TRIES):
            yes = self._random.random() < 0.5
            asked.append((shown, True) if yes else (self._random.choice(self._leaves), False))
        labels = [(words.leaves[name], yes) for name, yes in asked if yes or name != shown]
        return self._labelled(context[:_CONTEXT], labels)

    def _kind_row(self, context: list[int], things: tuple[Shown, ...]) -> TrainingRow:
        """Ask English names for hypernyms that are true of them, and for as many that are of none."""
        names, corpus, hypernyms = [thing.name for thing in things], self._corpus, self._hypernyms
        meant = [self._sampler.sense(thing.name) if thing.synset is None else thing.synset for thing in things]
        true = [term for synset in meant for term in hypernyms if term in corpus.true_terms[synset]]
        wrong = [term for term in hypernyms if all(corpus.is_wrong(name, term) for name in names)]
        asked = []
        for _ in range(_TRIES):
            yes = bool(true) and self._random.random() < 0.5
            if pool := true if yes else wrong:
                asked.append((self._words.hypernyms[self._random.choice(pool)], yes))
        return self._labelled(context, asked)

    def _labelled(self, context: list[int], asked: Iterable[tuple[Label, bool]]) -> TrainingRow:
        """Return a row with as many of the questions about words as fit."""
        return self._filled(context, ((self._words.question(label), yes) for label, yes in asked))

    def _statement(self, shown: Shown) -> list[int]:
        """Say what a name is called, or that something is in the image."""
        words = self._words
        if self._random.random() < 0.7:
            known = {**words.leaves, **words.hypernyms}
            name = self._random.choice(list(known))
            return words.called(name, known[name])
        return words.statement(self._random.choice([*words.leaves.values(), *words.hypernyms.values()]))


class SecondLanguageBatches(BatchMaker):
    """Batches whose rows and answers are in the second language."""

    def __init__(self, corpus: Corpus, book: Phrasebook, shape: BatchShape, seed: int, words: SecondLanguage) -> None:
        """Keep the facts, the sizes and the language."""
        super().__init__(corpus, book, shape, seed)
        self._words, self._answer_ids = words, (words.yes, words.no)

    def _row_maker(self, random: Random, pool: int) -> RowMaker:
        """Return what writes the rows of a step."""
        maker = SecondLanguageRows(self._corpus, self._book, random, pool, self._shape.length)
        return maker.speak(self._words)
