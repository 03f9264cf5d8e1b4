"""What WordNet says of parts: which things have which, what they are made of, and adjectives for having and lacking.

The table is made from WordNet's dict files with `python -m taxbench.pocket.train.wordnet_parts FOLDER`: of each noun
synset the part meronyms (`%p`) and the substance meronyms (`%s`), by WordNet's names for them; and of adjectives those
whose definition says no more than that something is there or is not, "having wings", "lacking wings".
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from taxbench.taxonomy.wordnet import Nouns, file_lines, read_nouns, table_lines, write_table

TABLE = Path(__file__).with_name("parts.tsv.xz")
_RELATION = re.compile(
    r"(?P<has>having|bearing|provided with|covered with)|(?P<of>made of|made or consisting of)"
    r"|(?P<lacks>lacking|without|not having|having no|destitute of|devoid of)"
)
_OBJECT = re.compile(
    r"(?: \(entirely or in part\) or employing)?(?: (?:an?|the|any))?"
    r" (?P<noun>[a-z]+)(?:$|;| (?:or|as) )"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The meronyms of WordNet between synsets of `Nouns`, by their positions, and adjectives about parts."""

    parts: dict[int, tuple[int, ...]]
    substances: dict[int, tuple[int, ...]]
    adjectives: tuple[tuple[str, ...], ...]
    """Each with its relation (has, of or lacks) and a noun as its definition spells it, so often a plural."""


def read_parts(nouns: Nouns) -> Parts:
    """Return what the table of the package says of the given nouns, which may be some of WordNet's only."""
    position = {synset.key: index for index, synset in enumerate(nouns.synsets)}
    had: list[dict[int, tuple[int, ...]]] = [{}, {}]
    lines = table_lines(TABLE)
    for line in takewhile(bool, lines):
        whole, *listed = line.split("\t")
        for kept, keys in zip(had, listed, strict=True):
            here = tuple(position[key] for key in keys.split() if key in position)
            if whole in position and here:
                kept[position[whole]] = here
    parts, substances = had
    return Parts(parts, substances, tuple(tuple(line.split("\t")) for line in lines))


def _table(folder: Path) -> Iterator[str]:
    """Yield the lines of the table: a synset, its parts and its substances; then adjectives."""
    nouns = read_nouns()
    key = {offset: nouns.synsets[place].key for offset, place in nouns.at_offset.items()}
    for line in file_lines(folder / "data.noun"):
        head = line.partition(" | ")[0]
        listed = [
            " ".join(key[int(offset)] for offset in re.findall(rf" {symbol} (\d{{8}}) n", head))
            for symbol in ("%p", "%s")
        ]
        if any(listed):
            yield "\t".join((key[int(head[:8])], *listed))
    yield ""
    for line in file_lines(folder / "data.adj"):
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        words = (fields[4 + 2 * place] for place in range(int(fields[3], 16)))
        relation = _RELATION.match(gloss)
        if relation and (noun := _OBJECT.match(gloss.strip(), relation.end())):
            for word in words:
                shown = word.partition("(")[0].replace("_", " ").lower()
                yield "\t".join((shown, str(relation.lastgroup), noun["noun"]))


if __name__ == "__main__":
    write_table(TABLE, [*_table(Path(sys.argv[1])), ""])
