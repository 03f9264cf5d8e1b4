"""Records on disk, and their predictions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taxbench.board.rows import record_key
from taxbench.results.predictions import MOST_FILE, Predictions, parse_predictions
from taxbench.results.records import TIMING, find_results, read_beside, read_result
from taxbench.specs.result import Result
from taxbench.specs.side_files import Timing
from taxbench.util.errors import DataError, UsageError
from taxbench.util.paths import read_within

RESULTS = "results"
"""The folder of a leaderboard that holds its records."""
PREDICTIONS = "predictions.npz"
"""The file of a record's predictions."""


@dataclass(frozen=True, slots=True)
class LoadedResults:
    """Records on disk."""

    results: tuple[Result, ...]
    searched: Sequence[Path]
    """The folders below which they were looked for."""

    @property
    def timings(self) -> dict[str, Timing]:
        """Return what each run cost, by `record_key`, where that lies beside its record."""
        known = {record_key(each): read_beside(folder_of(each) / TIMING, Timing) for each in self.results}
        return {key: timing for key, timing in known.items() if timing}

    @property
    def names(self) -> dict[str, str]:
        """Return where each lies below the folder that was searched, by `record_key`."""
        roots = [form for root in self.searched for form in (root.absolute(), root.resolve())]  # Ray's is the second
        places = {record_key(each): folder_of(each).absolute() for each in self.results}
        return {key: next(place.relative_to(root) for root in roots if place.is_relative_to(root)).as_posix()
                for key, place in places.items()}  # fmt: skip


def folder_of(result: Result) -> Path:
    """Return where a record on disk lies."""
    assert result.folder is not None
    return result.folder


def load_predictions(result: Result) -> Predictions:
    """Return the predictions of a record on disk.

    Raises:
        DataError: they are missing, broken, or not those that the record names.
    """
    folder = folder_of(result)
    path = folder / PREDICTIONS
    if result.predictions is None:
        raise DataError(
            f"The record in '{folder}' is of an older form, whose predictions cannot be read any more. Run it again: "
            f"taxbench reproduce '{folder}' --out DIR"
        )
    content = read_within(path, MOST_FILE, "predictions have at most")
    if hashlib.sha256(content).hexdigest() != result.predictions.sha256:
        raise DataError(
            f"'{path}' is not the file that its record was written with: it was changed, or its run was broken off. "
            "Run it again: taxbench run"
        )
    return parse_predictions(content, str(path))


def load_records(folders: Sequence[Path]) -> LoadedResults:
    """Read every record below the folders.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
        DataError: a record is broken.
    """
    return LoadedResults(tuple(map(read_result, record_paths(folders))), folders)


def record_paths(folders: Sequence[Path]) -> list[Path]:
    """Return the `result.json` of every record below the folders, sorted.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
        DataError: a folder cannot be read.
    """
    for folder in folders:
        require_folder(folder)
    paths = find_results(folders, _closed)
    if not paths:
        raise UsageError(f"No result.json below {', '.join(map(str, folders))}. Make one: taxbench run")
    return paths


def _closed(error: OSError) -> None:
    """Raise DataError for a folder of records that cannot be read, while they are loaded."""
    raise DataError(f"'{error.filename}' cannot be read ({error.strerror}), so the records in it cannot be shown.")


def results_of(board: Path) -> Path:
    """Return the folder of a leaderboard's records.

    Raises:
        UsageError: it is no leaderboard.
    """
    if (board / RESULTS).is_dir():
        return board / RESULTS
    raise UsageError(
        f"'{board}' is not a leaderboard: it has no folder {RESULTS}. Put records on it: taxbench leaderboard add "
        "results"
    )


def require_folder(folder: Path) -> None:
    """Refuse a folder of results that is not there.

    Raises:
        UsageError: it is not there.
    """
    if not folder.is_dir():
        raise UsageError(f"No such folder: '{folder}'. Make results first: taxbench run --task unseen_hypernym")
