"""Which nouns mean the same: the leak guard's knowledge, carried in the package so that it is the same on all machines.

`files/synonyms.txt.gz` is made from WordNet by `python -m taxbench.protocol.synonyms`. Each line is one meaning: the
nouns that have it among their three most usual meanings, those first that have it as their most usual one (before the
semicolon). Two nouns are taken for synonyms where one of them usually means what the other may mean: "beverage" and
"drink", but not "skirt" and "bird", which meet in a meaning that is rare for both.
"""

import gzip
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

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
    from taxbench.taxonomy.wordnet import read_nouns

    nouns = read_nouns()
    for index, synset in enumerate(nouns.synsets):
        ranks = {name: nouns.senses[name].index(index) for name in map(str.lower, synset.lemmas)}
        primary = sorted(name for name, rank in ranks.items() if rank == 0)
        others = sorted(name for name, rank in ranks.items() if 0 < rank < _USUAL)
        if primary and len(primary) + len(others) > 1 and not synset.instance_of:
            yield f"{'|'.join(primary)};{'|'.join(others)}"


if __name__ == "__main__":
    print(write_table(), "meanings in", TABLE)
