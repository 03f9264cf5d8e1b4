"""What is true of leaves besides hypernyms, and the TSV that people write it in: `leaf`, then a column a property.

A cell is a number, yes or no, or words separated by `|`; empty is unknown, and is never asked. What a column holds
follows from most of its cells. Lines with # above the header are for people: sources, units, licences.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from taxbench.taxonomy.tables import read_table
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few

Kind = Literal["numbers", "yes or no", "words"]
Value = float | bool | frozenset[str]
"""Of a column of numbers, of yes or no, of words."""

_LEAF = "leaf"
_ANSWERS = {"yes": True, "no": False}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_UNITS = "Write numbers only, all in one unit, and the unit into the column's name, such as length_cm"


@dataclass(frozen=True, slots=True)
class PropertyColumn:
    """One property."""

    kind: Kind
    values: Mapping[str, Value]
    """By leaf; unknown where a leaf is missing."""


@dataclass(frozen=True, slots=True)
class PropertyTable:
    """What is known of leaves, by property."""

    columns: Mapping[str, PropertyColumn] = field(default_factory=dict)


def read_properties(path: Path, leaves: Collection[str]) -> PropertyTable:
    """Read a table of properties; leaves may be missing from it.

    Args:
        leaves: Those of the data set.

    Raises:
        UsageError: there is no such file.
        DataError: it has no header that is understood, names what is no leaf, or a leaf twice; a cell is not what its
            column holds, or a column says the same of all leaves; with the line and the column.
    """
    if not path.is_file():
        raise UsageError(f"No such property file: '{path}'. Give one with --properties FILE.tsv.")
    table = read_table(path)
    if _LEAF not in table.columns or len(table.columns) < 2:
        expected = "expected a tab-separated header 'leaf<TAB>PROPERTY...'"
        raise DataError(f"{path}:{table.line}: {expected}, found {list(table.columns)}")
    lines: dict[str, int] = {}
    for line, cells in table.rows:
        leaf = cells[_LEAF]
        if leaf not in leaves:
            known = f"{did_you_mean(leaf, leaves)} Its {len(leaves)} leaves: {first_few(leaves)}."
            raise DataError(f"{path}:{line}: the data set has no leaf '{leaf}'.{known}")
        if lines.setdefault(leaf, line) != line:
            raise DataError(f"{path}:{line}: the leaf '{leaf}' is listed in line {lines[leaf]} already")
    columns = {}
    for name in (name for name in table.columns if name != _LEAF):
        filled = [(line, cells[_LEAF], cells[name]) for line, cells in table.rows if cells[name]]
        columns[name] = _column(path, table.line, name, filled)
    return PropertyTable(columns)


def _column(path: Path, header: int, name: str, cells: list[tuple[int, str, str]]) -> PropertyColumn:
    """Return one column of a property table, of (line, leaf, text) where a cell is not empty."""
    kinds = Counter(_kind(text) for _, _, text in cells)
    kind = kinds.most_common(1)[0][0] if kinds else "words"
    values: dict[str, Value] = {}
    for line, leaf, text in cells:
        where = f"{path}:{line}: column '{name}'"
        if kind == "words":
            values[leaf] = frozenset(part.strip() for part in text.split("|") if part.strip())
        elif kind == "yes or no":
            if (answer := _ANSWERS.get(text.lower())) is None:
                raise DataError(f"{where}: expected yes, no or nothing, as in other lines, found '{text}'")
            values[leaf] = answer
        elif _NUMBER.fullmatch(text):
            values[leaf] = float(text)
        else:
            hint = f". {_UNITS}" if text[0].isdigit() else ", or nothing where it is unknown"
            raise DataError(f"{where}: expected a number{hint}; found '{text}'")
    if len(set(values.values())) < 2:
        only = f"says '{cells[0][2]}' of every leaf" if cells else "is empty"
        raise DataError(f"{path}:{header}: the column '{name}' {only}: there is nothing to tell apart. Leave it out.")
    return PropertyColumn(kind, values)


def _kind(text: str) -> Kind:
    """Return what a cell looks like; "12 cm" is meant as a number."""
    if text.lower() in _ANSWERS:
        return "yes or no"
    return "numbers" if re.match(r"[+-]?\.?\d", text) else "words"
