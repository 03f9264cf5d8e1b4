"""The leak guard: does a training question already name a hypernym that training is denied?

Ten leaves of THINGS are hypernyms of others as well ("bird", "tool", "toy", ...), so that the published training asked
"Is there a bird in this image?" of some bird before the test asked it "for the first time".

What it knows of synonyms is carried in the package, so that it is the same on all machines: `files/synonyms.txt.gz` is
made from WordNet by `python -m taxbench.protocol.leaks`. Each line is one meaning: the nouns that have it among their
three most usual meanings, those first that have it as their most usual one (before the semicolon). Two nouns are taken
for synonyms where one of them usually means what the other may mean: "beverage" and "drink", but not "skirt" and
"bird", which meet in a meaning that is rare for both.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from taxbench.protocol.words import plural
from taxbench.specs.result import Leak, LeakKind
from taxbench.util.paths import replacing

TABLE = Path(__file__).with_name("files") / "synonyms.txt.gz"
_NOTE = """\
# Synonymous nouns of WordNet 3.0. "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved."
# Redistributed under the WordNet licence: https://wordnet.princeton.edu/license-and-commercial-use
"""
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
    """Read the leak guard's synonyms: of each meaning, nouns that mean it first and others."""
    lines = gzip.decompress(TABLE.read_bytes()).decode().splitlines()
    halves = (line.split(";") for line in lines if not line.startswith("#"))
    return tuple((tuple(first.split("|")), tuple(rest.split("|")) if rest else ()) for first, rest in halves)


def write_table(path: Path = TABLE) -> int:
    """Write the table anew from the WordNet that is installed; return how many meanings it holds."""
    rows = list(_rows())
    with replacing(path) as partial:
        partial.write_bytes(gzip.compress((_NOTE + "\n".join(rows) + "\n").encode(), 9, mtime=0))
    return len(rows)


def _rows() -> Iterator[str]:
    """Yield the lines of the leak guard's synonyms, one for each WordNet meaning that several nouns have."""
    from taxbench.taxonomy.wordnet import read_nouns

    nouns = read_nouns()
    for index, synset in enumerate(nouns.synsets):
        ranks = {name: nouns.senses[name].index(index) for name in map(str.lower, synset.lemmas)}
        primary = sorted(name for name, rank in ranks.items() if rank == 0)
        others = sorted(name for name, rank in ranks.items() if 0 < rank < _USUAL)
        if primary and len(primary) + len(others) > 1 and not synset.instance_of:
            yield f"{'|'.join(primary)};{'|'.join(others)}"


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


if __name__ == "__main__":
    print(write_table(), "meanings in", TABLE)
