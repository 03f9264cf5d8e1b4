"""The leak guard: does a training question already name a hypernym that training is denied?

Ten leaves of THINGS are hypernyms of others as well ("bird", "tool", "toy", ...), so that the published training asked
"Is there a bird in this image?" of some bird before the test asked it "for the first time".

What it knows of synonyms is WordNet's table in the package, so that it is the same on all machines. Two nouns are taken
for synonyms where one of them usually means what the other may mean, as one of its three most usual meanings:
"beverage" and "drink", but not "skirt" and "bird", which meet in a meaning that is rare for both.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile

from taxbench.protocol.words import plural
from taxbench.specs.result import Leak, LeakKind
from taxbench.taxonomy.wordnet import table_lines

_USUAL = 3  # how many of a noun's meanings count


@lru_cache(maxsize=4096)
def synonyms(term: str) -> frozenset[str]:
    """Return the nouns that mean the same as a term, in lower case, without the term."""
    low = term.lower()
    found: set[str] = set()
    for primary, others in _meanings():
        if low in primary:
            found |= {*primary, *others}
        elif low in others:
            found |= set(primary)
    return frozenset(found - {low})


@lru_cache(maxsize=1)
def _meanings() -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Return the meanings that several nouns have: those that usually mean it, and those that may."""
    meanings = []
    for line in takewhile(bool, table_lines()):
        if "|" not in line:
            continue
        _, lemmas, ranks, *_, instance_of = line.split("\t")
        order = dict(zip(lemmas.lower().split("|"), map(int, ranks.split()), strict=True))
        primary = tuple(sorted(name for name, rank in order.items() if rank == 1))
        others = tuple(sorted(name for name, rank in order.items() if 1 < rank <= _USUAL))
        if primary and len(primary) + len(others) > 1 and not instance_of:
            meanings.append((primary, others))
    return tuple(meanings)


# "An item of clothing" asks for clothing, "a cup of tea" for tea.
_PORTION = re.compile(r"^(?:piece|item|article|pair|cup|glass|kind|type|source)s? of ")


def find_leaks(leaves: Mapping[str, str], hypernyms: Mapping[str, str]) -> tuple[Leak, ...]:
    """Find leaves that say the same as a denied hypernym; the surest reason is given for each pair.

    Args:
        leaves: The questions that training would ask, by the name they ask for.
        hypernyms: The questions that training is denied, by hypernym.
    """
    found = []
    for hypernym, denied in sorted(hypernyms.items()):
        forms, same = lemmas(hypernym), {form for word in synonyms_of(hypernym) for form in lemmas(word)}
        for leaf, asked in sorted(leaves.items()):
            kind: LeakKind | None = None
            if asked.casefold() == denied.casefold():
                kind = "exact"
            elif lemmas(leaf) & forms:
                kind = "lemma"
            elif lemmas(leaf) & same:
                kind = "synonym"
            if kind is not None:
                found.append(Leak(leaf=leaf, hypernym=hypernym, kind=kind))
    return tuple(found)


@lru_cache(maxsize=8192)
def lemmas(term: str) -> frozenset[str]:
    """Return what a term is compared by: letters and digits of its singular and plural, with and without "item of".

    Endings are taken off bluntly, so that "fishes" meets "fish": a form that is no word meets nothing.
    """
    low = term.lower().replace("_", " ")
    forms = {form for each in (low, _PORTION.sub("", low)) for form in (each, plural(each))}
    forms |= {form[:-1] for form in forms if form.endswith("s") and not form.endswith("ss")}
    forms |= {form[:-2] for form in forms if form.endswith(("ses", "xes", "zes", "ches", "shes", "oes"))}
    return frozenset(re.sub(r"[^\w]", "", form) for form in forms)


def synonyms_of(term: str) -> frozenset[str]:
    """Return the synonyms of a term and of what it is a portion of."""
    low = term.lower().replace("_", " ")
    return synonyms(low) | synonyms(_PORTION.sub("", low))
