"""Leaves, their hypernyms, and the TSV that people write them in."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from taxbench.errors import DataError

_FOLDER = ("folder", "wnid", "concept", "class")
_LEAF = ("leaf", "leaf_name", "leaf_form", "name")
_HYPERNYMS = "hypernyms"


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
        return {h: tuple(leaf for leaf in self.leaves if h in self.hypernyms_of[leaf]) for h in self.hypernyms}


@dataclass(frozen=True, slots=True)
class TaxonomyFile:
    """A taxonomy and the leaf that each image folder shows."""

    taxonomy: Taxonomy
    leaf_of_folder: Mapping[str, str]


def read_taxonomy(path: Path) -> TaxonomyFile:
    """Read a tab-separated file with a header: folder, leaf, hypernyms separated by `|`.

    Folders that share a leaf name become one leaf and must agree on its hypernyms. A leaf may have none: it is then
    asked by its own name only.

    Raises:
        DataError: the file is missing, has no such header, or contradicts itself; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"There is no taxonomy file '{path}'. Give one with --taxonomy FILE.tsv.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The taxonomy '{path}' cannot be read as UTF-8 text ({error}).") from None
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    folder_column, leaf_column = _columns(path, rows.fieldnames or [])
    hypernyms_of: dict[str, tuple[str, ...]] = {}
    leaf_of_folder: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        folder, leaf = (row[folder_column] or "").strip(), (row[leaf_column] or "").strip()
        hypernyms = tuple(sorted({part.strip() for part in (row[_HYPERNYMS] or "").split("|") if part.strip()}))
        if not (folder and leaf):
            raise DataError(f"{path}:{line}: expected a folder, a leaf and its hypernyms, found {row}")
        if folder in leaf_of_folder:
            raise DataError(f"{path}:{line}: the folder '{folder}' is listed twice")
        if hypernyms_of.setdefault(leaf, hypernyms) != hypernyms:
            raise DataError(f"{path}:{line}: the leaf '{leaf}' is listed twice with different hypernyms")
        leaf_of_folder[folder] = leaf
    if not leaf_of_folder:
        raise DataError(f"The taxonomy '{path}' lists no leaf.")
    return TaxonomyFile(Taxonomy(hypernyms_of), leaf_of_folder)


def _columns(path: Path, header: Sequence[str]) -> tuple[str, str]:
    folder = next((name for name in _FOLDER if name in header), None)
    leaf = next((name for name in _LEAF if name in header), folder)
    if folder is None or leaf is None or _HYPERNYMS not in header:
        raise DataError(
            f"{path}:1: expected a tab-separated header 'folder<TAB>leaf<TAB>hypernyms', found {list(header)}"
        )
    return folder, leaf
