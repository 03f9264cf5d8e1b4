"""The uncertainty of rows over items; it is kept, since resampling takes longer than making a table."""

import base64
import binascii
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, ConfigDict, ValidationError

from taxbench.board.load import RESULTS, LoadedResults, folder_of
from taxbench.board.rows import Interval, group_key
from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import DIFFERENCE, REPLICATES, SCORE, Replicates, interval, replicates
from taxbench.specs.result import Result
from taxbench.specs.spec import Spec
from taxbench.util.errors import CacheError, DataError
from taxbench.util.paths import cache_folder, replacing
from taxbench.util.progress import Reporter

FILE = "resampling.json"
"""The file of a leaderboard in which resamplings are kept, so that its tables are made anew in no time."""
_FOLDER = "resampling"  # of the cache
_UNIT = 65535  # F1 lies between 0 and 1; two bytes are finer than any difference between replicates


def _replicates_or_nothing(text: str) -> str:
    """Check that a resampled row's text is empty or base64 of F1 and all its replicates."""
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise ValueError("f1 is not base64") from None
    if size not in (0, 2 * (1 + 3 * REPLICATES)):
        raise ValueError(f"f1 has {size} bytes, not {2 * (1 + 3 * REPLICATES)}")
    return text


class Resampled(Spec):
    """One row."""

    model_config = ConfigDict(allow_inf_nan=False)

    intervals: dict[str, Interval]
    """95 % intervals of its scores."""
    f1: Annotated[str, AfterValidator(_replicates_or_nothing)]
    """F1 on the headline split and its replicates, averaged over seeds: base64 of little-endian uint16, 65535 is 1.
    Empty where there is no F1."""

    def replicates(self) -> np.ndarray | None:
        """Return F1 and its replicates.  # (1 + 3 b,)"""
        if not self.f1:
            return None
        return np.frombuffer(base64.b64decode(self.f1), dtype="<u2").astype(np.float64) / _UNIT


class Resamplings(Spec):
    """All rows of a leaderboard, by `group_key`."""

    rows: dict[str, Resampled]


class Cached(MutableMapping[str, Resampled]):
    """Resamplings in the cache, a file each; what cannot be read is made anew, what cannot be written is lost."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / _FOLDER

    def __getitem__(self, key: str) -> Resampled:
        try:
            return Resampled.model_validate_json((self._folder / f"{key}.json").read_bytes())
        except (OSError, ValidationError):
            raise KeyError(key) from None

    def __setitem__(self, key: str, row: Resampled) -> None:
        with suppress(CacheError), replacing(self._folder / f"{key}.json") as partial:
            partial.write_text(row.model_dump_json() + "\n", encoding="utf-8")

    def __delitem__(self, key: str) -> None:
        (self._folder / f"{key}.json").unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in self._folder.glob("*.json")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def read_resamplings(path: Path) -> dict[str, Resampled]:
    """Return the resamplings that a leaderboard keeps; none where there is no file.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        return dict(Resamplings.model_validate_json(path.read_bytes()).rows)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(f"'{path}' is damaged ({first['msg']}). Remove it: it is made anew from predictions.") from None


def known_resamplings(found: LoadedResults, cache: Path | None = None) -> ChainMap[str, Resampled]:
    """Return the resamplings that are kept of records: in the cache, where new ones go, and by boards they lie on.

    A file that cannot be read as a board's is nobody's: reading records does not fail over it.

    Args:
        cache: The cache folder; None: the usual one.
    """
    above = {folder for each in found.results for folder in folder_of(each).absolute().parents}
    kept = list[dict[str, Resampled]]()
    for folder in sorted(each for each in above if each.name == RESULTS):
        with suppress(DataError, OSError):
            kept.append(read_resamplings(folder.parent / FILE))
    return ChainMap(Cached(cache_folder(cache)), *kept)


def resamplings_text(rows: Mapping[str, Resampled]) -> str:
    """Return the file of a leaderboard, sorted."""
    return Resamplings(rows=dict(sorted(rows.items()))).model_dump_json(indent=1) + "\n"


def resample(
    groups: Iterable[list[Result]],
    known: MutableMapping[str, Resampled],
    load: Callable[[Result], Predictions],
    report: Reporter,
) -> dict[str, Resampled]:
    """Return the resamplings of rows: those known, and those missing made from predictions.

    Rows whose predictions cannot be read have none, and are named.

    Args:
        groups: As `table.grouped` gives them.
        known: What is made is added.
        load: Reads the predictions of a result.
    """
    wanted = {group_key(group): group for group in groups if all(result.predictions for result in group)}
    made = dict[str, Resampled]()
    for key in wanted:
        with suppress(KeyError):  # not `get`, by which a `ChainMap` reads twice
            made[key] = known[key]
    missing = [key for key in wanted if key not in made]
    with report.bar("resample", len(missing), "row") as advance:
        for key in missing:
            try:
                made[key] = known[key] = _resampled(wanted[key], [load(result) for result in wanted[key]])
            except DataError as error:
                report.say(f"No interval: {error}")
            advance(1)
    return made


def differences(kept: Mapping[str, Resampled], made: Mapping[str, Resampled]) -> list[str]:
    """Return the keys whose resamplings are not alike; another machine may add up in another order, no more."""
    return [key for key in sorted(kept.keys() | made.keys()) if not _alike(kept.get(key), made.get(key))]


def _alike(kept: Resampled | None, made: Resampled | None) -> bool:
    """Tell whether two resamplings of a row have the same intervals and replicates, up to rounding."""
    if kept is None or made is None or kept.intervals.keys() != made.intervals.keys() or bool(kept.f1) != bool(made.f1):
        return False
    for one, other, most in (
        ([kept.intervals[name] for name in made.intervals], list(made.intervals.values()), 1e-4),
        (kept.replicates(), made.replicates(), 3 / _UNIT),
    ):  # an end, or replicates, that are not known, are nan
        arrays = (np.array(values, dtype=np.float64) for values in (one, other))
        if not np.allclose(next(arrays), next(arrays), rtol=0, atol=most, equal_nan=True):
            return False
    return True


def _resampled(group: list[Result], predictions: list[Predictions]) -> Resampled:
    """Resample the scores of one row, its seeds together."""
    headline, controls = group[0].run.task.headline, group[0].controls
    own = over_seeds(predictions, headline, OWN)
    scores = {"f1": own.macro_f1, "auroc": own.auroc}
    n_terms = dict.fromkeys(("f1", "auroc", "transfer"), own.n_terms)
    for name in controls:
        if name != "chance" and all(name in each.margins for each in predictions):
            control = over_seeds(predictions, headline, name)
            scores[name], n_terms[name] = control.macro_f1, control.n_terms
            if name == "random_lm":
                scores["transfer"] = own.macro_f1 - control.macro_f1
    for split, kinds in (("leaf", {"leaf_f1": "macro_f1"}),
                         ("heldout_leaf", {"heldout_f1": "macro_f1", "heldout_auroc": "auroc"})):  # fmt: skip
        if all(split in each.splits for each in predictions):
            drawn = over_seeds(predictions, split, OWN)
            scores |= {name: getattr(drawn, score) for name, score in kinds.items()}
            n_terms |= dict.fromkeys(kinds, drawn.n_terms)
    intervals = dict[str, Interval]()
    for name, values in scores.items():
        low, high = interval(values, n_terms[name], scale=DIFFERENCE if name == "transfer" else SCORE)
        intervals[name] = (None, None) if low is None or high is None else (round(low, 6), round(high, 6))
    kept = b"" if np.isnan(own.macro_f1).any() else np.round(own.macro_f1 * _UNIT).astype("<u2").tobytes()
    return Resampled(intervals=intervals, f1=base64.b64encode(kept).decode())


def over_seeds(predictions: list[Predictions], split: str, name: str) -> Replicates:
    """Average over seeds; the weights of an item are the same with every seed."""
    found = [replicates(each, split, name) for each in predictions]
    f1, auroc = (np.mean([getattr(each, score) for each in found], axis=0) for score in ("macro_f1", "auroc"))
    return Replicates(f1, auroc, min(each.n_terms for each in found))
