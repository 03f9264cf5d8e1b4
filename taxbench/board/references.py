"""The published scores: every cell of arXiv 2603.07474, and its visual coherence by category."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxbench.board.board import Reference
from taxbench.datasets.dataset import first_twice
from taxbench.util.errors import DataError, did_you_mean
from taxbench.util.paths import PACKAGE, read_text

if TYPE_CHECKING:  # scipy comes with it, and the board needs none of that
    from taxbench.scoring.regression import Observation

SOURCE = "arXiv 2603.07474, public result files"
"""Where the published scores come from."""

_SIMILARITY = {
    "": ("original", "vc_original"),
    "-local-shuffled": ("within_category", "vc_within_shuffled"),
    "-shuffled": ("across_category", "vc_across_shuffled"),
    "-random": ("original", "vc_original"),
}
_TEXT = {"1b": "lm_text_f1_Qwen3-1.7B", "500m": "lm_text_f1_Qwen3-0.6B"}
"""The column with the text-only F1 of the LM that a system's name stands for; of the other LMs there is none."""
_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str, bool: "true".__eq__, int: int, float: float, float | None: lambda text: float(text) if text else None,
}  # fmt: skip
"""How a cell of the published scores is read, by the type of its field."""
_COLUMN = re.compile(r"f1_(.+)-things(-local-shuffled|-shuffled|-random|)")


def published_folder() -> Path:
    """Return the folder of the published scores: inside the wheel, or `leaderboard/published` of a source checkout."""
    shipped = PACKAGE / "_published"
    return shipped if shipped.is_dir() else PACKAGE.parent / "leaderboard" / "published"


@lru_cache(maxsize=1)
def references() -> tuple[Reference, ...]:
    """Return every published cell, in the order of the file."""
    path = published_folder() / "results.csv"
    return tuple(
        Reference(**{field.name: _PARSERS[field.type](cells[field.name]) for field in fields(Reference)})
        for _, cells in _lines(path)
    )


def read_coherence(path: Path) -> "list[Observation]":
    """Read F1, visual similarity and text-only F1 by category from a table laid out as the paper's own.

    One line a category; a column `f1_SYSTEM-things` for every system, with `-local-shuffled`, `-shuffled` or `-random`
    behind it: the last is the LM with random weights, here the system `SYSTEM-random`. It knows nothing from text: its
    text-only F1 is left open, as is that of LMs without a column.

    Raises:
        DataError: the file cannot be read, a column is missing, or a cell is no number.
    """
    from taxbench.scoring.regression import Observation

    found = []
    for where, cells in _lines(path):
        for name, match in ((name, _COLUMN.fullmatch(name)) for name in cells):
            if match is None or not cells[name].strip():
                continue
            system, variant = match.groups()
            pairing, similarity = _SIMILARITY[variant]
            text = "" if variant == "-random" else _TEXT.get(system.partition("+")[2], "")
            observation = Observation(
                category=_cell(cells, "category", where),
                system=f"{system}-random" if variant == "-random" else system,
                pairing=pairing,
                f1=_score(cells, name, where),
                similarity=_score(cells, similarity, where, -1),
                text_only=_score(cells, text, where) if cells.get(text, "").strip() else None,
            )
            found.append(observation)
    if not found:
        raise DataError(f"{path}: no column is named like f1_SYSTEM-things, or it has no line.")
    return found


def _lines(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the lines of a table with their places; the header is line 1."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        names = reader.fieldnames or []
        if twice := first_twice(list(names)):
            raise DataError(f"{path}:1: the column '{twice}' is duplicated.")
        if len(names) == 1 and ";" in names[0]:
            raise DataError(f"{path}:1: cells are separated by semicolons; expected commas.")
        for number, cells in enumerate(reader, start=2):
            if None in cells or None in cells.values():
                raise DataError(f"{path}:{number}: the line has fewer or more cells than the header.")
            yield f"{path}:{number}", cells
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table of comma-separated values: {error}") from error


def _cell(cells: dict[str, str], column: str, where: str) -> str:
    """Return a cell of a table; raise where the column is missing."""
    if column not in cells:
        raise DataError(f"{where}: the column '{column}' is missing.{did_you_mean(column, cells)}")
    return cells[column]


def _score(cells: dict[str, str], column: str, where: str, least: float = 0) -> float:
    """Return a cell of a table as a score; raise where it is empty, no number, or out of range."""
    text = _cell(cells, column, where).strip()
    if not text:
        raise DataError(f"{where}: the column '{column}' is empty.")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise DataError(f"{where}: '{text[:40]}' in the column '{column}' is not a number.")
    if not least <= value <= 1:
        raise DataError(f"{where}: the column '{column}' has {value:g}; expected {least:g} to 1.")
    return value
