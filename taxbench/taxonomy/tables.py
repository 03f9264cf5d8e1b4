"""Tab-separated tables: a header, then a row a line. There is no quoting, so that a stray `"` cannot swallow rows.

All text becomes Unicode's composed form (NFC): two spellings of the same letters are one name.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxbench.util.errors import DataError
from taxbench.util.paths import read_text, replacing

# Control characters, line and paragraph separators, and what stands for bytes that are no UTF-8.
_UNWRITABLE = ("Cc", "Zl", "Zp", "Cs")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table with their lines in the file; the cells of each by column."""

    line: int
    """Where the header is."""
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def read_table(path: Path, hint: str = "") -> Table:
    """Read a table; lines that begin with `#` above the header are comments, blank lines are no rows.

    Args:
        hint: What to add where a row has too few or too many cells.

    Raises:
        DataError: it cannot be read as text, names a column twice, or a row does not fit; with the line.
    """
    # Not splitlines(), which also breaks lines at characters that may stand in a cell.
    text = normal(read_text(path)).split("\n")
    lines = [(number, line) for number, line in enumerate(text, start=1) if line.strip()]
    while lines and lines[0][1].startswith("#"):
        del lines[0]
    if not lines:
        return Table(1, (), ())
    (top, header), *rest = lines
    columns = _cells(path, top, header)
    if len(set(columns)) < len(columns):
        raise DataError(f"{path}:{top}: expected a header that names every column once, found {columns}")
    rows = []
    for line, row in rest:
        cells = _cells(path, line, row)
        if len(cells) != len(columns):
            raise DataError(f"{path}:{line}: expected {len(columns)} cells between tabs, found {len(cells)}{hint}")
        rows.append((line, dict(zip(columns, cells, strict=True))))
    return Table(top, tuple(columns), tuple(rows))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table that `read_table` reads back.

    Raises:
        DataError: a cell cannot be written, such as one with a tab in it.
        CacheError: the file cannot be written.
    """
    table = [columns, *rows]
    for cell in (cell for row in table for cell in row):
        if problem := unwritable(cell):
            raise DataError(f"'{path}' cannot hold {cell!r}, which {problem}. Rename it and run again.")
    with replacing(path) as partial:
        partial.write_text("".join("\t".join(map(_quoted, row)) + "\n" for row in table), encoding="utf-8")


def unwritable(cell: str) -> str:
    """Say why a cell could not be read back; the empty string where it can."""
    if not cell.isprintable() and any(unicodedata.category(letter) in _UNWRITABLE for letter in cell):
        return "has a control character (tab, line break, ...) or is not UTF-8"
    return "begins or ends with a blank" if cell != cell.strip() else ""


def normal(text: str) -> str:
    """Return text in Unicode's composed form."""
    return unicodedata.normalize("NFC", text)


def _cells(path: Path, line: int, text: str) -> list[str]:
    """Return the cells of a table's tab-separated line, without quotes around whole ones."""
    cells = []
    for cell in map(str.strip, text.split("\t")):
        if cell.startswith('"'):  # R and spreadsheets put whole cells in quotes
            if len(cell) < 2 or not cell.endswith('"'):
                raise DataError(f"{path}:{line}: the cell {cell[:40]!r} begins with a quote that does not end it")
            cell = cell[1:-1].replace('""', '"').strip()
        cells.append(cell)
    return cells


def _quoted(cell: str) -> str:
    """Return a cell of a tab-separated table in quotes where it begins with one."""
    return '"' + cell.replace('"', '""') + '"' if cell.startswith('"') else cell
