"""Make the leaderboard: from the records in a folder to every form of the table."""

import re
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from taxbench.board.analysis.languages import compare_languages
from taxbench.board.board import Board, Reference
from taxbench.board.entries import make_entries, rank_rows
from taxbench.board.group_averages import group_averages
from taxbench.board.load import LoadedResults, load_predictions, load_records, results_of
from taxbench.board.page.page import page
from taxbench.board.references import references
from taxbench.board.render.exports import csv_text, json_text, latex_text
from taxbench.board.render.readme import readme
from taxbench.board.resampling import FILE, Resampled, differences, read_resamplings, resample, resamplings_text
from taxbench.board.rows import best_by_validation, grouped, make_table, row_key
from taxbench.specs.group import GroupSpec
from taxbench.util.paths import replacing
from taxbench.util.progress import Reporter

FIGURES = "figures"
"""The folder of its pictures."""
_OURS = re.compile(r"(counterfactual|heatmap|deprivation|sweep)-.*\.(png|pdf)")
FORMS = {"md": "README.md", "html": "index.html", "csv": "board.csv", "json": "board.json", "tex": "board.tex"}
"""The file of each form of the table."""


def make_board(
    found: LoadedResults,
    groups: Iterable[GroupSpec],
    known: MutableMapping[str, Resampled],
    shown: Sequence[Reference],
    report: Reporter,
    best_by: Literal["validation"] | None = None,
) -> Board:
    """Return the board of records.

    Args:
        known: Resamplings made before; those that are missing are made from predictions, and added.
        shown: Published scores to stand beside.
        best_by: Show one setting of every head: that of the best validation score.
    """
    made = resample(grouped(found.results), known, load_predictions, report)
    rows = make_table(found.results, {key: row.intervals for key, row in made.items()}, found.names, found.timings)
    rows = best_by_validation(rows) if best_by else rows
    replicates = {key: drawn for key, row in made.items() if (drawn := row.replicates()) is not None}
    rows = rank_rows(rows, replicates)
    entries = make_entries(rows, replicates)
    return Board(tuple(entries), tuple(rows), tuple(group_averages(rows, groups)), tuple(shown))


def build(root: Path, groups: Iterable[GroupSpec], report: Reporter) -> tuple[Path, ...]:
    """Write every form of the leaderboard beside its records; building again changes no byte.

    Returns:
        The files written.

    Raises:
        UsageError: there are no records.
        DataError: one is broken; `taxbench leaderboard check` says more.
        CacheError: the folder cannot be written.
    """
    from taxbench.board.render.paper_figures import figures  # matplotlib: only here

    board, files = _texts(load_records([results_of(root)]), groups, read_resamplings(root / FILE), report)
    files |= {f"{FIGURES}/{name}": content for name, content in figures(board, report).items()}
    for name, content in files.items():
        with replacing(root / name) as partial:
            partial.write_bytes(content)
    if not (root / FIGURES).is_symlink():
        for left in (root / FIGURES).iterdir():  # of a board that is no more
            if f"{FIGURES}/{left.name}" not in files and _OURS.fullmatch(left.name):
                left.unlink()
    return tuple(root / name for name in files)


def stale(root: Path, groups: Iterable[GroupSpec], report: Reporter) -> list[str]:
    """Return what of a leaderboard's text forms, and of the intervals it keeps, does not follow from its records.

    Pictures are not looked at: other versions of the libraries that draw them write other bytes.

    Raises:
        DataError: a record, or the file of resamplings, is damaged.
    """
    found, kept = load_records([results_of(root)]), read_resamplings(root / FILE)
    if differences(kept, resample(grouped(found.results), {}, load_predictions, report)):
        return [FILE]
    _, files = _texts(found, groups, kept, report)
    places = {root / name: content for name, content in files.items()}
    return [path.name for path, content in places.items() if not path.is_file() or path.read_bytes() != content]


def _texts(
    found: LoadedResults, groups: Iterable[GroupSpec], known: dict[str, Resampled], report: Reporter
) -> tuple[Board, dict[str, bytes]]:
    """Return the board and all its files but pictures."""
    board = make_board(found, groups, known, references(), report)
    spoken = compare_languages(found, on_board=True)
    for note in spoken.notes:
        report.say(note)
    board = replace(board, languages=spoken.findings)
    used = {key: known[key] for key in map(row_key, board.rows) if key in known}
    files = {FILE: resamplings_text(used)} | {name: board_text(board, form) for form, name in FORMS.items()}
    return board, {name: text.encode("utf-8") for name, text in files.items()}


def board_text(board: Board, form: str) -> str:
    """Return one form of the board, a key of `FORMS`."""
    makers: dict[str, Callable[[Board], str]] = {
        "md": readme, "html": page,
        "csv": lambda board: csv_text(board.rows), "json": json_text, "tex": latex_text,
    }  # fmt: skip
    return makers[form](board)
