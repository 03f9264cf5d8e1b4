"""Choose what is asked: names, true and wrong terms, and the wordings of question and context."""

from bisect import bisect_left
from dataclasses import dataclass
from random import Random

from taxbench.pocket.train.corpus import Corpus
from taxbench.protocol.words import with_article

# The benchmark's own wording. {a_term} is the term with its article, {term} the bare term.
TEMPLATE = "Is there {a_term} in this image?"
# Short wordings carry most facts per token; all of them are read at the question mark, as the benchmark's is.
TRAINING_TEMPLATES: dict[str, float] = {
    TEMPLATE: 0.40,
    "{term}?": 0.16,
    "{a_term}?": 0.12,
    "Is it {a_term}?": 0.07,
    "Is there {term} in this image?": 0.03,
    "Is this a kind of {term}?": 0.04,
    "Is there {a_term} here?": 0.04,
    "Can you see {a_term}?": 0.03,
    "Does the image show {a_term}?": 0.03,
    "Does this picture contain {a_term}?": 0.03,
    "Is there {a_term} in the photo?": 0.03,
    "Is {a_term} in the picture?": 0.02,
}
# Never trained on: they show how far the reading depends on the wording. The first two mix trained words anew.
HELDOUT_TEMPLATES = (
    "Is there {a_term} in this picture?",
    "Does this photo show {a_term}?",
    "Can you see {a_term} in this image?",
    "Do you notice any {term} there?",
)
# The everyday names come first: asking for all 40,000 names from the start slows learning badly.
_EVERYDAY_RANKS, _FALL = 500.0, -0.15
_LEAF_SHARE = 0.30
# How many wrong terms belong to a relative. The benchmark draws wrong categories from all; asking for many near misses
# instead (measured: one in two) makes the model say "no" to 41 % of the true pairs and "yes" to 3 % of the wrong ones.
_RELATIVE_LEAF, _RELATIVE_CATEGORY = 0.50, 0.15
# So many of the names come by way of a category, all categories alike, or small ones (arachnid) would hardly be met.
_BY_CATEGORY, _THAT_CATEGORY = 0.60, 0.50


@dataclass(frozen=True, slots=True)
class ReadingQuestion:
    """One yes/no question about a context."""

    term: int
    is_yes: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing a context shows: a name in any of its meanings, or in one, where a definition stands for it."""

    name: int
    synset: int | None = None
    category: int | None = None
    """The category by way of which it was drawn, if any."""


def render(template: str, term: str) -> str:
    """Fill a term into the template of a reading question."""
    return template.format(a_term=with_article(term), term=term)


class Sampler:
    """Draw names and questions from the corpus; `pool` is how many of the most everyday names are in play."""

    def __init__(self, corpus: Corpus, random: Random, pool: int) -> None:
        """Keep the random source: every draw goes through it."""
        self.corpus = corpus
        self.random = random
        self.pool = min(pool, len(corpus.ranked))
        self._ranked = corpus.ranked

    def thing(self) -> Shown:
        """Draw the thing that a question's context shows, at times by way of a category."""
        if self.random.random() < _BY_CATEGORY:
            categories = self.corpus.categories
            drawn = categories.ids[bisect_left(categories.cumulative, self.random.random())]
            members = self.corpus.kinds[drawn]
            found = members[int(len(members) * self.random.random() ** 2.5)]
            if self.corpus.rank[found] < self.pool:
                return Shown(found, category=drawn)
        return Shown(self._ranked_name())

    def _ranked_name(self) -> int:
        """Draw the name of a thing by its everyday rank; the chance falls off as (rank + 500) ** -1.15."""
        first, last = (bound**_FALL for bound in (_EVERYDAY_RANKS, _EVERYDAY_RANKS + self.pool))
        rank = int((first + self.random.random() * (last - first)) ** (1.0 / _FALL) - _EVERYDAY_RANKS)
        return int(self._ranked[min(rank, self.pool - 1)])

    def sense(self, name: int) -> int:
        """Draw one physical sense of a name by its share of use."""
        senses = self.corpus.sense_weights[name]
        if len(senses) == 1:
            return senses[0][0]
        draw = self.random.random() * sum(weight for _, weight in senses)
        for synset, weight in senses:
            draw -= weight
            if draw <= 0.0:
                return synset
        return senses[0][0]

    def category(self, shown: Shown) -> int | None:
        """Draw a term that holds for a thing, or None where it has no category; synonyms take turns."""
        meaning = self._meaning(shown)
        if shown.category in self.corpus.ancestors[meaning] and self.random.random() < _THAT_CATEGORY:
            known = self.corpus.readability(shown.category)
            return self.random.choices(list(known), list(known.values()))[0]
        terms = self.corpus.terms.get(meaning)
        if terms is None:
            return None
        return terms.ids[min(bisect_left(terms.cumulative, self.random.random()), len(terms.ids) - 1)]

    def question(self, shown: Shown, beside: tuple[Shown, ...] = ()) -> ReadingQuestion | None:
        """Draw a question about one thing in a context, `beside` others; None where no wrong term is found."""
        leaf = self.random.random() < _LEAF_SHARE
        if self.random.random() < 0.5:
            term = self._true_leaf(shown) if leaf else self._true_category(shown)
            return ReadingQuestion(term, True)
        for _ in range(6):
            wrong = self._wrong_term(shown, leaf)
            if wrong is not None and all(self._may_deny(each.name, wrong) for each in (shown, *beside)):
                return ReadingQuestion(wrong, False)
        return None

    def _meaning(self, shown: Shown) -> int:
        """Return the one meaning the context fixes, else draw one."""
        return self.sense(shown.name) if shown.synset is None else shown.synset

    def _true_leaf(self, shown: Shown) -> int:
        """Return the name itself, at times one of its synonyms."""
        if self.random.random() < 0.8:
            return shown.name
        synonym = self.random.choice(self.corpus.lemmas[self._meaning(shown)])
        return shown.name if self.corpus.is_unasked(shown.name, synonym) else synonym

    def _true_category(self, shown: Shown) -> int:
        """Draw a true category that is not held out; the name itself where there is none."""
        for _ in range(4):
            term = self.category(shown)
            if term is not None and not self.corpus.is_unasked(shown.name, term):
                return term
        return shown.name

    def _wrong_term(self, shown: Shown, leaf: bool) -> int | None:
        """Draw a leaf or category of another thing, often a relative; it may still turn out true."""
        near = self.random.random() < (_RELATIVE_LEAF if leaf else _RELATIVE_CATEGORY)
        other = self.relative(shown) if near else self.thing()
        return other.name if leaf else self.category(other)

    def relative(self, shown: Shown) -> Shown:
        """Draw a thing that shares one of the categories with this one, mostly an everyday one."""
        above = self.corpus.ancestors[self._meaning(shown)]
        members = self.corpus.kinds.get(above[int(len(above) * self.random.random() ** 1.5)], ()) if above else ()
        return Shown(members[int(len(members) * self.random.random() ** 2)]) if members else self.thing()

    def _may_deny(self, name: int, term: int) -> bool:
        """Tell whether "no" is right for every meaning and the pair is not among the wrong ones held out."""
        return self.corpus.is_wrong(name, term) and not self.corpus.is_unasked_wrong(name, term)
