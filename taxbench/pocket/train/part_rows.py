"""Rows about parts, materials and manner for the LM, with negation: what WordNet says of kinds of things, both ways.

Half of the questions about a trait are put the other way round ("without a wing", "inedible"), and are answered the
other way round; and so are questions for names and hypernyms ("not a bird"). No row says anything about what the
benchmark draws (`KeptApart`): that a crow has wings has to follow from crows being birds, which the LM knows, and from
sparrows and birds having wings. A pair of a name and a hypernym that is held out is not asked here either, nor is what
is true of the name by way of that hypernym alone.
"""

from collections.abc import Iterator
from random import Random

from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.kept_apart import KeptApart
from taxbench.pocket.train.lm_batches import BatchMaker, BatchShape
from taxbench.pocket.train.lm_rows import MOST_QUESTIONS, Phrasebook, RowMaker, TrainingRow
from taxbench.pocket.train.reading_questions import Shown
from taxbench.pocket.train.traits import Trait, Traits
from taxbench.pocket.train.wordnet_parts import read_parts
from taxbench.protocol.words import with_article

_SUBJECTS = {"it": 0.4, "this": 0.2, "the thing in the picture": 0.25, "the thing shown": 0.15}
"""What a question calls the thing that it is about, with how often. Not "the thing in this image": so no question of
property tasks is ever asked here, of anything."""
_KINDS = {"part": 0.34, "material": 0.06, "manner": 0.15, "adjective": 0.25, "": 0.20}
"""Shares of the kinds of traits; the empty one stands for names and hypernyms."""
_DIRECT = ("Is {{it}} {a_term}?", "Is {{it}} a kind of {term}?")
_NEGATED = ("Is {{it}} not {a_term}?", "Is {{it}} anything but {a_term}?", "Is {{it}} no kind of {term}?")
_RELATIVES = 0.5
"""Share of the wrong traits that are a relative's."""
_CONTEXT = 12  # tokens of a context at most, so that questions fit behind it
_TRIES = 6


class PartRows(RowMaker):
    """Write random rows about traits."""

    def tell(self, traits: Traits, apart: KeptApart) -> "PartRows":
        """Say what is true of things, and which are not spoken of."""
        self._traits, self._apart = traits, apart
        return self

    def question_row(self) -> TrainingRow:
        """Write one context with as many questions as fit."""
        context, things = self._context(self._thing())
        while self._apart.are_in(context, (thing.name for thing in things)):
            context, things = self._context(self._thing())
        return self._filled(context[:_CONTEXT], self._questions(things))

    def _questions(self, things: tuple[Shown, ...]) -> Iterator[tuple[list[int], bool]]:
        """Draw questions about the things of a context, as ids, with their answers."""
        for _ in range(MOST_QUESTIONS):
            if asked := self._asked(self._random.choice(things), things):
                subject = self._random.choices([*_SUBJECTS], [*_SUBJECTS.values()])[0]
                yield self._book.encode(asked[0].format(it=subject)), asked[1]

    def _thing(self) -> Shown:
        """Draw a thing that may be spoken of."""
        shown = self._sampler.thing()
        while shown.name in self._apart.names:
            shown = self._sampler.thing()
        return shown

    def _asked(self, shown: Shown, things: tuple[Shown, ...]) -> tuple[str, bool] | None:
        """Draw a question about one of the things of a context, and its answer; None where none is found."""
        kind = self._random.choices([*_KINDS], [*_KINDS.values()])[0]
        turned = self._random.random() < 0.5
        if not kind:
            about = self._sampler.question(shown, things)
            if about is None or about.term in self._apart.names:
                return None
            name = self._corpus.names[about.term]
            text = self._random.choice(_NEGATED if turned else _DIRECT)
            return text.format(term=name, a_term=with_article(name)), about.is_yes ^ turned
        is_true = self._random.random() < 0.5
        found = self._true(shown, kind) if is_true else self._wrong(shown, things, kind)
        if found is None:
            return None
        return self._random.choice(found.reversed if turned else found.questions), is_true ^ turned

    def _true(self, shown: Shown, kind: str) -> Trait | None:
        """Draw what is true of a thing; everyday words come more often."""
        meaning = self._sampler.sense(shown.name) if shown.synset is None else shown.synset
        known, cumulative = self._traits.of(meaning, kind)
        for _ in range(_TRIES if known else 0):
            found = self._random.choices(known, cum_weights=cumulative)[0]
            if not self._traits.is_held_out(shown.name, meaning, found):
                return found
        return None

    def _wrong(self, shown: Shown, things: tuple[Shown, ...], kind: str) -> Trait | None:
        """Draw what is true of another thing and of none of these."""
        for _ in range(_TRIES):
            near = self._random.random() < _RELATIVES
            found = self._true(self._sampler.relative(shown) if near else self._sampler.thing(), kind)
            if found and all(self._traits.may_deny(each.name, found) for each in things):
                return found
        return None

    def _statement(self, shown: Shown) -> list[int]:
        """Say what a thing has, is made of or does, and now and then what it is not."""
        while True:
            shown = shown if shown.name not in self._apart.names else self._thing()
            kind = self._random.choices([*_KINDS][:-1], [*_KINDS.values()][:-1])[0]
            found = self._true(shown, kind)
            if found and self._random.random() < 0.7:
                return self._said(shown, found.statement)
            if found := self._wrong(shown, (shown,), kind):
                return self._said(shown, found.denial)
            shown = self._thing()

    def _said(self, shown: Shown, what: str) -> list[int]:
        """Return the ids of a sentence about a thing."""
        return self._book.with_article(shown.name) + self._book.encode(what)


class PartBatches(BatchMaker):
    """Batches whose rows are about traits."""

    def __init__(self, corpus: Corpus, book: Phrasebook, shape: BatchShape, seed: int) -> None:
        """Keep the facts and the sizes, and collect what is true of things (a few seconds)."""
        super().__init__(corpus, book, shape, seed)
        self._apart = KeptApart(corpus, book)
        self._traits = Traits(corpus, read_parts(corpus.nouns), self._apart.words)

    def _row_maker(self, random: Random, pool: int) -> RowMaker:
        """Return what writes the rows of a step."""
        maker = PartRows(self._corpus, self._book, random, pool, self._shape.length)
        return maker.tell(self._traits, self._apart)
