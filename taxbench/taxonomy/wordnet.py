"""Read the noun synsets of WordNet 3.0 from a local folder.

WordNet is the one source of taxonomic knowledge in the package: the text-only LM is trained on it, the leak guard
takes synonyms from it, and taxonomies of image folders are made from it. Two homes are known: Debian's `wordnet-base`
(bare dict files) and nltk's download.
nltk says where to look and downloads. Its reader, WordNetCorpusReader, is the tests' reference and not what reads:
- hypernyms come in the order of a set of strings, another one in each process, for a thousand synsets;
- 116 glosses lose what they quote: 'significant progress (especially in the phrase )';
- all nouns take 7 to 10 s instead of 2.5, and their counts in SemCor, each searched for in a file, 20 s more;
- it wants `lexnames` and `index.sense`, which Debian leaves out, and folders on its search path only.
Format: wndb(5WN).
"""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nltk.data import path as nltk_search_path

from taxbench.util.errors import DataError, first_line

DEBIAN_FOLDER = Path("/usr/share/wordnet")


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
    texts: tuple[str, ...]
    """Glosses with examples of every part of speech, as running text for word counts."""
    at_offset: dict[int, int] = field(default_factory=dict)
    """Offset in data.noun -> position: ImageNet's n01443537 is the synset at 1443537."""

    def position(self, key: str) -> int:
        """Return the position of the synset with this WordNet name; raise DataError when there is none."""
        for index in self.senses.get(key.split(".")[0].replace("_", " "), ()):
            if self.synsets[index].key == key:
                return index
        raise DataError(f"WordNet has no noun synset '{key}'. Expected a name such as crow.n.01.")


@dataclass(frozen=True, slots=True)
class _Record:
    """One line of data.noun, its links still file offsets."""

    words: tuple[str, ...]
    sense_keys: tuple[str, ...]
    hypernyms: tuple[int, ...]
    instance_of: tuple[int, ...]
    gloss: str


def find_wordnet() -> Path:
    """Return the folder that holds WordNet's dict files: nltk's download if there is one, else Debian's.

    Where there is neither, nltk downloads it, unless HF_HUB_OFFLINE or TAXBENCH_OFFLINE is set.

    Raises:
        DataError: it is nowhere; says how to install it.
    """
    found = _look()
    if found is None and not (os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TAXBENCH_OFFLINE")):
        _download()
        found = _look()
    if found is None:
        raise DataError(
            f"WordNet is not installed: no data.noun under {DEBIAN_FOLDER} or in nltk's folders. "
            "Install it with `apt-get install wordnet-base` or `python -m nltk.downloader wordnet`."
        )
    return found


def _look() -> Path | None:
    """Return an installed WordNet's folder, unpacking nltk's archive if need be; None where there is none."""
    candidates = [Path(root) / "corpora" / "wordnet" for root in nltk_search_path]
    for folder in [*candidates, DEBIAN_FOLDER]:
        archive = folder.with_suffix(".zip")
        if archive.is_file() and not folder.is_dir():  # nltk's downloader leaves it packed
            try:
                with zipfile.ZipFile(archive) as packed:
                    packed.extractall(archive.parent)
            except (OSError, zipfile.BadZipFile) as error:
                raise DataError(f"'{archive}' cannot be unpacked ({error}). Remove it and run again.") from None
        if (folder / "data.noun").is_file():
            return folder
    return None


def _download() -> None:
    """Let nltk download WordNet; without network it says nothing and changes nothing."""
    import nltk

    with suppress(OSError, ValueError):
        nltk.download("wordnet", quiet=True)


def read_nouns(folder: Path | None = None) -> Nouns:
    """Read every noun synset, in the order of the file.

    Raises:
        DataError: WordNet is missing, incomplete or damaged.
    """
    folder = folder or find_wordnet()
    if not (folder / "data.noun").is_file():
        raise DataError(f"{folder} holds no WordNet (no data.noun). Try `apt-get install wordnet-base`.")
    try:
        return _read(folder)
    except (OSError, LookupError, ValueError) as error:
        raise DataError(
            f"The WordNet in '{folder}' cannot be read ({type(error).__name__}: {first_line(error)}): a file is "
            "missing or damaged. Install it again with `apt-get install --reinstall wordnet-base`, or give another "
            "folder."
        ) from None


def _read(folder: Path) -> Nouns:
    """Read WordNet's noun synsets with lemmas, links and SemCor counts from a folder of dict files."""
    records = dict(_read_records(folder))
    position = {offset: index for index, offset in enumerate(records)}
    senses = {name: tuple(position[offset] for offset in offsets) for name, offsets in _read_senses(folder)}
    counts = _read_counts(folder)
    synsets = []
    for index, record in enumerate(records.values()):
        first = record.words[0].lower()
        number = senses[first.replace("_", " ")].index(index) + 1
        synsets.append(
            NounSynset(
                key=f"{first}.n.{number:02d}",
                lemmas=tuple(word.replace("_", " ") for word in record.words),
                gloss=record.gloss,
                hypernyms=tuple(position[offset] for offset in record.hypernyms),
                instance_of=tuple(position[offset] for offset in record.instance_of),
                counts=tuple(counts.get(key, 0) for key in record.sense_keys),
            )
        )
    return Nouns(tuple(synsets), senses, _count_other_uses(counts), tuple(_read_texts(folder)), position)


def _lines(path: Path) -> list[str]:
    """Return the lines of a dict file after its licence, which is indented."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(" ")]


def _read_records(folder: Path) -> Iterator[tuple[int, _Record]]:
    """Yield offset and content of each noun synset."""
    for line in _lines(folder / "data.noun"):
        head, _, text = line.partition(" | ")
        fields = head.split()
        end = 4 + 2 * int(fields[3], 16)
        words = tuple(fields[4:end:2])
        keys = tuple(
            f"{word.lower()}%1:{fields[1]}:{int(lex, 16):02d}::"
            for word, lex in zip(words, fields[5:end:2], strict=True)
        )
        links = [tuple(fields[start : start + 2]) for start in range(end + 1, end + 1 + 4 * int(fields[end]), 4)]
        above = tuple(int(offset) for symbol, offset in links if symbol == "@")
        instance_of = tuple(int(offset) for symbol, offset in links if symbol == "@i")
        definition = re.split(r'; "', text.strip(), maxsplit=1)[0]
        yield int(fields[0]), _Record(words, keys, above, instance_of, definition)


def _read_senses(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield each noun of index.noun with the offsets of its synsets in sense order."""
    for line in _lines(folder / "index.noun"):
        fields = line.split()
        yield fields[0].replace("_", " "), [int(offset) for offset in fields[-int(fields[2]) :]]


def _read_counts(folder: Path) -> dict[str, int]:
    """Return sense key -> occurrences in SemCor."""
    return {key: int(count) for key, _, count in (line.split() for line in _lines(folder / "cntlist.rev"))}


def _count_other_uses(counts: dict[str, int]) -> dict[str, int]:
    """Add up the SemCor counts of each word over its meanings that are not nouns (%1 in a sense key)."""
    uses: dict[str, int] = {}
    for key, count in counts.items():
        word, _, sense = key.partition("%")
        if not sense.startswith("1"):
            name = word.replace("_", " ")
            uses[name] = uses.get(name, 0) + count
    return uses


def _read_texts(folder: Path) -> Iterator[str]:
    """Yield the gloss and examples of every synset of every part of speech."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in _lines(folder / f"data.{part}"):
            yield line.partition(" | ")[2].strip()
