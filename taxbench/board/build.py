"""Make the leaderboard: from the records in a folder to every form of the table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxbench.board.entries import make_entries
from taxbench.board.exports import csv_text, json_text, latex_text
from taxbench.board.groups import group_averages
from taxbench.board.model import Board, Reference
from taxbench.board.page import page
from taxbench.board.readme import readme
from taxbench.board.references import references
from taxbench.board.resampling import FILE, Resamplings, read_resamplings, resample, write_resamplings
from taxbench.board.table import grouped, make_table, record_key
from taxbench.errors import DataError, UsageError
from taxbench.paths import replacing
from taxbench.progress import Reporter
from taxbench.scoring.predictions import Predictions, read_predictions
from taxbench.scoring.records import find_results, read_result, result_folder
from taxbench.specs.result import Result
from taxbench.specs.task import GroupSpec

RESULTS = "results"
"""The folder of a leaderboard that holds its records."""
FIGURES = "figures"
"""The folder of its pictures."""
FORMS = {"md": "README.md", "html": "index.html", "csv": "board.csv", "json": "board.json", "tex": "board.tex"}
"""The file of each form of the table."""


@dataclass(frozen=True, slots=True)
class Found:
    """Records on disk."""

    results: tuple[Result, ...]
    folders: Mapping[str, Path]
    """Where each lies, by `record_key`."""
    names: Mapping[str, str]
    """The same, below the folder that was searched."""

    def predictions(self, result: Result) -> Predictions:
        """Return the predictions of a record.

        Raises:
            DataError: they are missing, broken, or not those that the record names.
        """
        path = self.folders[record_key(result)] / "predictions.npz"
        predictions = read_predictions(path)
        if result.predictions and predictions.questions_digest() != result.predictions.questions:
            raise DataError(f"'{path}' does not belong to the record beside it. Run it again: taxbench run")
        return predictions


def find(folders: Sequence[Path]) -> Found:
    """Read every record below the folders.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
        DataError: a record is broken.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"There is no folder '{folder}'. Make results first: taxbench run --task unseen_hypernym")
    paths = find_results(folders)
    if not paths:
        raise UsageError(f"No result.json below {', '.join(map(str, folders))}. Make one: taxbench run")
    results = tuple(map(read_result, paths))
    places = {record_key(result): path.parent for result, path in zip(results, paths, strict=True)}
    return Found(results, places, {key: _below(place, folders) for key, place in places.items()})


def _below(place: Path, folders: Sequence[Path]) -> str:
    (folder, *_) = [folder for folder in folders if place.is_relative_to(folder)]
    return place.relative_to(folder).as_posix()


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


def written(results: Sequence[Result], out: Path) -> Found:
    """Return results that were just written below a folder."""
    folders = {record_key(result): result_folder(out, result.run) for result in results}
    return Found(tuple(results), folders, {key: _below(folder, [out]) for key, folder in folders.items()})


def keep_resamplings(folder: Path, known: Resamplings, made: Resamplings) -> None:
    """Add resamplings to those of a folder of results, whose other rows may be shown again."""
    rows = known.rows | made.rows
    if rows != known.rows:
        write_resamplings(folder / FILE, Resamplings(rows=rows))


def known_resamplings(folders: Iterable[Path]) -> Resamplings:
    """Return what is kept in folders of results, and beside the results of a leaderboard."""
    places = dict.fromkeys(path for folder in folders for path in (folder / FILE, folder.parent / FILE))
    return Resamplings(rows={key: row for path in places for key, row in read_resamplings(path).rows.items()})


def build(root: Path, groups: Iterable[GroupSpec], report: Reporter) -> tuple[Path, ...]:
    """Write every form of the leaderboard beside its records; building again changes no byte.

    Returns:
        The files written.

    Raises:
        UsageError: there are no records.
        DataError: one is broken; `taxbench leaderboard check` says more.
        CacheError: the folder cannot be written.
    """
    from taxbench.board.figures import figures  # matplotlib: only here

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
