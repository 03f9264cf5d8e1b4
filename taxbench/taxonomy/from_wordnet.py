"""Make a taxonomy from WordNet: find the meaning of every leaf, walk up, and keep hypernyms that people would say.

WordNet's upper levels are written for logicians ("instrumentality", "placental"). A synset becomes a hypernym only

- if enough leaves are under it and one is not (else its question has no negatives);
- if it is neither too high nor too deep;
- if one of its names is known in that meaning: it is the name's first or second meaning, and the sense-tagged SemCor
  texts have it there, or WordNet's own definitions and examples use the name often;
- if no more familiar name stands for the same leaves.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from taxbench.taxonomy.taxonomy import WORDNET, Taxonomy, TaxonomyFile, read_taxonomy
from taxbench.taxonomy.wordnet import Nouns, read_nouns
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few

MIN_LEAVES = 5
MIN_DEPTH = 4
MAX_DEPTH = 14
"""Keeps "dog" and "cat" (13 steps below "entity") and leaves their breeds out."""

# Familiar words that WordNet uses in a sense too wide, or too far from daily use, to be asked of an image.
_TOO_WIDE = {
    "animate thing", "artefact", "artifact", "commodity", "covering", "creation", "instrumentality", "instrumentation",
    "living thing", "natural object", "nourishment", "nutriment", "organism", "part", "protection", "shape", "surface",
    "sustenance", "unit", "whole",
}  # fmt: skip
# Where WordNet's order of things is not that of people: buses are no vehicles, but "conveyances".
_SAID_AS = {"conveyance.n.03": "vehicle"}
_FOOD = ("food.n.01", "food.n.02")
# A "kid" or a "baby" is a person: so often does SemCor have a meaning that is common.
_COMMON = 5
# How often WordNet's glosses must use a name that SemCor does not have.
_IN_GLOSSES = 25
_USUAL_SENSES = 2
_SHOWN = 20
_SYNSET = re.compile(r"[^\s]+\.n\.\d\d")
_WNID = re.compile(r"(n\d{8})(?:[-_. ]+(?P<name>.+))?")
_NUMBERED = re.compile(r"^(?:\d{2,}[-_. ]+|\d\. )(?=[^\W\d])")
# iNaturalist's folders: number, kingdom, phylum, class, order, family, genus and species.
_ANCESTRY = re.compile(r"\d+_[A-Z][a-z]+(?:_[A-Za-z]+){4}_(?P<genus>[A-Z][a-z]+)_(?P<species>[a-z-]+)")
_PHYSICAL = "physical_entity.n.01"
# Physical by WordNet's book, but nothing that a photo shows: causes, and processes such as "television".
_UNSEEN = "process.n.06"


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf as it was given, and what it means."""

    given: str
    name: str
    synset: int
    above: frozenset[int]
    others: tuple[int, ...] = ()
    """Other meanings that might have been meant."""


def wordnet_taxonomy(
    leaves: Iterable[str],
    min_leaves: int = MIN_LEAVES,
    min_depth: int = MIN_DEPTH,
    max_depth: int = MAX_DEPTH,
    wordnet: Path | None = None,
) -> TaxonomyFile:
    """Make a taxonomy of leaves given by name, WordNet name (crow.n.01) or ImageNet's number (n01579028).

    Folders of well-known data sets are read as well: 001.Black_footed_Albatross, n02085620-Chihuahua, and the whole
    ancestry of iNaturalist (00000_Animalia_…_Corvus_corax).

    A name means its most usual noun sense that is a physical thing, an animal before its fur, and things before people.
    A compound that WordNet does not have is taken as a kind of its last word ("aquarium fish"). Notes tell where
    another sense would have had other hypernyms.

    Args:
        min_leaves: How many leaves a hypernym has at least.
        min_depth: Steps below "entity" that a hypernym is at least, on the longest way; `max_depth`: at most.
        wordnet: A folder of WordNet's dict files, in place of the package's table.

    Raises:
        DataError: WordNet does not know leaves (all are named), or has no hypernym within the limits.
    """
    graph = _graph(wordnet)
    found = _find_all(graph, sorted(set(leaves)))
    names = _distinct_names(graph, found)
    kept = _choose(graph, found, names, min_leaves, (min_depth, max_depth))
    if not kept:
        total = len(set(names.values()))
        fewer = f"with '--min-leaves {max(1, min_leaves // 2)}', " if min_leaves > 1 else ""
        raise DataError(
            f"No hypernym that people say has {min_leaves} of the {total} leaves under it and one that is not. "
            f"Type 'taxbench taxonomy LEAVES --out FILE.tsv' {fewer}or write the taxonomy by hand."
        )
    groups: dict[str, set[str]] = {name: set() for name in names.values()}
    for leaf in found:
        groups[names[leaf.given]] |= {name for name, synsets in kept.items() if leaf.above & synsets}
    table = Taxonomy({name: tuple(sorted(group)) for name, group in sorted(groups.items())})
    return TaxonomyFile(table, names, tuple(dict.fromkeys(_notes(graph, found, names, kept))))


def taxonomy_of(classes: Iterable[str], taxonomy: Path | None) -> TaxonomyFile:
    """Return the taxonomy a user asks for: that of a file, or one made from WordNet for the classes.

    Raises:
        UsageError: none is asked for.
        DataError: the file cannot be read, or WordNet does not know a class.
    """
    if taxonomy is None:
        raise UsageError(
            "These images need a taxonomy: --taxonomy FILE.tsv with the columns folder, leaf, hypernyms (hypernyms "
            "separated by '|'), or --taxonomy wordnet. 'taxbench taxonomy' makes a file from WordNet to be edited."
        )
    if str(taxonomy) != WORDNET:
        return read_taxonomy(taxonomy)
    made = wordnet_taxonomy(classes)
    said = (
        f"The hypernyms are made from WordNet, with {len(made.notes)} points to look at: 'taxbench taxonomy LEAVES "
        "--out FILE.tsv' lists them and writes a file to be edited."
    )
    return replace(made, notes=(said,) if made.notes else ())


def meaning_of(name: str) -> int | None:
    """Return the offset in WordNet 3.0's data.noun of what a name means; None where WordNet lacks the name as a whole.

    Args:
        name: As for `wordnet_taxonomy`, by which rules the meaning is found.
    """
    graph = _graph(None)
    try:
        leaf = _find(graph, name)
    except DataError:
        return None
    return None if leaf.synset in leaf.above else graph.offsets[leaf.synset]


@lru_cache(maxsize=1)
def _graph(wordnet: Path | None) -> "_Graph":
    """Return the graph of WordNet's nouns, read once."""
    return _Graph(read_nouns(wordnet))


class _Graph:
    """WordNet's nouns with what is above each."""

    def __init__(self, nouns: Nouns) -> None:
        self.nouns = nouns
        self.offsets = {synset: offset for offset, synset in nouns.at_offset.items()}
        self.above = lru_cache(maxsize=None)(self._above)
        self.depth = lru_cache(maxsize=None)(self._depth)
        self._physical, self._unseen = nouns.position(_PHYSICAL), nouns.position(_UNSEEN)
        self._animal, self._person = nouns.position("animal.n.01"), nouns.position("person.n.01")
        self._food, self._artefact = tuple(map(nouns.position, _FOOD)), nouns.position("artifact.n.01")
        self._of_animals = frozenset((nouns.position("animal_skin.n.01"), *self._food))

    def _above(self, synset: int) -> frozenset[int]:
        """Return everything above a synset, without it."""
        return frozenset().union(*({each, *self.above(each)} for each in self.nouns.parents(synset)))

    def _depth(self, synset: int) -> int:
        """Return the steps of the longest way down from "entity"."""
        return 1 + max((self.depth(each) for each in self.nouns.parents(synset)), default=-1)

    def is_thing(self, synset: int) -> bool:
        """Tell whether a synset is a kind of physical thing, no individual and no process."""
        above = self.above(synset)
        return self._physical in above and self._unseen not in above and not self.nouns.synsets[synset].instance_of

    def things(self, name: str) -> list[int]:
        """Return the meanings of a name that a photo can show, the likeliest first.

        WordNet lists meanings that SemCor lacks in no order ("hotdog": a daredevil, "toaster": who drinks to another).
        An animal comes before its fur and its flesh; animals and food come before people who are rarely called by their
        name ("tiger": a fierce person), and artefacts before people who never are. Of the 58 names of THINGS that this
        decides, 55 are those of animals, food and artefacts.
        """
        found = [synset for synset in self.nouns.senses.get(name, ()) if self.is_thing(synset)]
        if not found:
            return found
        before: list[int] = []
        if self._of_animals & self.above(found[0]):
            before = [self._animal]
        if self._person in self.above(found[0]) and (count := self.count(found[0], name)) < _COMMON:
            before = [self._animal, *self._food, *([] if count else [self._artefact])]
        for kind in before:
            if first := next((synset for synset in found if kind in self.above(synset)), None):
                return [first, *(synset for synset in found if synset != first)]
        return found

    def count(self, synset: int, name: str) -> int:
        """Return how often SemCor has a name in a meaning."""
        found = self.nouns.synsets[synset]
        return next(
            (count for lemma, count in zip(found.lemmas, found.counts, strict=True) if lemma.lower() == name), 0
        )

    def said_as(self, synsets: Sequence[int]) -> dict[int, tuple[str, tuple[int, int]]]:
        """Return the best-known name of synsets, and how well known it is; leave out what people would not say."""
        seen = self.nouns.in_glosses
        best: dict[int, tuple[str, tuple[int, int]]] = {}
        for synset in synsets:
            found = self.nouns.synsets[synset]
            if found.key in _SAID_AS:
                best[synset] = _SAID_AS[found.key], (0, 0)
                continue
            for lemma, count in zip(found.lemmas, found.counts, strict=True):
                known = (count, seen[lemma.lower()] + seen[f"{lemma.lower()}s"])
                usual = synset in self.nouns.senses[lemma.lower()][:_USUAL_SENSES]
                if usual and (count or known[1] >= _IN_GLOSSES) and (synset not in best or known > best[synset][1]):
                    best[synset] = lemma, known
        return {synset: said for synset, said in best.items() if said[0].lower() not in _TOO_WIDE}


def _find_all(graph: _Graph, leaves: Sequence[str]) -> list[_Leaf]:
    """Find the WordNet meanings of all leaves; raise DataError that names every one without any."""
    found, problems = [], []
    for given in leaves:
        try:
            found.append(_find(graph, given))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(
            f"{first_few(problems, _SHOWN, chr(10))}\nGive the WordNet name (crow.n.01) or number (n01579028) in its "
            "place, or leave it out and write its line of the taxonomy by hand."
        )
    if not found:
        raise DataError("There are no leaves to make a taxonomy of.")
    return found


def _find(graph: _Graph, given: str) -> _Leaf:
    """Find the meaning of a leaf."""
    nouns = graph.nouns
    if number := _WNID.fullmatch(re.sub(r"^(\d{8})-n$", r"n\1", given)):  # WordNet's own way to write it
        if int(number[1][1:]) not in nouns.at_offset:
            raise DataError(
                f"WordNet 3.0 has no noun synset '{number[1]}'. Expected n and eight digits, as in ImageNet."
            )
        synset = nouns.at_offset[int(number[1][1:])]
        name = _plain(number["name"]) if number["name"] else nouns.synsets[synset].lemmas[0]
        return _Leaf(given, name, synset, graph.above(synset))
    if ancestry := _ANCESTRY.fullmatch(given):
        name = f"{ancestry['genus']} {ancestry['species']}"
        if not (things := graph.things(name.lower())):
            raise DataError(f"WordNet has no noun '{name}'.")
        return _Leaf(given, nouns.synsets[things[0]].lemmas[0], things[0], graph.above(things[0]))
    if _SYNSET.fullmatch(given):
        synset = nouns.position(given.lower())
        return _Leaf(given, nouns.synsets[synset].lemmas[0], synset, graph.above(synset))
    name = _plain(_NUMBERED.sub("", given))
    for spelling in _spellings(name):
        if things := graph.things(spelling) or list(nouns.senses.get(spelling, ())):
            return _Leaf(given, name, things[0], graph.above(things[0]), tuple(things[1:]))
    for spelling in _spellings(name.split()[-1]) if " " in name else ():
        if things := graph.things(spelling):
            return _Leaf(given, name, things[0], graph.above(things[0]) | {things[0]}, tuple(things[1:]))
    close = did_you_mean(name, (noun for noun in nouns.senses if noun[:2] == name.lower()[:2]))
    raise DataError(f"WordNet has no noun '{name or given}'.{close}")


def _plain(name: str) -> str:
    """Return a folder's name as people write it: the first of several, with blanks for underscores."""
    return " ".join(name.split(",")[0].replace("_", " ").split())


def _spellings(name: str) -> Iterator[str]:
    """Yield how WordNet may spell a name: as it is, with blanks or joined, in the singular."""
    low = name.lower()
    for form in dict.fromkeys((low, low.replace("-", " "), low.replace(" ", "-"), low.replace(" ", ""))):
        yield form
        for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
            if form.endswith(ending) and len(form) > len(ending) + 2:
                yield form[: -len(ending)] + instead


def _choose(
    graph: _Graph, found: Sequence[_Leaf], names: Mapping[str, str], min_leaves: int, depths: tuple[int, int]
) -> dict[str, set[int]]:
    """Choose hypernyms; return the synsets that each name stands for."""
    total = len(set(names.values()))
    above = sorted(frozenset().union(*(leaf.above for leaf in found)))
    wanted = [each for each in above if depths[0] <= graph.depth(each) <= depths[1] and graph.is_thing(each)]
    synsets: dict[str, set[int]] = {}
    known: dict[str, tuple[int, int]] = {}
    for synset, (name, how_well) in graph.said_as(wanted).items():
        synsets.setdefault(name, set()).add(synset)
        known[name] = max(how_well, known.get(name, how_well))
    best_for: dict[frozenset[str], str] = {}
    for name in sorted(synsets, key=lambda name: (known[name], name), reverse=True):
        under = frozenset(names[leaf.given] for leaf in found if leaf.above & synsets[name])
        if min_leaves <= len(under) < total:
            best_for.setdefault(under, name)
    return {name: synsets[name] for name in sorted(best_for.values())}


def _distinct_names(graph: _Graph, found: Sequence[_Leaf]) -> dict[str, str]:
    """Return a name of its own for every leaf; two cranes become "crane (bird)" and "crane (device)".

    What was given as a plain word keeps it. Names that differ only by case are one: of "Crow" and "crow", the latter.
    """
    wanted: dict[str, set[int]] = {}
    spelled: dict[str, str] = {}
    for leaf in found:
        low = leaf.name.casefold()
        wanted.setdefault(low, set()).add(leaf.synset)
        spelled[low] = max(leaf.name, spelled.get(low, leaf.name))
    names: dict[str, str] = {}
    for leaf in found:
        name = spelled[leaf.name.casefold()]
        if len(wanted[name.casefold()]) > 1 and (_SYNSET.fullmatch(leaf.given) or _WNID.fullmatch(leaf.given)):
            free = [lemma for lemma in graph.nouns.synsets[leaf.synset].lemmas if lemma.casefold() not in wanted]
            parent = graph.nouns.synsets[min(graph.nouns.synsets[leaf.synset].hypernyms, default=leaf.synset)]
            name = free[0] if free else f"{name} ({parent.lemmas[0]})"
        names[leaf.given] = name
    return names


def _notes(
    graph: _Graph, found: Sequence[_Leaf], names: Mapping[str, str], kept: Mapping[str, set[int]]
) -> Iterator[str]:
    """Yield notes on what a person should look at in a taxonomy from WordNet; the same may come twice."""

    def groups(above: frozenset[int]) -> set[str]:
        return {name for name, synsets in kept.items() if above & synsets}

    given: dict[str, list[str]] = {}
    for leaf in found:
        given.setdefault(names[leaf.given], []).append(f"'{leaf.given}'")
    for leaf in found:
        synset, name = graph.nouns.synsets[leaf.synset], names[leaf.given]
        lost = not groups(leaf.above)
        differing = [other for other in leaf.others if lost or groups(graph.above(other)) != groups(leaf.above)]
        if len(given[name]) > 1:
            yield f"{first_few(given[name])} are one leaf: '{name}'."
        if leaf.synset in leaf.above:
            yield f"'{name}' is not in WordNet: taken as a kind of {synset.key} ({synset.gloss})."
        elif differing:
            listed = (f"{graph.nouns.synsets[other].key} ({graph.nouns.synsets[other].gloss})" for other in differing)
            yield f"'{name}' was taken as {synset.key} ({synset.gloss}), not as {' or '.join(islice(listed, 2))}."
        if lost:
            yield f"'{name}' has no hypernym: it is only asked by its own name."
