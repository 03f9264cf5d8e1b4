"""Make the leaderboard: from the records in a folder to every form of the table."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from taxbench.board.entries import make_entries
from taxbench.board.forms.exports import csv_text, json_text, latex_text
from taxbench.board.forms.readme import readme
from taxbench.board.found import RESULTS, Found, find
from taxbench.board.groups import group_averages
from taxbench.board.model import Board, Reference
from taxbench.board.page.page import page
from taxbench.board.references import references
from taxbench.board.resampling import FILE, Resamplings, read_resamplings, resample, write_resamplings
from taxbench.board.table import grouped, make_table
from taxbench.paths import replacing
from taxbench.progress import Reporter
from taxbench.specs.task import GroupSpec

FIGURES = "figures"
"""The folder of its pictures."""
FORMS = {"md": "README.md", "html": "index.html", "csv": "board.csv", "json": "board.json", "tex": "board.tex"}
"""The file of each form of the table."""


def make_board(
    found: Found, groups: Iterable[GroupSpec], known: Resamplings, shown: Sequence[Reference], report: Reporter
) -> tuple[Board, Resamplings]:
    """Return the board of records, and the resamplings behind its intervals.

    Args:
        known: Resamplings made before; those that are missing are made from predictions.
        shown: Published figures to stand beside.
    """
    made = resample(grouped(found.results), known, found.predictions, report)
    intervals = {key: row.intervals for key, row in made.rows.items()}
    rows = make_table(found.results, intervals, found.names)
    entries = make_entries(rows, {key: row.replicates() for key, row in made.rows.items()})
    board = Board(tuple(entries), tuple(rows), tuple(group_averages(rows, groups)), tuple(shown))
    return board, made


def build(root: Path, groups: Iterable[GroupSpec], report: Reporter) -> tuple[Path, ...]:
    """Write every form of the leaderboard beside its records; building again changes no byte.

    Returns:
        The files written.

    Raises:
        UsageError: there are no records.
        DataError: one is broken; `taxbench leaderboard check` says more.
        CacheError: the folder cannot be written.
    """
    from taxbench.board.forms.figures import figures  # matplotlib: only here

    found = find([root / RESULTS])
    board, resamplings = make_board(found, groups, read_resamplings(root / FILE), references(), report)
    write_resamplings(root / FILE, resamplings)
    files = {name: board_text(board, form).encode("utf-8") for form, name in FORMS.items()}
    files |= {f"{FIGURES}/{name}": content for name, content in figures(board).items()}
    for name, content in files.items():
        with replacing(root / name) as partial:
            partial.write_bytes(content)
    for left in (root / FIGURES).glob("*.p[nd][gf]"):  # of a board that is no more
        if f"{FIGURES}/{left.name}" not in files:
            left.unlink()
    return (root / FILE, *(root / name for name in files))


def board_text(board: Board, form: str) -> str:
    """Return one form of the board, a key of `FORMS`."""
    makers: dict[str, Callable[[Board], str]] = {
        "md": lambda board: readme(board, FIGURES),
        "html": page,
        "csv": lambda board: csv_text(board.rows),
        "json": json_text,
        "tex": latex_text,
    }
    return makers[form](board)
