"""What WordNet says of the kinds of physical things beside their names: parts, materials, manner, and a few adjectives.

A trait belongs to some categories, its holders, and is true of everything below them. Sources, all of them WordNet's:

- **parts**: part meronyms, those of parts as well (a face is part of a head, a head of an animal), and what a part is a
  kind of where its name says so (a car wheel is a wheel); adjectives defined by a part ("wingless", lacking wings);
- **materials**: substance meronyms, what a definition says a thing is made of, and adjectives such as "wooden";
- **manner**: what the definition of a category says of it ("a vehicle that can fly");
- **adjectives** whose definition is of a category as a whole (`_ADJECTIVES`).

WordNet does not list what things are not, so each kind has its own rule for what may be denied, of all meanings of a
name. A part or a material, where no near relative has it and no definition above the thing mentions it; a material,
of things of which WordNet names another. Manner, of other kinds of what the category is a kind of, since that is what
a definition tells it from: watercraft do not fly, but of birds "a vehicle that can fly" says nothing. An adjective, of
the categories beside it where no definition says it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.wordnet_parts import Parts
from taxbench.protocol.words import plural, with_article

_BROAD = 1200
"""Categories with more kinds than this do not make relatives near: below it are mammals and birds, above it animals."""
_FALL = -0.3  # of the chance of what is true of many kinds of things
_NEAREST = 2  # how many of the synsets above a category count as what it is a kind of
_MADE_OF = re.compile(
    r"\bmade (?:\w+ )?(?:of|from|out of) ([a-z]+(?:(?:,|,? or|,? and) [a-z]+)*)"
    r"(?=$|[;,.)]| (?:and|by|for|in|on|or|that|used|which|with)\b)"
)
_MATTER = ("matter.n.03", "fabric.n.01")  # what a thing may be made of
_MANNER = re.compile(
    r"\b(?:that|having|with|used (?:for|to|as|in|by)|made of|characterized by|capable of|covered with|consisting of"
    r"|designed (?:for|to)) [^;,():]+(?=[;,]|$)"
)
_LONGEST = 9  # words of what a definition says, so that a question fits into a row
# Adjectives, those of the opposite, and the categories that they are of and not of. Their definitions in WordNet:
# possessing life, endowed with animal life - not endowed with life, deprived of life; suitable for use as food - not
# suitable for food; not of natural origin, contrived by art - existing in or produced by nature.
_ADJECTIVES = (
    (("alive", "living", "animate"), ("lifeless", "inanimate", "nonliving"),
     ("living_thing.n.01",), ("artifact.n.01", "natural_object.n.01")),
    (("edible", "eatable", "comestible"), ("inedible", "uneatable"),
     ("food.n.01", "food.n.02"), ("artifact.n.01", "living_thing.n.01", "natural_object.n.01")),
    (("man-made", "artificial"), ("natural",), ("artifact.n.01",), ("living_thing.n.01", "natural_object.n.01")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Trait:
    """Something that WordNet says of some categories. Questions have `{it}` for the thing asked about."""

    kind: str
    """part, material, manner or adjective."""
    questions: tuple[str, ...]
    """Yes where it is true."""
    reversed: tuple[str, ...]
    """No where it is true."""
    statement: str
    """What follows the name of a thing of which it is true."""
    denial: str
    """What follows the name of a thing of which it is not."""
    weight: float
    """How everyday its words are."""
    holders: frozenset[int]
    above: frozenset[int]
    """What is above a holder: of "vertebrate" wings are not denied, since birds have them."""
    near: frozenset[int]
    """Categories of which it is not denied, since some of their kinds have it."""
    among: frozenset[int]
    """Categories below which it may be denied; empty: anything."""
    words: frozenset[str]
    """Of a definition that speaks of it, which leaves open whether a thing has it."""


class Traits:
    """All traits of a corpus, by what they are true of."""

    def __init__(self, corpus: Corpus, parts: Parts, unsaid: frozenset[str] = frozenset()) -> None:
        """Collect them.

        Args:
            corpus: The nouns.
            parts: The meronyms between them.
            unsaid: Words that no trait may say.
        """
        self._corpus, self._parts, self._unsaid = corpus, parts, unsaid
        self._chains = [frozenset((index, *above)) for index, above in enumerate(corpus.ancestors)]
        self._sizes = defaultdict[int, int](int)
        for synset in corpus.physical:
            for above in self._chains[synset]:
                self._sizes[above] += 1
        found = [*self._had("part"), *self._had("material"), *self._manner(), *self._adjectives()]
        self.all = [trait for trait in found if not self._says_unsaid(trait)]
        self._kept_told = dict[int, frozenset[str]]()
        self._kept = dict[tuple[int, str], tuple[list[Trait], list[float]]]()
        self._of = defaultdict[str, dict[int, list[Trait]]](dict)
        for trait in self.all:
            for holder in trait.holders:
                self._of[trait.kind].setdefault(holder, []).append(trait)

    def _says_unsaid(self, trait: Trait) -> bool:
        """Tell whether the words of a trait are among those that may not be said."""
        said = " ".join((*trait.questions, *trait.reversed, trait.statement))
        return not self._unsaid.isdisjoint(re.findall(r"\w+", said))

    def of(self, synset: int, kind: str) -> tuple[list[Trait], list[float]]:
        """Return the traits of a thing, and the running sums of their weights."""
        if (synset, kind) not in self._kept:
            chain = (synset, *self._corpus.ancestors[synset])
            found = dict.fromkeys(trait for above in chain for trait in self._of[kind].get(above, ()))
            self._kept[synset, kind] = [*found], [*accumulate(trait.weight for trait in found)]
        return self._kept[synset, kind]

    def is_held_out(self, name: int, synset: int, trait: Trait) -> bool:
        """Tell whether a thing has a trait by way of categories alone that its name is never asked about."""
        return all(
            any(self._corpus.is_unasked(name, term) for term in self._corpus.lemmas[holder])
            for holder in trait.holders & self._chains[synset]
        )

    def may_deny(self, name: int, trait: Trait) -> bool:
        """Tell whether a trait is not true of any meaning of a name, by the rule of its kind."""
        meanings = self._corpus.senses[name]
        if trait.among and all(trait.among.isdisjoint(self._chains[synset]) for synset in meanings):
            return False
        return not any(
            synset in trait.above
            or not trait.holders.isdisjoint(self._chains[synset])
            or not trait.near.isdisjoint(self._chains[synset])
            or (trait.words and not trait.words.isdisjoint(self._told(synset)))
            for synset in meanings
        )

    def _above(self, holders: frozenset[int]) -> frozenset[int]:
        """Return synsets and everything above them."""
        return frozenset[int]().union(*(self._chains[synset] for synset in holders))

    def _told(self, synset: int) -> frozenset[str]:
        """Return the words of the definitions of a thing and of everything above it."""
        if synset not in self._kept_told:
            told = self._chains[synset] - self._corpus.empty
            glosses = (self._corpus.nouns.synsets[above].gloss for above in told)
            self._kept_told[synset] = frozenset(
                word for gloss in glosses for word in re.findall(r"[a-z]+", gloss.lower())
            )
        return self._kept_told[synset]

    def _had(self, kind: str) -> Iterator[Trait]:
        """Yield parts or materials: one for each name of what is had, of everything that has it."""
        wholes = defaultdict[int, set[int]](set)
        for whole, had in (self._parts.parts if kind == "part" else self._parts.substances).items():
            for one in had:
                wholes[one].add(whole)
        for whole, material in self._made_of() if kind == "material" else ():
            wholes[material].add(whole)
        among = frozenset[int]().union(*wholes.values()) if kind == "material" else frozenset[int]()
        holders, weights = defaultdict[int, set[int]](set), dict[int, float]()
        for one in [*wholes]:
            found = _wholes(one, wholes) & self._corpus.physical - self._corpus.empty
            for named in (one, *self._named_alike(one)):
                for name, weight in self._corpus.readability(named).items():
                    holders[name] |= {holder for holder in found if name not in self._corpus.true_terms[holder]}
                    weights[name] = max(weight, weights.get(name, 0.0))
        for name, having in sorted(holders.items()):
            if having:
                yield self._named(kind, self._corpus.names[name], weights[name], frozenset(having), among)

    def _made_of(self) -> Iterator[tuple[int, int]]:
        """Yield things whose definition says what they are made of, with the material."""
        corpus, matter = self._corpus, {*map(self._corpus.nouns.position, _MATTER)}
        for synset in sorted(corpus.physical):
            for found in _MADE_OF.finditer(corpus.nouns.synsets[synset].gloss):
                for word in re.findall(r"\w+", found[1]):
                    meanings = corpus.sense_weights[corpus.name_id[word]] if word in corpus.name_id else ()
                    fit = [(share, meaning) for meaning, share in meanings if matter & self._chains[meaning]]
                    if fit:
                        yield synset, max(fit)[1]

    def _rarity(self, holders: frozenset[int]) -> float:
        """Return a factor by which what is true of fewer kinds of things comes more often."""
        return float(sum(self._sizes[holder] for holder in holders) ** _FALL)

    def _named_alike(self, part: int) -> Iterator[int]:
        """Yield what a part is a kind of by the last word of its own name."""
        last = {self._corpus.names[name].split()[-1] for name in self._corpus.lemmas[part]}
        for above in self._corpus.ancestors[part]:
            if any(self._corpus.names[name] in last for name in self._corpus.lemmas[above]):
                yield above

    def _named(self, kind: str, name: str, weight: float, holders: frozenset[int], among: frozenset[int]) -> Trait:
        """Return the trait of having a part or a material."""
        a_name, relation = with_article(name), "has" if kind == "part" else "of"
        having, lacking = self._by_noun.get((name, relation), ()), self._by_noun.get((name, "lacks"), ())
        if kind == "part":
            direct = (f"Does {{it}} have {a_name}?", f"Has {{it}} {a_name}?", f"Is there {a_name} on {{it}}?")
            against = (f"Does {{it}} lack {a_name}?", f"Is {{it}} without {a_name}?", f"Has {{it}} no {name}?")
            told, denied = f"has {a_name}", f"has no {name}"
        else:
            direct = (f"Is {{it}} made of {name}?", f"Is there {name} in {{it}}?", f"Does {{it}} contain {name}?")
            against = (f"Is {{it}} free of {name}?", f"Is {{it}} without {name}?", f"Is there no {name} in {{it}}?")
            told, denied = f"is made of {name}", f"is not made of {name}"
        return Trait(
            kind,
            direct + tuple(f"Is {{it}} {word}?" for word in having),
            against + tuple(f"Is {{it}} {word}?" for word in lacking),
            told,
            denied,
            weight * self._rarity(holders),
            holders,
            self._above(holders),
            frozenset(above for above in self._above(holders) if self._sizes[above] <= _BROAD),
            among,
            frozenset((*name.split(), plural(name))),
        )

    @cached_property
    def _by_noun(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Adjectives by the noun that they are of, in the singular, and how they are of it."""
        found = defaultdict[tuple[str, str], list[str]](list)
        for word, relation, noun in self._parts.adjectives:
            singular = next((name for name in _singulars(noun) if plural(name) == noun), noun)
            found[singular, relation].append(word)
        return {key: tuple(dict.fromkeys(words)) for key, words in found.items()}

    def _manner(self) -> Iterator[Trait]:
        """Yield what the definitions of categories say of them after "that", "having" and their like."""
        corpus = self._corpus
        for category in corpus.categories.ids:
            said = _MANNER.search(corpus.nouns.synsets[category].gloss)
            if not said or len(said[0].split()) > _LONGEST:
                continue
            piece = said[0].strip()
            yield Trait(
                "manner",
                (f"Is {{it}} something {piece}?",),
                (f"Is {{it}} not something {piece}?",),
                f"is something {piece}",
                f"is not something {piece}",
                self._rarity(frozenset((category,))),
                frozenset((category,)),
                self._chains[category],
                frozenset(),
                frozenset(corpus.ancestors[category][:_NEAREST]),
                frozenset(),
            )

    def _adjectives(self) -> Iterator[Trait]:
        """Yield what is true of a category as a whole."""
        position = self._corpus.nouns.position
        for words, opposites, holders, others in _ADJECTIVES:
            held = frozenset(map(position, holders))
            yield Trait(
                "adjective",
                (*self._said_of(words), *(f"Is {{it}} not {word}?" for word in opposites)),
                (*self._said_of(opposites), *(f"Is {{it}} not {word}?" for word in words)),
                f"is {words[0]}",
                f"is {opposites[0]}",
                1.0,
                held,
                self._above(held),
                frozenset(),
                frozenset(map(position, others)),
                frozenset(words),
            )

    def _said_of(self, words: Iterable[str]) -> Iterator[str]:
        """Yield questions for adjectives, but those that ask for a name, such as "a living thing"."""
        for word in words:
            yield f"Is {{it}} {word}?"
            if f"{word} thing" not in self._corpus.name_id:
                yield f"Is {{it}} {with_article(word)} thing?"


def _wholes(part: int, wholes: dict[int, set[int]]) -> frozenset[int]:
    """Return what has a part; and, where nothing but other parts have it, what those are parts of.

    A bird's wing has feathers, but so have birds: what else has wings, such as insects, need not.
    """
    found, todo = set[int](), [part]
    while todo:
        new = wholes.get(todo.pop(), set()) - found
        found |= new
        todo += () if any(each not in wholes for each in new) else new
    return frozenset(found)


def _singulars(noun: str) -> Iterator[str]:
    """Yield what a noun may be the plural of."""
    for ending, instead in (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")):
        if noun.endswith(ending):
            yield noun.removesuffix(ending) + instead
    yield from {"teeth": ["tooth"], "feet": ["foot"]}.get(noun, [])
