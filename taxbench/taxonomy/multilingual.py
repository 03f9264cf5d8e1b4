"""What things are called in other languages, by tables in the form of the Open Multilingual Wordnet.

The tables are the user's: nltk's `omw-1.4`, or files of the same form such as those made of Wiktionary. A line is an
offset of WordNet 3.0 with its part of speech, LANGUAGE:lemma, and a word (https://omwn.org). The first word of a
wordnet is often not the usual one, so a word counts where several tables have it, and a speaker has the last word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxbench.taxonomy.from_wordnet import meaning_of
from taxbench.util.errors import DataError
from taxbench.util.paths import read_text


@dataclass(frozen=True, slots=True)
class AgreedWords:
    """What all of some tables call terms."""

    words: dict[str, tuple[str, ...]]
    """By the English term, in the order of the first table; without the terms that have none."""
    source: str
    """The tables' own names and licences."""


def agreed_words(terms: Iterable[str], tables: Sequence[Path]) -> AgreedWords:
    """Return what all tables call the meaning of each term, which is found as for a taxonomy from WordNet.

    Raises:
        DataError: a table cannot be read, or has no noun in the form of the Open Multilingual Wordnet.
    """
    read = [_nouns_of(path) for path in tables]
    found = {}
    for term in dict.fromkeys(terms):
        offset = meaning_of(term)
        first, *others = ([] if offset is None else table.get(offset, []) for _, table in read)
        if words := tuple(word for word in first if all(word in other for other in others)):
            found[term] = words
    return AgreedWords(found, "; ".join(about for about, _ in read))


def _nouns_of(path: Path) -> tuple[str, dict[int, list[str]]]:
    """Return what a table is called, with its licence, and its words for nouns by their offset."""
    header, *lines = read_text(path).splitlines() or [""]
    words: dict[int, list[str]] = {}
    for line in lines:
        offset, kind, word = [*line.split("\t"), "", ""][:3]
        if offset.endswith("-n") and offset[:-2].isdigit() and kind.rpartition(":")[2] == "lemma" and word.strip():
            words.setdefault(int(offset[:-2]), []).append(" ".join(word.replace("_", " ").split()))
    if not words or not header.startswith("#"):
        raise DataError(
            f"'{path}' is no table of the Open Multilingual Wordnet: expected a line of #, its name, language, address "
            "and licence, then lines such as '02121808-n<TAB>ita:lemma<TAB>gatto'."
        )
    name, *more = [part.strip() for part in header.removeprefix("#").split("\t")]
    return f"{name} ({more[-1]})" if more else name, words
