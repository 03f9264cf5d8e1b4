"""Leaves, their hypernyms, and the TSV that people write them in."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from taxbench.errors import DataError, UsageError
from taxbench.paths import replacing

WORDNET = "wordnet"
"""What --taxonomy says in place of a file to have the taxonomy made from WordNet."""

_FOLDER = ("folder", "wnid", "concept", "class")
_LEAF = ("leaf", "leaf_name", "leaf_form", "name")
_HYPERNYMS = "hypernyms"
_FORM = "form"


@dataclass(frozen=True)
class Taxonomy:
    """The hypernyms of every leaf."""

    hypernyms_of: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str] = field(default_factory=dict)
    """What a leaf is called where that is not its id; leaves may share a name (THINGS has three batons)."""

    def spoken(self, leaf: str) -> str:
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
    """What a person should look at, where the taxonomy was made by a program."""


@dataclass(frozen=True, slots=True)
class Row:
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
    for row in read_rows(path):
        if hypernyms_of.setdefault(row.leaf, row.hypernyms) != row.hypernyms:
            raise DataError(f"{path}:{row.line}: the leaf '{row.leaf}' is listed twice with different hypernyms")
        leaf_of_folder[row.folder] = row.leaf
    return TaxonomyFile(Taxonomy(hypernyms_of), leaf_of_folder)


def read_rows(path: Path) -> list[Row]:
    """Read the lines of a taxonomy file; those that begin with `#` above the header are comments.

    Raises:
        UsageError: there is no such file.
        DataError: it has no header that is understood, or lists a folder twice; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"There is no taxonomy file '{path}'. Give one with --taxonomy FILE.tsv.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The taxonomy '{path}' cannot be read as UTF-8 text ({error}).") from None
    lines = text.splitlines()
    above = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    table = csv.DictReader(lines[above:], delimiter="\t")
    folder_column, leaf_column = _columns(path, above + 1, table.fieldnames or [])
    rows: list[Row] = []
    seen: set[str] = set()
    for cells in table:
        line = above + table.line_num
        folder, leaf = (cells[folder_column] or "").strip(), (cells[leaf_column] or "").strip()
        if not (folder and leaf):
            raise DataError(f"{path}:{line}: expected a folder, a leaf and its hypernyms, found {cells}")
        if folder in seen:
            raise DataError(f"{path}:{line}: the folder '{folder}' is listed twice")
        seen.add(folder)
        rows.append(Row(line, folder, leaf, _split(cells[_HYPERNYMS]), (cells.get(_FORM) or "").strip()))
    if not rows:
        raise DataError(f"The taxonomy '{path}' lists no leaf.")
    return rows


def write_taxonomy(path: Path, listed: TaxonomyFile) -> None:
    """Write a file that `read_taxonomy` reads back, sorted by folder.

    Raises:
        CacheError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(("folder", "leaf", _HYPERNYMS))
    for folder, leaf in sorted(listed.leaf_of_folder.items()):
        table.writerow((folder, leaf, "|".join(listed.taxonomy.hypernyms_of[leaf])))
    with replacing(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


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
    from taxbench.data.wordnet_taxonomy import wordnet_taxonomy

    made = wordnet_taxonomy(classes)
    said = (
        f"The hypernyms are made from WordNet, with {len(made.notes)} points to look at: 'taxbench taxonomy LEAVES "
        "--out FILE.tsv' lists them and writes a file to be edited."
    )
    return replace(made, notes=(said,) if made.notes else ())


def keep_leaves(taxonomy: Taxonomy, present: Iterable[str]) -> Taxonomy:
    """Return the taxonomy of some of the leaves."""
    kept = set(present)
    return Taxonomy(
        {leaf: group for leaf, group in taxonomy.hypernyms_of.items() if leaf in kept},
        {leaf: name for leaf, name in taxonomy.names.items() if leaf in kept},
    )


def _split(cell: str | None) -> tuple[str, ...]:
    return tuple(sorted({part.strip() for part in (cell or "").split("|") if part.strip()}))


def _columns(path: Path, line: int, header: Sequence[str]) -> tuple[str, str]:
    folder = next((name for name in _FOLDER if name in header), None)
    leaf = next((name for name in _LEAF if name in header), folder)
    if folder is None or leaf is None or _HYPERNYMS not in header:
        raise DataError(
            f"{path}:{line}: expected a tab-separated header 'folder<TAB>leaf<TAB>hypernyms', found {list(header)}"
        )
    return folder, leaf
