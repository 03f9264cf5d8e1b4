"""Records on disk, and their predictions."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxbench.board.rows import record_key
from taxbench.results.predictions import Predictions, parse_predictions, predictions_content
from taxbench.results.records import RESULT, read_result, result_folder
from taxbench.specs.result import Result
from taxbench.util.errors import DataError, UsageError

RESULTS = "results"
"""The folder of a leaderboard that holds its records."""
PREDICTIONS = "predictions.npz"
"""The file of a record's predictions."""


@dataclass(frozen=True, slots=True)
class LoadedResults:
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
        return load_predictions(self.folders[record_key(result)], result)


def load_predictions(folder: Path, result: Result) -> Predictions:
    """Return the predictions of a record that lies in a folder.

    Raises:
        DataError: they are missing, broken, or not those that the record names.
    """
    path = folder / PREDICTIONS
    if result.predictions is None:
        raise DataError(
            f"The record in '{folder}' is of an older form, whose predictions cannot be read any more. Run it again: "
            f"taxbench reproduce '{folder}' --out DIR"
        )
    content = predictions_content(path)
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
    paths = record_paths(folders)
    results = tuple(map(read_result, paths))
    places = {record_key(result): path.parent for result, path in zip(results, paths, strict=True)}
    return LoadedResults(results, places, {key: _below(place, folders) for key, place in places.items()})


def from_results(results: Sequence[Result], out: Path) -> LoadedResults:
    """Return results that were just written below a folder."""
    folders = {record_key(result): result_folder(out, result.run) for result in results}
    return LoadedResults(tuple(results), folders, {key: _below(folder, [out]) for key, folder in folders.items()})


def record_paths(folders: Sequence[Path]) -> list[Path]:
    """Return the `result.json` of every record below the folders, sorted.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
        DataError: a folder cannot be read.
    """
    found = set[Path]()
    for folder in folders:
        require_folder(folder)
        for base, _, files in os.walk(folder, onerror=_closed):
            found |= {Path(base, RESULT)} & {Path(base, name) for name in files}
    paths = sorted(found)
    if not paths:
        raise UsageError(f"No result.json below {', '.join(map(str, folders))}. Make one: taxbench run")
    return paths


def _closed(error: OSError) -> None:
    """Raise DataError for a folder of records that cannot be read, while they are loaded."""
    raise DataError(f"'{error.filename}' cannot be read ({error.strerror}), so the records in it cannot be shown.")


def require_folder(folder: Path) -> None:
    """Refuse a folder of results that is not there.

    Raises:
        UsageError: it is not there.
    """
    if not folder.is_dir():
        raise UsageError(f"No such folder: '{folder}'. Make results first: taxbench run --task unseen_hypernym")


def _below(place: Path, folders: Sequence[Path]) -> str:
    """Return where a loaded record lies, relative to the results folder that it was found in."""
    folder = next(folder for folder in folders if place.is_relative_to(folder))
    return place.relative_to(folder).as_posix()
