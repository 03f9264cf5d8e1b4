"""Leaves, their hypernyms, and the TSV that people write them in."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from taxbench.taxonomy.tables import read_table, unwritable, write_table
from taxbench.util.errors import DataError, UsageError, first_few

WORDNET = "wordnet"
"""What --taxonomy says in place of a file to have the taxonomy made from WordNet."""

_FOLDER = ("folder", "wnid", "concept", "class")
_LEAF = ("leaf", "leaf_name", "leaf_form", "name")
_HYPERNYMS = "hypernyms"
_FORM = "form"
# Letters of a name that is asked; a longer cell is a slip, such as a file without its tabs.
_LONGEST = 200


@dataclass(frozen=True)
class Taxonomy:
    """The hypernyms of every leaf."""

    hypernyms_of: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str] = field(default_factory=dict)
    """What a leaf is called where that is not its id; leaves may share a name (THINGS has three batons)."""

    def display_name(self, leaf: str) -> str:
        """Return the name that is asked for a leaf."""
        return self.names.get(leaf, leaf)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Return all leaves, sorted."""
        return tuple(sorted(self.hypernyms_of))

    @cached_property
    def hypernyms(self) -> tuple[str, ...]:
        """Return all hypernyms, sorted."""
        return tuple(sorted({hypernym for group in self.hypernyms_of.values() for hypernym in group}))

    @cached_property
    def leaves_of(self) -> dict[str, tuple[str, ...]]:
        """Return the leaves under every hypernym."""
        found: dict[str, list[str]] = {hypernym: [] for hypernym in self.hypernyms}
        for leaf in self.leaves:
            for hypernym in self.hypernyms_of[leaf]:
                found[hypernym].append(leaf)
        return {hypernym: tuple(leaves) for hypernym, leaves in found.items()}


@dataclass(frozen=True, slots=True)
class TaxonomyFile:
    """A taxonomy and the leaf that each image folder shows."""

    taxonomy: Taxonomy
    leaf_of_folder: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What a person should look at: names that nobody would say, or senses that a program chose."""


@dataclass(frozen=True, slots=True)
class TaxonomyRow:
    """One line of a taxonomy file."""

    line: int
    folder: str
    leaf: str
    hypernyms: tuple[str, ...]
    form: str = ""
    """The leaf with its article, where the file has a column for that."""


def read_taxonomy(path: Path) -> TaxonomyFile:
    """Read a tab-separated file with a header: folder, leaf, hypernyms separated by `|`.

    Folders that share a leaf name become one leaf and must agree on its hypernyms. A leaf may have none: it is then
    asked by its own name only.

    Raises:
        UsageError: there is no such file.
        DataError: it has no such header, or contradicts itself; with the line.
    """
    hypernyms_of: dict[str, tuple[str, ...]] = {}
    leaf_of_folder: dict[str, str] = {}
    odd: dict[str, str] = {}
    for row in read_rows(path):
        for term in (row.leaf, *row.hypernyms):
            if problem := _unspoken(term):
                odd.setdefault(term, f"{term!r} in line {row.line} ({problem})")
        if hypernyms_of.setdefault(row.leaf, row.hypernyms) != row.hypernyms:
            raise DataError(f"{path}:{row.line}: the leaf '{row.leaf}' is listed twice with different hypernyms")
        leaf_of_folder[row.folder] = row.leaf
    note = f"{path}: nobody says {first_few(odd.values())}. They are asked as they stand; better rename them."
    return TaxonomyFile(Taxonomy(hypernyms_of), leaf_of_folder, (note,) if odd else ())


def read_rows(path: Path) -> list[TaxonomyRow]:
    """Read the lines of a taxonomy file; those that begin with `#` above the header are comments.

    Raises:
        UsageError: there is no such file.
        DataError: it has no header that is understood, lists a folder twice, names terms that differ only by case, or
            a row does not fit; with the line.
    """
    if not path.exists():
        raise UsageError(f"No such taxonomy file: '{path}'. Give one with --taxonomy FILE.tsv.")
    table = read_table(path, f"; {_HYPERNYMS} are separated by '|'")
    folder_column, leaf_column = _columns(path, table.line, table.columns)
    rows: list[TaxonomyRow] = []
    folders: set[str] = set()
    leaves: dict[str, tuple[str, int]] = {}
    hypernyms: dict[str, tuple[str, int]] = {}
    for line, cells in table.rows:
        row = TaxonomyRow(
            line, cells[folder_column], cells[leaf_column], _split(cells[_HYPERNYMS]), cells.get(_FORM, "")
        )
        if not (row.folder and row.leaf):
            raise DataError(f"{path}:{line}: expected a folder, a leaf and its hypernyms, found {list(cells.values())}")
        if row.folder in folders:
            raise DataError(f"{path}:{line}: the folder '{row.folder}' is listed twice")
        folders.add(row.folder)
        _check_term(f"{path}:{line}: the leaf", row.leaf, line, leaves)
        for hypernym in row.hypernyms:
            _check_term(f"{path}:{line}: the hypernym", hypernym, line, hypernyms)
        rows.append(row)
    if not rows:
        raise DataError(f"The taxonomy '{path}' lists no leaf.")
    return rows


def write_taxonomy(path: Path, listed: TaxonomyFile) -> None:
    """Write a file that `read_taxonomy` reads back, sorted by folder.

    Raises:
        DataError: a name cannot be written, such as one with a tab in it.
        CacheError: the file cannot be written.
    """
    rows = [
        (folder, leaf, "|".join(listed.taxonomy.hypernyms_of[leaf]))
        for folder, leaf in sorted(listed.leaf_of_folder.items())
    ]
    write_table(path, ("folder", "leaf", _HYPERNYMS), rows)


def keep_leaves(taxonomy: Taxonomy, present: Iterable[str]) -> Taxonomy:
    """Return the taxonomy of some of the leaves."""
    kept = set(present)
    return Taxonomy(
        {leaf: group for leaf, group in taxonomy.hypernyms_of.items() if leaf in kept},
        {leaf: name for leaf, name in taxonomy.names.items() if leaf in kept},
    )


def _split(cell: str) -> tuple[str, ...]:
    """Return the hypernyms in a cell of a taxonomy file, sorted, each once."""
    return tuple(sorted({part.strip() for part in cell.split("|") if part.strip()}))


def _check_term(what: str, term: str, line: int, seen: dict[str, tuple[str, int]]) -> None:
    """Refuse what cannot be asked, and a term that was spelled otherwise before."""
    if not any(map(str.isalnum, term)):
        raise DataError(f"{what} '{term}' is not a word: it has no letter or digit")
    if len(term) > _LONGEST:
        raise DataError(f"{what} '{term[:40]}...' has {len(term)} letters; expected a name of at most {_LONGEST}")
    if problem := unwritable(term):
        raise DataError(f"{what} {term!r} {problem}")
    before, where = seen.setdefault(term.casefold(), (term, line))
    if before != term:
        raise DataError(f"{what} '{term}' differs only by case from '{before}' in line {where}. Write both the same.")


# What no person would say in a question, in names as data sets and programs spell them.
_UNSPOKEN = {
    r"[,;]": "several names",
    r"_": "an underscore",
    r"\.[nvars]\.\d\d$": "a synset of WordNet",
    r"^\d+[._ -]": "a number in front",
    r"\bn\d{8}\b|^\d{8}-n$": "a number of WordNet",
    r"\.(?i:jpe?g|png|webp)$": "the name of a file",
    r"[/<>|\\]|%[0-9A-Fa-f]{2}": "a sign",
    r"^(?i:an?|the) ": "an article",
    r"^(?i:nan|none|null)$": "an empty cell",
}


def _unspoken(term: str) -> str:
    """Say why nobody would say a name; the empty string where somebody would."""
    if any(letter != " " and unicodedata.category(letter) in ("Cf", "Zs") for letter in term):
        return "an invisible letter"
    return next((what for pattern, what in _UNSPOKEN.items() if re.search(pattern, term)), "")


def _columns(path: Path, line: int, header: Sequence[str]) -> tuple[str, str]:
    """Return the names of the columns of folders and of leaves in a taxonomy file's header."""
    folder = next((name for name in _FOLDER if name in header), None)
    leaf = next((name for name in _LEAF if name in header), folder)
    if folder is None or leaf is None or _HYPERNYMS not in header:
        raise DataError(
            f"{path}:{line}: expected a tab-separated header 'folder<TAB>leaf<TAB>hypernyms', found {list(header)}"
        )
    return folder, leaf
