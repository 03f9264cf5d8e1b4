"""Records on disk, and their predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxbench.board.table import record_key
from taxbench.errors import DataError, UsageError
from taxbench.scoring.predictions import Predictions, read_predictions
from taxbench.scoring.records import find_results, read_result, result_folder
from taxbench.specs.result import Result

RESULTS = "results"
"""The folder of a leaderboard that holds its records."""
PREDICTIONS = "predictions.npz"
"""The file of a record's predictions."""


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
        path = self.folders[record_key(result)] / PREDICTIONS
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
    paths = record_paths(folders)
    results = tuple(map(read_result, paths))
    places = {record_key(result): path.parent for result, path in zip(results, paths, strict=True)}
    return Found(results, places, {key: _below(place, folders) for key, place in places.items()})


def written(results: Sequence[Result], out: Path) -> Found:
    """Return results that were just written below a folder."""
    folders = {record_key(result): result_folder(out, result.run) for result in results}
    return Found(tuple(results), folders, {key: _below(folder, [out]) for key, folder in folders.items()})


def record_paths(folders: Sequence[Path]) -> list[Path]:
    """Return the `result.json` of every record below the folders, sorted.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
    """
    for folder in folders:
        require_folder(folder)
    paths = find_results(folders)
    if not paths:
        raise UsageError(f"No result.json below {', '.join(map(str, folders))}. Make one: taxbench run")
    return paths


def require_folder(folder: Path) -> None:
    """Refuse a folder of results that is not there.

    Raises:
        UsageError: it is not there.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder '{folder}'. Make results first: taxbench run --task unseen_hypernym")


def _below(place: Path, folders: Sequence[Path]) -> str:
    folder = next(folder for folder in folders if place.is_relative_to(folder))
    return place.relative_to(folder).as_posix()
