"""Records scored anew, as a table and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taxbench.board.check_names import visible
from taxbench.errors import DataError, UsageError
from taxbench.scoring.records import find_results, read_result
from taxbench.scoring.rescore import SplitAnew, rescore_record
from taxbench.specs.result import Scores

_MOST_DIFFERENCES = 20
_HEADER = ("task", "split", "F1 recorded", "F1 anew", "AUROC recorded", "AUROC anew", "same", "record")


@dataclass(frozen=True, slots=True)
class RecordAnew:
    """One record, scored anew."""

    folder: Path
    task: str
    splits: tuple[SplitAnew, ...]
    trouble: str = ""
    """Why it could not be scored."""

    @property
    def same(self) -> bool:
        """Say whether every figure is what it was."""
        return not self.trouble and not any(split.differences for split in self.splits)


def score_anew(folders: Sequence[Path]) -> list[RecordAnew]:
    """Score every record below the folders; one that cannot be stops no other.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"There is no folder '{folder}'. Make results first: taxbench run --task unseen_hypernym")
    paths = find_results(folders)
    if not paths:
        raise UsageError(f"No result.json below {', '.join(map(str, folders))}. Make one: taxbench run")
    return [_anew(path) for path in paths]


def score_table(records: Iterable[RecordAnew]) -> str:
    """Return one line a split, and below them what differs."""
    rows, notes = [_HEADER], list[str]()
    for record in records:
        folder = visible(str(record.folder))
        if record.trouble:
            rows.append((record.task or "?", "–", "–", "–", "–", "–", "no", folder))
            notes.append(f"{folder}: {visible(record.trouble)}")
        for split in record.splits:
            old, new = split.recorded, split.recomputed
            same = "no" if split.differences else "yes"
            rows.append((record.task, split.split, _f1(old), _f1(new), _auroc(old), _auroc(new), same, folder))
        notes += _differences(record, folder)
    rows = [tuple(visible(cell, 200) for cell in row) for row in rows]  # type: ignore[misc]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *notes])


def score_json(records: Iterable[RecordAnew]) -> list[dict[str, Any]]:
    """Return the same for programs."""
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


def _anew(path: Path) -> RecordAnew:
    task = ""
    try:
        result = read_result(path)
        task = result.task
        if result.predictions is None:
            raise DataError("A record of an older form, whose predictions cannot be scored anew. Run it again.")
        return RecordAnew(path.parent, task, tuple(rescore_record(result, path.parent / result.predictions.file)))
    except DataError as error:
        return RecordAnew(path.parent, task, (), str(error))


def _differences(record: RecordAnew, folder: str) -> list[str]:
    found = [difference for split in record.splits for difference in split.differences]
    more = [f"{folder}: and {len(found) - _MOST_DIFFERENCES} more"] if len(found) > _MOST_DIFFERENCES else []
    return [f"{folder}: {visible(str(difference))}" for difference in found[:_MOST_DIFFERENCES]] + more


def _f1(scores: Scores | None) -> str:
    return "–" if scores is None or scores.macro_f1 is None else f"{scores.macro_f1:.6f}"


def _auroc(scores: Scores | None) -> str:
    return "–" if scores is None or scores.auroc is None else f"{scores.auroc:.6f}"
