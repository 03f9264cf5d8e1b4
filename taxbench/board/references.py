"""The published scores: every cell of arXiv 2603.07474, and its visual coherence by category."""

import csv
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

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
_COLUMN = re.compile(r"f1_(.+)-things(-local-shuffled|-shuffled|-random|)")


def published_folder() -> Path:
    """Return the folder of the published scores: inside the wheel, or `leaderboard/published` of a source checkout."""
    shipped = PACKAGE / "_published"
    return shipped if shipped.is_dir() else PACKAGE.parent / "leaderboard" / "published"


@lru_cache(maxsize=1)
def references() -> tuple[Reference, ...]:
    """Return every published cell, in the order of the file.

    Raises:
        DataError: the file is damaged.
    """
    path = published_folder() / "results.csv"
    return tuple(_reference(path, number, cells) for number, cells in _lines(path))


def _reference(path: Path, number: int, cells: dict[str, str]) -> Reference:
    """Return one line of the table of published scores as a reference."""
    return Reference(
        dataset=_text(path, cells, "dataset"),
        encoder=_text(path, cells, "encoder"),
        lm=_text(path, cells, "lm"),
        random_lm=_text(path, cells, "random_lm") == "true",
        deprivation=_text(path, cells, "deprivation"),
        level=_number(path, number, cells, "level"),
        pairing=_text(path, cells, "pairing"),
        split=_text(path, cells, "split"),
        f1=_known(path, number, cells, "f1"),
        sd=_number(path, number, cells, "sd"),
        two_class_sd=_number(path, number, cells, "two_class_sd"),
        n_seeds=int(_known(path, number, cells, "n_seeds")),
        two_class_f1=_number(path, number, cells, "two_class_f1"),
        chance_f1=_number(path, number, cells, "chance_f1"),
        n_categories=int(_known(path, number, cells, "n_categories")),
        source=_text(path, cells, "source"),
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
    for number, cells in _lines(path):
        for name, match in ((name, _COLUMN.fullmatch(name)) for name in cells):
            if match is None or not cells[name].strip():
                continue
            system, variant = match.groups()
            pairing, similarity = _SIMILARITY[variant]
            text = None if variant == "-random" else _TEXT.get(system.partition("+")[2])
            observation = Observation(
                category=_text(path, cells, "category"),
                system=f"{system}-random" if variant == "-random" else system,
                pairing=pairing,
                f1=_score(path, number, cells, name, 0),
                similarity=_score(path, number, cells, similarity, -1),
                text_only=None if not text or not cells.get(text, "").strip() else _score(path, number, cells, text, 0),
            )
            found.append(observation)
    if not found:
        raise DataError(f"{path}: no column is named like f1_SYSTEM-things, or it has no line.")
    return found


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a table with their numbers; the header is line 1."""
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
            yield number, cells
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table of comma-separated values: {error}") from error


def _text(path: Path, cells: dict[str, str], column: str) -> str:
    """Return a cell of a table of published scores as text; raise where the column is missing."""
    if column not in cells:
        raise DataError(f"{path}: the column '{column}' is missing.{did_you_mean(column, cells)}")
    return cells[column]


def _number(path: Path, number: int, cells: dict[str, str], column: str) -> float | None:
    """Return a cell of a table of published scores as a number, None where it is empty."""
    text = _text(path, cells, column)
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = float("nan")
    if value is not None and not -1e9 < value < 1e9:  # so is nan
        raise DataError(f"{path}:{number}: '{text[:40]}' in the column '{column}' is not a number.")
    return value


def _score(path: Path, number: int, cells: dict[str, str], column: str, least: float) -> float:
    """Return a cell of a table of published scores as a score; raise where it is out of range."""
    value = _known(path, number, cells, column)
    if not least <= value <= 1:
        raise DataError(f"{path}:{number}: the column '{column}' has {value:g}; expected {least:g} to 1.")
    return value


def _known(path: Path, number: int, cells: dict[str, str], column: str) -> float:
    """Return a cell of a table of published scores as a number; raise where it is empty."""
    value = _number(path, number, cells, column)
    if value is None:
        raise DataError(f"{path}:{number}: the column '{column}' is empty.")
    return value
