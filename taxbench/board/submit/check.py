"""Check records beside each other: all that lie below some folders, and that nothing else does."""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from taxbench.board.build import stale
from taxbench.board.load import RESULTS, require_folder
from taxbench.board.submit.examine import Examined, examine
from taxbench.board.submit.record_files import look_through
from taxbench.specs.result import Result
from taxbench.tasks.registry import TaskRegistry
from taxbench.util.errors import DataError, UsageError, first_few
from taxbench.util.progress import Reporter
from taxbench.util.text import escaped


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a record, or of something that is none."""

    folder: Path
    """Where it lies; of what is no record, the file."""
    status: Literal["fine", "added", "already there", "refused"]
    reasons: tuple[str, ...] = ()
    """Why it is refused."""
    place: Path | None = None
    """Where it lies on the leaderboard."""

    def __str__(self) -> str:
        where = f" as {self.place}" if self.place else ""
        return "\n".join(
            [f"{self.status}: {escaped(str(self.folder))}{where}", *(f"  {each}" for each in self.reasons)]
        )


class Batch:
    """What can only be seen where records stand beside each other: each says of some things what others say too."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], tuple[Path, str]] = {}  # what was said of a thing, and where

    def beside(self, each: Examined) -> Examined:
        """Return a record with the reasons that come from those seen before; a fine one is remembered."""
        if each.reasons or each.result is None or each.result.predictions is None:
            return each
        said = {key: (each.folder, value) for key, value in _statements(each.result).items()}
        for key, (_, value) in said.items():
            place, known = self._seen.get(key, (each.folder, value))
            if known != value:
                return replace(each, reasons=(escaped(_contradiction(each.result, key, value, known, place)),))
        self._seen = said | self._seen
        return each


def _statements(result: Result) -> dict[tuple[str, ...], str]:
    """Return what a record says of a run, of the questions of a task and seed, and of weights behind names."""
    assert result.predictions is not None
    run = result.run
    # A graded re-pairing goes by the features.
    graded = run.encoder.features if run.task.counterfactual.kind == "graded" else ""
    # The commit may be another, where it changed nothing that the version of the code goes by.
    content = result.model_dump_json(exclude={"code"}).encode()
    asked = (run.task.identity, run.dataset.fingerprint, run.dataset.properties or "", str(run.seed), graded)
    return {
        ("run", result.digest): hashlib.sha256(content).hexdigest(),
        ("questions", *asked): result.predictions.questions,
        ("lm", run.lm.name): run.lm.digest,
        ("encoder", run.encoder.name): run.encoder.digest,
    }


def _contradiction(result: Result, key: tuple[str, ...], value: str, known: str, place: Path) -> str:
    """Return the reason to refuse a record that says another thing than the one at a place."""
    run = result.run
    if key[0] == "run":
        return f"The run {key[1]} also lies in '{place}', with other content: one run has one record. Remove one."
    if key[0] == "questions":
        return (
            f"It was asked other questions ({value[:12]}…) than '{place}' ({known[:12]}…), although both are "
            f"{run.task.identity} on {run.dataset.name} {run.dataset.fingerprint} with seed {run.seed}. One of the two "
            "was not made by this protocol: run both again."
        )
    return (
        f"The {key[0]} '{key[1]}' has the digest {value}, and in '{place}' {known}: on one board a name stands for "
        "the same weights. Give one of them another name, or run it again."
    )


def check_all(folders: Sequence[Path], registry: TaskRegistry, report: Reporter) -> list[Outcome]:
    """Check every record below some folders, alone and beside the others, and that nothing else lies there.

    Of a leaderboard, its records are checked, and where all are fine, that its tables follow from them.

    Raises:
        UsageError: a folder is not there, or none of them holds anything.
    """
    together = Batch()
    examined = (together.beside(each) for each in examine_all(folders, registry, report))
    outcomes = [Outcome(each.folder, "refused" if each.reasons else "fine", each.reasons) for each in examined]
    if all(each.status == "fine" for each in outcomes):
        for board in dict.fromkeys(folder for folder in folders if (folder / RESULTS).is_dir()):
            outcomes += _tables(board, registry, report)
    return outcomes


def _tables(board: Path, registry: TaskRegistry, report: Reporter) -> Iterator[Outcome]:
    """Yield the tables of a leaderboard that do not follow from its records."""
    try:
        wrong = stale(board, registry.groups.values(), report)
    except DataError as error:
        yield Outcome(board, "refused", (escaped(str(error)),))
        return
    again = f"taxbench leaderboard build --board {shlex.quote(str(board))}"
    for name in wrong:
        yield Outcome(board / name, "refused", (escaped(f"It is not what the records give. Make it anew: {again}"),))


def examine_all(folders: Iterable[Path], registry: TaskRegistry, report: Reporter) -> Iterator[Examined]:
    """Check every record below some folders, each alone; what is no record comes last, as if it were a broken one.

    Raises:
        UsageError: as `check_all`.
    """
    roots = [folder / RESULTS if (folder / RESULTS).is_dir() else folder for folder in dict.fromkeys(folders)]
    for root in roots:
        require_folder(root)
    found = [look_through(root) for root in roots]
    records = list(dict.fromkeys(folder for each, _ in found for folder in each))
    others = {path: reason for _, each in found for path, reason in each.items()}
    if not records and not others:
        raise UsageError(
            f"Nothing lies below {first_few(roots)}. Make results first: taxbench run --task unseen_hypernym"
        )
    with report.bar("check", len(records), "record") as advance:
        for folder in records:
            yield examine(folder, registry)
            advance(1)
    yield from (Examined(path, (reason,)) for path, reason in others.items())
