"""Run a record again, from what it says of itself, and say whether the scores agree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from taxbench.results.records import RESULT, read_result
from taxbench.runs.environment import code, versions
from taxbench.runs.recorded import recorded_context
from taxbench.runs.run_options import NamesHere
from taxbench.runs.runner import finish, plan
from taxbench.runs.status import Tally
from taxbench.specs.result import Code, Result, Scores, Versions
from taxbench.specs.run import RunSpec
from taxbench.util.errors import TaxbenchError, UsageError
from taxbench.util.paths import cache_folder, check_writable
from taxbench.util.progress import Reporter
from taxbench.util.text import plain

TOLERANCE = 0.03
"""Of any score. The same code on another machine adds up in another order: that alone moves macro-F1 by about 0.006 on
leaves, and by more on hypernyms that were never trained, of which there are fewer."""

_INPUTS = ("dataset", "encoder", "lm", "questions")
_SCORES = ("macro_f1", "auroc")


@dataclass(frozen=True, slots=True)
class ReproduceOptions(NamesHere):
    """What a record does not say, or what has another name here; heads are always trained anew."""

    out: Path | None = None
    """Where the new record is written; None: nowhere."""
    tolerance: float = TOLERANCE


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that is not as it was."""

    what: str
    recorded: str
    here: str


@dataclass(frozen=True, slots=True)
class ScoreDelta:
    """One score, as recorded and as it came out again."""

    of: str
    """`scores`, `validation`, or the name of a control."""
    split: str
    score: str
    recorded: float | None
    here: float | None

    @property
    def difference(self) -> float | None:
        """Return how far the reproduced score is from the recorded one; None where one of them is missing."""
        if self.recorded is None or self.here is None:
            return 0.0 if self.recorded is self.here else None
        return abs(self.here - self.recorded)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A run beside its record."""

    record: str
    same_bytes: bool
    """Whether every answer and margin is the same."""
    identities: tuple[Mismatch, ...]
    scores: tuple[ScoreDelta, ...]
    tolerance: float

    @property
    def other_inputs(self) -> tuple[str, ...]:
        """Return which inputs are not the record's: scores that agree then say nothing of it."""
        return tuple(each.what for each in self.identities if each.what in _INPUTS)

    @property
    def largest(self) -> ScoreDelta:
        """Return the score that is farthest off; one that is missing is farthest."""
        return max(self.scores, key=lambda each: 1e9 if each.difference is None else each.difference)

    @property
    def agrees(self) -> bool:
        """Say whether it is the same run and all scores agree within the tolerance."""
        return not self.other_inputs and self.scores_agree

    @property
    def scores_agree(self) -> bool:
        """Say whether all scores agree within the tolerance, of whatever run."""
        far = self.largest.difference
        return far is not None and far <= self.tolerance


def reproduce(place: Path, again: ReproduceOptions, report: Reporter) -> Reproduction:
    """Run a record again and compare.

    The features may come from the cache, which holds them under everything that changes them; heads are trained anew.

    Args:
        place: A `result.json`, or its folder.

    Raises:
        UsageError: something the record names is not known here; the message says which option names it.
        TaxbenchError: as for any run.
    """
    path = place / RESULT if place.is_dir() else place
    if not path.is_file():
        raise UsageError(
            f"No such record: '{path}'. Name a result.json or the folder that holds it, such as "
            "leaderboard/results/TASK/RUN."
        )
    record = read_result(path)
    with TemporaryDirectory(prefix="taxbench-") as work:
        folders = _fresh_cache(Path(work), again.cache), again.out or Path(work) / "results"
        check_writable(folders[1])
        context = recorded_context(record, again, folders, report)
        runs = plan(context)
        ((_, planned),) = runs
        if isinstance(planned, TaxbenchError):
            raise planned
        if (planned.folder / RESULT).exists():
            raise UsageError(
                f"'{planned.folder}' holds this run already, and would be read instead. Choose another --out."
            )
        changed = differing(record, planned.spec)
        for each in changed:
            report.say(f"not as recorded: {each.what}: {each.recorded} then, {each.here} now")
        (result,) = finish(runs, context, Tally(1))
    return compared(str(place), record, result, changed, again.tolerance)


def compared(
    place: str, record: Result, result: Result, changed: tuple[Mismatch, ...], tolerance: float
) -> Reproduction:
    """Return a reproduced run beside its record."""
    asked = [each.predictions for each in (record, result)]
    mine, yours = asked
    if mine and yours and mine.questions != yours.questions:
        changed = (*changed, Mismatch("questions", mine.questions[:8], yours.questions[:8]))
    scores = tuple(_scores(record, result))
    same = mine is not None and mine == yours and all(each.difference == 0 for each in scores)
    return Reproduction(place, same, changed, scores, tolerance)


def _fresh_cache(work: Path, chosen: Path | None) -> Path:
    """Return a cache that has the usual one's features, and nothing that was trained."""
    features, cache = cache_folder(chosen) / "features", work / "cache"
    features.mkdir(parents=True, exist_ok=True)
    cache.mkdir()
    (cache / "features").symlink_to(features.resolve(), target_is_directory=True)
    return cache


def differing(record: Result, run: RunSpec) -> tuple[Mismatch, ...]:
    """Return what of all that decides the scores is not as the record says."""
    then = _facts(record.run, record.versions, record.code)
    now = _facts(run, versions(), code())
    pairs = ((what, then.get(what, "–"), now.get(what, "–")) for what in dict.fromkeys([*then, *now]))
    return tuple(Mismatch(plain(what), plain(before), plain(after)) for what, before, after in pairs if before != after)


def _facts(run: RunSpec, software: Versions, commit: Code) -> dict[str, str]:
    """Return by name what decides a run's scores, to compare a reproduction with its record."""
    known: dict[str, Any] = {
        "dataset": run.dataset.fingerprint,
        "properties": run.dataset.properties,
        "images a leaf": run.dataset.limit,
        "words taught": run.language.taught if run.language else None,
        "words asked": run.language.asked if run.language else None,
        "prompt": run.prompt.model_dump(),
        "encoder": run.encoder.digest,
        "features": run.encoder.features,
        "lm": run.lm.digest,
        "lm dtype": run.lm.dtype,
        "device": run.device,
        "head's code": run.head.source or None,
        **{f"head's {name}": value for name, value in run.head.settings.items()},
        **software.model_dump(),
        "commit": commit.commit,
        "uncommitted changes": commit.dirty,
    }
    return {name: str(value) for name, value in known.items() if value is not None}


def _scores(record: Result, result: Result) -> Iterator[ScoreDelta]:
    """Yield every score of a record beside the reproduced one: validation, test, controls."""
    yield from _each("validation", {"val": record.validation}, {"val": result.validation})
    yield from _each("scores", record.scores, result.scores)
    for control in dict.fromkeys([*record.controls, *result.controls]):
        yield from _each(control, record.controls.get(control, {}), result.controls.get(control, {}))


def _each(of: str, then: Mapping[str, Scores], now: Mapping[str, Scores]) -> Iterator[ScoreDelta]:
    """Yield recorded and reproduced scores of one part of a record, split by split."""
    for split in dict.fromkeys([*then, *now]):
        for score in _SCORES:
            before, after = (getattr(each[split], score) if split in each else None for each in (then, now))
            yield ScoreDelta(of, split, score, before, after)
