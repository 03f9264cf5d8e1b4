"""The noun synsets of WordNet 3.0, from the table that is shipped with the package.

WordNet is the one source of taxonomic knowledge in the package: the text-only LM is trained on it, the leak guard
takes synonyms from it, and taxonomies of image folders are made from it. `python -m taxbench.taxonomy.wordnet FOLDER`
makes the table from WordNet's dict files, Debian's `wordnet-base` or nltk's download, with nltk's reader. From the
lines themselves come the order of hypernyms, which nltk puts into sets, and glosses, of which nltk loses what they
quote. Format of the files: wndb(5WN); of the table: `_table`.
"""

import lzma
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from taxbench.util.errors import DataError, first_line
from taxbench.util.paths import replacing

TABLE = Path(__file__).with_name("files") / "nouns.tsv.xz"
_LICENCE = """\
# Nouns of WordNet 3.0. "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved."
# Redistributed under the WordNet licence: https://wordnet.princeton.edu/license-and-commercial-use
"""
# WordNet files cars under "container"; nobody who is asked for a container means a car.
_CUT = {"wheeled_vehicle.n.01": "container.n.01"}


@dataclass(frozen=True, slots=True)
class NounSynset:
    """One noun meaning. Links are positions in `Nouns.synsets`."""

    key: str
    """WordNet's name for it, such as crow.n.01."""
    lemmas: tuple[str, ...]
    """Its names as WordNet spells them, spaces for underscores, the most usual first."""
    gloss: str
    """The definition, without the example sentences."""
    hypernyms: tuple[int, ...]
    instance_of: tuple[int, ...]
    counts: tuple[int, ...]
    """How often each lemma occurs with this meaning in the sense-tagged SemCor texts."""


@dataclass(frozen=True, slots=True)
class Nouns:
    """All noun synsets of WordNet."""

    synsets: tuple[NounSynset, ...]
    senses: dict[str, tuple[int, ...]]
    """Lower-cased name -> its meanings, the most usual first."""
    other_uses: dict[str, int]
    """Lower-cased word -> how often SemCor has it as a verb, adjective or adverb."""
    in_glosses: Counter[str]
    """Lower-cased name or its plural with s -> how often glosses and examples of every part of speech have it."""
    at_offset: dict[int, int] = field(default_factory=dict)
    """Offset in data.noun -> position: ImageNet's n01443537 is the synset at 1443537."""

    def parents(self, synset: int) -> tuple[int, ...]:
        """Return the hypernyms of a synset, and what it is an instance of, but for the edges of `_CUT`."""
        found = self.synsets[synset]
        cut = _CUT.get(found.key)
        return tuple(each for each in found.hypernyms + found.instance_of if self.synsets[each].key != cut)

    def position(self, key: str) -> int:
        """Return the position of the synset with this WordNet name; raise DataError when there is none."""
        for index in self.senses.get(key.split(".")[0].replace("_", " "), ()):
            if self.synsets[index].key == key:
                return index
        raise DataError(f"WordNet has no noun synset '{key}'. Expected a name such as crow.n.01.")


def read_nouns(folder: Path | None = None) -> Nouns:
    """Return every noun synset, in the order of WordNet's file.

    Args:
        folder: Where WordNet's dict files are; None: the table of the package.

    Raises:
        DataError: the folder holds no WordNet, or a damaged one.
    """
    if folder is None:
        return _nouns(table_lines())
    if not (folder / "data.noun").is_file():
        raise DataError(f"{folder} holds no WordNet (no data.noun). Try `apt-get install wordnet-base`.")
    try:
        return _nouns(_table(folder))
    except Exception as error:  # nltk raises whatever it happens to meet
        raise DataError(
            f"The WordNet in '{folder}' cannot be read ({type(error).__name__}: {first_line(error)}): a file is "
            "missing or damaged. Install it again with `apt-get install --reinstall wordnet-base`, or give another "
            "folder."
        ) from None


def table_lines(table: Path = TABLE) -> Iterator[str]:
    """Yield the lines of a table: here synsets, words with their counts, and glosses, an empty line between each."""
    with lzma.open(table, "rt", encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file if not line.startswith("#"))


def _nouns(lines: Iterable[str]) -> Nouns:
    """Make the noun synsets of the lines of a table."""
    lines = iter(lines)
    rows = [line.split("\t") for line in takewhile(bool, lines)]
    words = [(word, int(n), int(uses)) for word, n, uses in (line.split("\t") for line in takewhile(bool, lines))]
    position = {int(row[0]): index for index, row in enumerate(rows)}
    synsets: list[NounSynset] = []
    senses: dict[str, dict[int, int]] = {}
    for index, ((_, names, ranks, counts, hypernyms, instance_of), gloss) in enumerate(zip(rows, lines, strict=True)):
        lemmas, numbers = tuple(names.split("|")), [*map(int, ranks.split())]
        key = f"{lemmas[0].lower().replace(' ', '_')}.n.{numbers[0]:02d}"
        above, kind = (tuple(position[int(each)] for each in links.split()) for links in (hypernyms, instance_of))
        seen = tuple(map(int, counts.split())) or (0,) * len(lemmas)
        synsets.append(NounSynset(key, lemmas, gloss, above, kind, seen))
        for lemma, number in zip(lemmas, numbers, strict=True):
            senses.setdefault(lemma.lower(), {})[number] = index
    return Nouns(
        tuple(synsets),
        {name: tuple(found[number] for number in sorted(found)) for name, found in senses.items()},
        {word: uses for word, _, uses in words if uses},
        Counter({word: n for word, n, _ in words}),
        position,
    )


def _table(folder: Path) -> Iterator[str]:
    """Yield the lines of a table from WordNet's dict files.

    Of each synset: its offset, its names, the number of the meaning for each, the names' counts, the offsets of its
    hypernyms and of what it is an instance of. Then words with how often glosses have them, and SemCor as no noun. Then
    the definition of each synset.
    """
    text = {part: file_lines(folder / f"data.{part}") for part in ("noun", "verb", "adj", "adv")}
    counts = {key: int(count) for key, _, count in map(str.split, file_lines(folder / "cntlist.rev"))}
    reader, lines = _reader(folder), {int(line[:8]): line.partition(" | ") for line in text["noun"]}
    names, definitions = set[str](), []
    for synset in reader.all_synsets("n"):
        head, _, gloss = lines[synset.offset()]
        lemmas = [name.replace("_", " ") for name in synset.lemma_names()]
        orders = (reader._lemma_pos_offset_map[name.lower()]["n"] for name in synset.lemma_names())
        ranks = " ".join(str(order.index(synset.offset()) + 1) for order in orders)
        seen = [counts.get(lemma.key(), 0) for lemma in synset.lemmas()]
        links = (" ".join(re.findall(rf" {symbol} (\d{{8}}) n", head)) for symbol in ("@", "@i"))
        definitions.append(re.split(r'; "', gloss.strip(), maxsplit=1)[0])
        names.update(lemma.lower() for lemma in lemmas)
        shown = " ".join(map(str, seen)) if any(seen) else ""
        yield "\t".join((str(synset.offset()), "|".join(lemmas), ranks, shown, *links))
    yield ""
    others = Counter[str]()
    for key, count in counts.items():
        word, _, sense = key.partition("%")
        others[word.replace("_", " ")] += 0 if sense.startswith("1") else count  # 1: a noun
    glosses = (line.partition(" | ")[2] for lines_of in text.values() for line in lines_of)
    found = _count(glosses, {*names, *(f"{name}s" for name in names)})
    for word in sorted(found.keys() | (others.keys() & names)):
        if found[word] or others[word]:
            yield f"{word}\t{found[word]}\t{others[word]}"
    yield ""
    yield from definitions


def file_lines(path: Path) -> list[str]:
    """Return the lines of a dict file after its licence, which is indented."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(" ")]


def _count(texts: Iterable[str], names: set[str]) -> Counter[str]:
    """Count names among all runs of one to three words."""
    counts: Counter[str] = Counter()
    for text in texts:
        words = re.findall(r"[a-z][a-z'-]*", text.lower())
        counts.update(filter(names.__contains__, words))
        counts.update(filter(names.__contains__, map(" ".join, pairwise(words))))
        counts.update(filter(names.__contains__, map(" ".join, zip(words, words[1:], words[2:], strict=False))))
    return counts


def _reader(folder: Path) -> Any:
    """Return nltk's reader of a folder, without files that Debian leaves out and that nothing here needs."""
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        def open(self, file: str) -> Any:
            if file == "lexnames":  # the names of lexicographers' files
                return StringIO("".join(f"{number:02d}\tnone\t1\n" for number in range(45)))
            return nltk.data.SeekableUnicodeStreamReader((folder / file).open("rb"), "utf8")

        def map_wn(self, version: str = "wordnet") -> None:
            pass  # other versions of WordNet are not looked up

    nltk.data.path.append(str(folder))  # it reads nothing elsewhere
    with warnings.catch_warnings(action="ignore"):  # of languages that it lacks
        return Reader(str(folder), None)


def write_table(table: Path, lines: Iterable[str]) -> None:
    """Write a table of the package, compressed and under WordNet's licence."""
    with replacing(table) as partial:
        partial.write_bytes(lzma.compress((_LICENCE + "\n".join(lines)).encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    write_table(TABLE, _table(Path(sys.argv[1])))
