"""Records scored anew, as a table and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taxbench.board.load import record_paths
from taxbench.results.predictions import read_predictions
from taxbench.results.records import read_result
from taxbench.scoring.rescore import ScoreMismatch, differences, rescore
from taxbench.specs.result import Scores
from taxbench.util.errors import DataError
from taxbench.util.text import NOTHING_TO_SHOW, escaped, number, padded, width

_MOST_DIFFERENCES = 20
_HEADER = ["task", "split", "F1 recorded", "F1 anew", "AUROC recorded", "AUROC anew", "same", "record"]


@dataclass(frozen=True, slots=True)
class RescoredRun:
    """One record, scored anew."""

    folder: Path
    task: str
    recorded: dict[str, Scores]
    """By split."""
    recomputed: dict[str, Scores]
    differences: tuple[ScoreMismatch, ...]
    """Of its scores, its controls and its terms."""
    trouble: str = ""
    """Why it could not be scored."""

    @property
    def same(self) -> bool:
        """Say whether every score of the rescored record is what it was."""
        return not self.trouble and not self.differences

    @property
    def by_split(self) -> dict[str, tuple[Scores | None, Scores | None, list[ScoreMismatch]]]:
        """Return the scores of each split, as recorded and anew, and what of it differs."""
        splits = dict.fromkeys([*self.recomputed, *(each.split for each in self.differences)])
        return {
            name: (self.recorded.get(name), self.recomputed.get(name), [d for d in self.differences if d.split == name])
            for name in splits
        }


def rescore_all(folders: Sequence[Path]) -> list[RescoredRun]:
    """Score every record below the folders; one that cannot be stops no other.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
    """
    return [_anew(path) for path in record_paths(folders)]


def _anew(path: Path) -> RescoredRun:
    """Return one record rescored from its predictions, or with the trouble that prevents it."""
    task = ""
    try:
        result = read_result(path)
        task = result.task
        if result.predictions is None:
            raise DataError("A record of an older form, whose predictions cannot be scored anew. Run it again.")
        card = rescore(result, read_predictions(path.parent / result.predictions.file))
        return RescoredRun(path.parent, task, result.scores, card.scores, tuple(differences(result, card)))
    except DataError as error:
        return RescoredRun(path.parent, task, {}, {}, (), str(error))


def score_table(records: Iterable[RescoredRun]) -> str:
    """Return a table of rescored records, one line a split, and below it what differs."""
    rows, notes = [_HEADER], list[str]()
    for record in records:
        folder = escaped(str(record.folder))
        if record.trouble:
            rows.append([record.task or "?", *[NOTHING_TO_SHOW] * 5, "no", folder])
            notes.append(f"{folder}: {escaped(record.trouble)}")
        for split, (old, new, differing) in record.by_split.items():
            scores = [number(getattr(side, name, None), 6) for name in ("macro_f1", "auroc") for side in (old, new)]
            rows.append([record.task, split, *scores, "no" if differing else "yes", folder])
        notes += [f"{folder}: {escaped(str(each))}" for each in record.differences[:_MOST_DIFFERENCES]]
        if (more := len(record.differences) - _MOST_DIFFERENCES) > 0:
            notes.append(f"{folder}: and {more} more")
    rows = [[escaped(cell, 200) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(padded, row, widths)).rstrip() for row in rows]
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
                    "split": split,
                    "recorded": old and old.model_dump(),
                    "recomputed": new and new.model_dump(),
                    "differences": list(map(asdict, differing)),
                }
                for split, (old, new, differing) in record.by_split.items()
            ],
        }
        for record in records
    ]
