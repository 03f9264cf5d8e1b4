"""What WordNet says about physical things: names, how everyday they are, what they are kinds of, what is held out.

Everything is a function of WordNet's files. Names and question terms share one numbering (`names`), synsets keep the
positions of `Nouns.synsets`.
"""

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taxbench.taxonomy.wordnet import Nouns

# Half of the held-out pairs is never asked about, the other half is not even stated ("a crow is a kind of bird").
UNASKED, UNSEEN = 0.05, 0.05
_SALT = "wordnet-lm/1"
# True of nearly everything, so asking for them teaches nothing.
_EMPTY_CATEGORIES = {"entity.n.01", "physical_entity.n.01", "object.n.01", "whole.n.02", "matter.n.03", "artifact.n.01"}
_ROOT, _LEFT_OUT = "physical_entity.n.01", ("person.n.01", "causal_agent.n.01", "process.n.06", "location.n.01")
_READABLE = re.compile(r"[a-z][a-z'-]*( [a-z][a-z'-]*){0,2}")
_LATIN = re.compile(r"[A-Z][a-z]+ [a-z]+")
_USUALLY_PLURAL = re.compile(r"\((usually|often|used) (in the |in )?plural\b")
# A later sense of a name counts for less: usage falls off steeply with the sense number.
_SENSE_DECAY = 0.6
_FAIRLY_EVERYDAY = 6000


@dataclass(frozen=True, slots=True)
class Terms:
    """Things to draw from, such as the category words that are true of one synset, with the chance of each."""

    ids: tuple[int, ...]
    cumulative: tuple[float, ...]
    """Running sum of the chances, ending at 1."""

    @classmethod
    def of(cls, weights: dict[int, float]) -> "Terms":
        """Take things with weights that their chances are proportional to."""
        steps = np.cumsum(list(weights.values()))
        return cls(tuple(weights), tuple((steps / steps[-1]).tolist()))


class Corpus:
    """Facts about the physical nouns, ready for sampling questions and statements."""

    def __init__(self, nouns: Nouns) -> None:
        """Derive all tables (a few seconds)."""
        self.nouns = nouns
        senses = _add_plural_names(nouns)
        self.names: list[str] = sorted(senses)
        self.name_id = {name: index for index, name in enumerate(self.names)}
        self.senses = [senses[name] for name in self.names]
        self.lemmas = [tuple(self.name_id[lemma.lower()] for lemma in synset.lemmas) for synset in nouns.synsets]
        self.ancestors = _find_ancestors(nouns)
        self.empty = {nouns.position(key) for key in _EMPTY_CATEGORIES}
        self._taxon = nouns.position("taxonomic_group.n.01")
        self.physical = self._find_physical()
        self.true_terms = [self._lemmas_of((index, *above)) for index, above in enumerate(self.ancestors)]
        self.sense_weights = [self._weigh_senses(index) for index in range(len(self.names))]
        self.familiarity = self._measure_familiarity()
        self.ranked = self._rank_names()
        self._hashes = [_hash(name) for name in self.names]
        self.unasked, self.unseen = self._hold_out()

    def _lemmas_of(self, synsets: tuple[int, ...]) -> frozenset[int]:
        """Return every name of the given synsets."""
        return frozenset(name for synset in synsets for name in self.lemmas[synset])

    def _find_physical(self) -> frozenset[int]:
        """Return the synsets below physical entity no persons, agents, processes, regions, instances."""
        root = self.nouns.position(_ROOT)
        left_out = {self.nouns.position(key) for key in _LEFT_OUT}
        return frozenset(
            index
            for index, above in enumerate(self.ancestors)
            if root in above and left_out.isdisjoint((index, *above)) and not self.nouns.synsets[index].instance_of
        )

    def _weigh_senses(self, name: int) -> tuple[tuple[int, float], ...]:
        """Return the physical senses of a name with their estimated share of its uses as a noun."""
        weights = {}
        for rank, synset in enumerate(self.senses[name]):
            weights[synset] = (self._tagged(name, synset) + 2) * _SENSE_DECAY**rank
        total = sum(weights.values())
        physical = ((synset, weight / total) for synset, weight in weights.items() if synset in self.physical)
        return tuple(pair for pair in physical if pair[1] >= 0.02)

    def _tagged(self, name: int, synset: int) -> int:
        """Return how often a name occurs with one meaning in SemCor."""
        lemmas = self.lemmas[synset]
        return self.nouns.synsets[synset].counts[lemmas.index(name)] if name in lemmas else 0

    def _measure_familiarity(self) -> np.ndarray:
        """Estimate how everyday each name is, as a physical thing: log counts in SemCor and in all glosses."""
        seen = self.nouns.in_glosses
        scores = np.zeros(len(self.names))
        for name, senses in enumerate(self.sense_weights):
            share = sum(weight for _, weight in senses)
            tagged = sum(self._tagged(name, synset) for synset, _ in senses)
            word = self.names[name]
            as_noun = sum(self._tagged(name, synset) for synset in self.senses[name]) + 1
            share *= as_noun / (as_noun + self.nouns.other_uses.get(word, 0))
            scores[name] = math.log1p((seen[word] + seen[word + "s"]) * share) + math.log1p(tagged)
        return scores

    def _rank_names(self) -> np.ndarray:
        """Return the readable names of physical things, the most everyday first."""
        usable = [
            name
            for name, senses in enumerate(self.sense_weights)
            if senses and _READABLE.fullmatch(self.names[name]) and not self._is_jargon(name)
        ]
        return np.array(sorted(usable, key=lambda name: (-self.familiarity[name], self.names[name])))

    def _is_jargon(self, name: int) -> bool:
        """Tell abbreviations and scientific names ("Corvus corax": the first word is a genus)."""
        synset = self.sense_weights[name][0][0]
        if name not in self.lemmas[synset]:
            return False
        written = self.nouns.synsets[synset].lemmas[self.lemmas[synset].index(name)]
        genus = self.nouns.senses.get(self.names[name].split()[0], ()) if _LATIN.fullmatch(written) else ()
        return written.isupper() or any(self._taxon in self.ancestors[sense] for sense in genus)

    def _hold_out(self) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]]]:
        """Return, for each physical synset, the terms never asked of it and the terms never even stated of it."""
        unasked, unseen = {}, {}
        for synset in sorted(self.physical):
            key = self.nouns.synsets[synset].key
            draws = {above: _hash(f"{key}|{self.nouns.synsets[above].key}") / 2**64 for above in self.ancestors[synset]}
            hidden = tuple(above for above, draw in draws.items() if draw < UNSEEN)
            quiet = tuple(above for above, draw in draws.items() if UNSEEN <= draw < UNSEEN + UNASKED)
            unseen[synset] = self._lemmas_of(hidden)
            unasked[synset] = self._lemmas_of(quiet)
        return unasked, unseen

    def is_unseen(self, name: int, term: int) -> bool:
        """Tell whether "name is a kind of term" is held out, for any meaning of the two words."""
        return any(term in self.unseen.get(synset, ()) for synset in self.senses[name])

    def is_unasked(self, name: int, term: int) -> bool:
        """Tell whether the question about a true pair is held out, stated or not, for any meaning of the words."""
        return self.is_unseen(name, term) or any(term in self.unasked.get(synset, ()) for synset in self.senses[name])

    def is_true(self, name: int, term: int) -> bool:
        """Tell whether the term holds for any meaning of the name, common or rare."""
        return any(term in self.true_terms[synset] for synset in self.senses[name])

    def is_wrong(self, name: int, term: int) -> bool:
        """Tell whether "no" is right for every meaning: the term is neither the name's category nor a kind of it."""
        return not self.is_true(name, term) and not self.is_true(term, name)

    def is_unasked_wrong(self, name: int, term: int) -> bool:
        """Tell whether a wrong pair belongs to the share that is never asked about."""
        mixed = (self._hashes[name] * 0x9E3779B97F4A7C15 + self._hashes[term] * 0xC2B2AE3D27D4EB4F) & (2**64 - 1)
        return ((mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9 & (2**64 - 1)) / 2**64 < UNSEEN + UNASKED

    def share(self, name: int, synset: int) -> float:
        """Return the estimated share of a name's uses as a noun that mean this synset."""
        return dict(self.sense_weights[name]).get(synset, 0.01)

    @cached_property
    def rank(self) -> dict[int, int]:
        """Place of each readable name in the order of everyday-ness."""
        return {name: place for place, name in enumerate(self.ranked.tolist())}

    def readability(self, synset: int) -> dict[int, float]:
        """Return the readable names of a synset; everyday ones that mostly mean it score highest."""
        return {
            name: (self.familiarity[name] + 1.5) * math.sqrt(self.share(name, synset))
            for name in self.lemmas[synset]
            if name in self.rank
        }

    @cached_property
    def categories(self) -> Terms:
        """Synsets above at least four fairly everyday names; the readable ones are drawn more often."""
        weights, possible = {}, self.physical - self.empty
        for above, kinds in self.kinds.items():
            is_everyday = len(kinds) >= 4 and self.rank[kinds[3]] < _FAIRLY_EVERYDAY
            if is_everyday and above in possible and (known := self.readability(above)):
                weights[above] = max(known.values())
        return Terms.of(weights)

    @cached_property
    def terms(self) -> dict[int, Terms]:
        """Category words of each physical synset; broad categories, rare and ambiguous words are asked less often."""
        sizes = Counter(above for synset in self.physical for above in self.ancestors[synset])
        result = {}
        for synset in sorted(self.physical):
            weights: dict[int, float] = {}
            for above in self.ancestors[synset]:
                if above not in self.physical or above in self.empty:
                    continue
                known = self.readability(above)
                for name, score in known.items():
                    share = max(known.values()) * (score / sum(known.values())) * sizes[above] ** -0.3
                    weights[name] = weights.get(name, 0.0) + share
            if weights:
                result[synset] = Terms.of(weights)
        return result

    @cached_property
    def kinds(self) -> dict[int, tuple[int, ...]]:
        """Names below each synset by their main physical sense, the most everyday first, at most 400."""
        lists: dict[int, list[int]] = {}
        for name in self.ranked.tolist():
            main = max(self.sense_weights[name], key=lambda pair: pair[1])[0]
            for above in self.ancestors[main]:
                members = lists.setdefault(above, [])
                if len(members) < 400:
                    members.append(name)
        return {above: tuple(members) for above, members in lists.items()}


def _find_ancestors(nouns: Nouns) -> list[tuple[int, ...]]:
    """Return all synsets above each synset, the nearest first."""
    parents = [nouns.parents(index) for index in range(len(nouns.synsets))]
    result = []
    for index in range(len(parents)):
        found: dict[int, None] = {}
        layer = parents[index]
        while layer:
            found.update(dict.fromkeys(layer))
            layer = tuple(above for below in layer for above in parents[below] if above not in found)
        result.append(tuple(found))
    return result


def _add_plural_names(nouns: Nouns) -> dict[str, tuple[int, ...]]:
    """Return the senses of every name, "trousers" among them where WordNet files it as "trouser", usually plural."""
    senses = dict(nouns.senses)
    for index, synset in enumerate(nouns.synsets):
        if _USUALLY_PLURAL.match(synset.gloss):
            for lemma in synset.lemmas:
                plural = lemma.lower() + "s"
                if not lemma.endswith("s") and index not in senses.get(plural, ()):
                    senses[plural] = (*senses.get(plural, ()), index)
    return senses


def _hash(text: str) -> int:
    """Return a stable 64-bit number for a text."""
    return int.from_bytes(hashlib.blake2b(f"{_SALT}|{text}".encode(), digest_size=8).digest(), "little")
