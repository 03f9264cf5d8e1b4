"""Records scored anew, as a table and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taxbench.board.load import record_paths
from taxbench.results.records import read_result
from taxbench.scoring.rescore import RescoredSplit, rescore_record
from taxbench.specs.result import Scores
from taxbench.util.errors import DataError
from taxbench.util.text import NOTHING_TO_SHOW, escaped, number

_MOST_DIFFERENCES = 20
_HEADER = ["task", "split", "F1 recorded", "F1 anew", "AUROC recorded", "AUROC anew", "same", "record"]


@dataclass(frozen=True, slots=True)
class RescoredRun:
    """One record, scored anew."""

    folder: Path
    task: str
    splits: tuple[RescoredSplit, ...]
    trouble: str = ""
    """Why it could not be scored."""

    @property
    def same(self) -> bool:
        """Say whether every score of the rescored record is what it was."""
        return not self.trouble and not any(split.differences for split in self.splits)


def rescore_all(folders: Sequence[Path]) -> list[RescoredRun]:
    """Score every record below the folders; one that cannot be stops no other.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
    """
    return [_anew(path) for path in record_paths(folders)]


def score_table(records: Iterable[RescoredRun]) -> str:
    """Return a table of rescored records, one line a split, and below it what differs."""
    rows, notes = [_HEADER], list[str]()
    for record in records:
        folder = escaped(str(record.folder))
        if record.trouble:
            rows.append([record.task or "?", *[NOTHING_TO_SHOW] * 5, "no", folder])
            notes.append(f"{folder}: {escaped(record.trouble)}")
        for split in record.splits:
            old, new = split.recorded, split.recomputed
            same = "no" if split.differences else "yes"
            scores = [_score(side, name) for name in ("macro_f1", "auroc") for side in (old, new)]
            rows.append([record.task, split.split, *scores, same, folder])
        notes += _differences(record, folder)
    rows = [[escaped(cell, 200) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *notes])


def score_json(records: Iterable[RescoredRun]) -> list[dict[str, Any]]:
    """Return rescored records as JSON values for programs, split by split."""
    return [
        {
            "folder": str(record.folder),
            "task": record.task,
            "same": record.same,
            "trouble": record.trouble,
            "splits": [
                {
                    "split": split.split,
                    "recorded": split.recorded and split.recorded.model_dump(),
                    "recomputed": split.recomputed and split.recomputed.model_dump(),
                    "differences": [asdict(difference) for difference in split.differences],
                }
                for split in record.splits
            ],
        }
        for record in records
    ]


def _anew(path: Path) -> RescoredRun:
    """Return one record rescored from its predictions, or with the trouble that prevents it."""
    task = ""
    try:
        result = read_result(path)
        task = result.task
        if result.predictions is None:
            raise DataError("A record of an older form, whose predictions cannot be scored anew. Run it again.")
        return RescoredRun(path.parent, task, tuple(rescore_record(result, path.parent / result.predictions.file)))
    except DataError as error:
        return RescoredRun(path.parent, task, (), str(error))


def _differences(record: RescoredRun, folder: str) -> list[str]:
    """Return as text the first differences of a rescored record, and how many more there are."""
    found = [difference for split in record.splits for difference in split.differences]
    more = [f"{folder}: and {len(found) - _MOST_DIFFERENCES} more"] if len(found) > _MOST_DIFFERENCES else []
    return [f"{folder}: {escaped(str(difference))}" for difference in found[:_MOST_DIFFERENCES]] + more


def _score(scores: Scores | None, name: str) -> str:
    """Return one score of a rescored split as text with six digits."""
    return number(None if scores is None else getattr(scores, name), 6)
