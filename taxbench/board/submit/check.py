"""Check records beside each other: all that lie below some folders, and that nothing else does."""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(slots=True)
class Together:
    """What can only be seen where records stand beside each other."""

    _runs: dict[str, tuple[Path, str]] = field(default_factory=dict)
    _questions: dict[str, tuple[Path, str]] = field(default_factory=dict)
    _models: dict[tuple[str, str], tuple[Path, str]] = field(default_factory=dict)

    def beside(self, each: Examined) -> Examined:
        """Return a record with the reasons that come from those seen before; a fine one is remembered."""
        if each.reasons or each.result is None or each.result.predictions is None:
            return each
        return replace(each, reasons=tuple(map(escaped, self._problems(each.folder, each.result))))

    def _problems(self, folder: Path, result: Result) -> list[str]:
        """Return what contradicts records checked before: same run, questions and model digests."""
        assert result.predictions is not None
        # The commit may be another, where it changed nothing that the version of the code goes by.
        content = hashlib.sha256(result.model_dump_json(exclude={"code"}).encode()).hexdigest()
        first, other = self._runs.get(result.digest, (folder, content))
        if other != content:
            return [
                f"The run {result.digest} also lies in '{first}', with other content: one run has one record. Remove "
                "one of them."
            ]
        run = result.run
        # A graded re-pairing goes by the features.
        graded = run.encoder.features if run.task.counterfactual.kind == "graded" else ""
        key = " ".join([run.task.identity, run.dataset.fingerprint, str(run.seed), graded])
        place, questions = self._questions.setdefault(key, (folder, result.predictions.questions))
        if questions != result.predictions.questions:
            return [
                f"It was asked other questions ({result.predictions.questions[:12]}…) than '{place}' "
                f"({questions[:12]}…), although both are {run.task.identity} on {run.dataset.name} "
                f"{run.dataset.fingerprint} with seed {run.seed}. One of the two was not made by this protocol: run "
                "both again."
            ]
        models = (("lm", run.lm.name, run.lm.digest), ("encoder", run.encoder.name, run.encoder.digest))
        for kind, name, digest in models:
            place, known = self._models.setdefault((kind, name), (folder, digest))
            if known != digest:
                return [
                    f"The {kind} '{name}' has the digest {digest}, and in '{place}' {known}: on one board a name "
                    "stands for the same weights. Give one of them another name, or run it again."
                ]
        self._runs[result.digest] = first, content
        return []


def check_all(folders: Sequence[Path], registry: TaskRegistry, report: Reporter) -> list[Outcome]:
    """Check every record below some folders, alone and beside the others, and that nothing else lies there.

    Of a leaderboard, its records are checked, and where all are fine, that its tables follow from them.

    Raises:
        UsageError: a folder is not there, or none of them holds anything.
    """
    outcomes, together = list[Outcome](), Together()
    for examined in examine_all(folders, registry, report):
        each = together.beside(examined)
        outcomes.append(Outcome(each.folder, "refused" if each.reasons else "fine", each.reasons))
    if all(each.status == "fine" for each in outcomes):
        boards = [folder for folder in dict.fromkeys(folders) if (folder / RESULTS).is_dir()]
        outcomes += [outcome for board in boards for outcome in _tables(board, registry, report)]
    return outcomes


def _tables(board: Path, registry: TaskRegistry, report: Reporter) -> Iterator[Outcome]:
    """Yield the tables of a leaderboard that do not follow from its records."""
    try:
        wrong = stale(board, registry.groups.values(), report)
    except DataError as error:
        yield Outcome(board, "refused", (escaped(str(error)),))
        return
    for name in wrong:
        place = shlex.quote(str(board))
        reason = f"It is not what the records give. Make it anew: taxbench leaderboard build --board {place}"
        yield Outcome(board / name, "refused", (escaped(reason),))


def examine_all(folders: Iterable[Path], registry: TaskRegistry, report: Reporter) -> Iterator[Examined]:
    """Check every record below some folders, each alone; what is no record comes last, as if it were a broken one.

    Raises:
        UsageError: as `check_all`.
    """
    roots = [folder / RESULTS if (folder / RESULTS).is_dir() else folder for folder in dict.fromkeys(folders)]
    for root in roots:
        require_folder(root)
    found = [look_through(root) for root in roots]
    records = list(dict.fromkeys(folder for each in found for folder in each.records))
    others = dict(other for each in found for other in each.not_belonging())
    if not records and not others:
        raise UsageError(
            f"Nothing lies below {first_few(roots)}. Make results first: taxbench run --task unseen_hypernym"
        )
    with report.bar("check", len(records), "record") as advance:
        for folder in records:
            yield examine(folder, registry)
            advance(1)
    yield from (Examined(path, (reason,)) for path, reason in others.items())
