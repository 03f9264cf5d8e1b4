"""The uncertainty of rows over items, kept beside the results, since resampling takes longer than building a table."""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from taxbench.board.table import Interval, group_key
from taxbench.errors import DataError
from taxbench.paths import replacing
from taxbench.progress import Reporter
from taxbench.scoring.bootstrap import Replicates, interval, replicates
from taxbench.scoring.predictions import OWN, Predictions
from taxbench.specs.base import Spec
from taxbench.specs.result import Result

FILE = "resampling.json"
METHOD = 1
"""Raised by hand whenever `scoring/bootstrap.py` would give other replicates."""
_UNIT = 65535  # F1 lies between 0 and 1; two bytes are finer than any difference between replicates


class Resampled(Spec):
    """One row."""

    intervals: dict[str, Interval]
    """95 % intervals of its figures."""
    f1: str
    """F1 on the headline split and its replicates, averaged over seeds: base64 of little-endian uint16, 65535 is 1."""

    def replicates(self) -> np.ndarray:
        """Return F1 and its replicates.  # (1 + 3 b,)"""
        return np.frombuffer(base64.b64decode(self.f1), dtype="<u2").astype(np.float64) / _UNIT


class Resamplings(Spec):
    """All rows of a leaderboard, by `group_key`."""

    method: int = METHOD
    """What another one made is made anew."""
    rows: dict[str, Resampled] = Field(default_factory=dict)


def read_resamplings(path: Path) -> Resamplings:
    """Return what is kept; nothing where there is no file, or one of another method.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        return Resamplings()
    try:
        found = Resamplings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(f"'{path}' is damaged ({first['msg']}). Remove it: it is made anew from predictions.") from None
    return found if found.method == METHOD else Resamplings()


def write_resamplings(path: Path, resamplings: Resamplings) -> None:
    """Write them, sorted."""
    rows = dict(sorted(resamplings.rows.items()))
    with replacing(path) as partial:
        partial.write_text(resamplings.model_copy(update={"rows": rows}).model_dump_json(indent=1) + "\n")


def known_resamplings(folders: Iterable[Path]) -> Resamplings:
    """Return what is kept in folders of results, and beside the results of a leaderboard."""
    places = dict.fromkeys(path for folder in folders for path in (folder / FILE, folder.parent / FILE))
    return Resamplings(rows={key: row for path in places for key, row in read_resamplings(path).rows.items()})


def keep_resamplings(folder: Path, known: Resamplings, made: Resamplings) -> None:
    """Add resamplings to those of a folder of results, whose other rows may be shown again."""
    rows = known.rows | made.rows
    if rows != known.rows:
        write_resamplings(folder / FILE, Resamplings(rows=rows))


def resample(
    groups: Iterable[list[Result]], known: Resamplings, load: Callable[[Result], Predictions], report: Reporter
) -> Resamplings:
    """Return the resamplings of rows: those known, and those missing made from predictions.

    Args:
        groups: As `table.grouped` gives them; rows without predictions have none.
        load: Reads the predictions of a result.
    """
    wanted = {group_key(group): group for group in groups if all(result.predictions for result in group)}
    missing = {key: group for key, group in wanted.items() if key not in known.rows}
    made = {key: row for key, row in known.rows.items() if key in wanted}
    with report.bar("resample", len(missing), "row") as advance:
        for key, group in missing.items():
            made[key] = _resampled(group, [load(result) for result in group])
            advance(1)
    return Resamplings(rows=made)


def _resampled(group: list[Result], predictions: list[Predictions]) -> Resampled:
    """Resample the figures of one row, its seeds together."""
    headline, controls = group[0].run.task.headline, group[0].controls
    own = _over_seeds(predictions, headline, OWN)
    figures = {"f1": (own.macro_f1, own.n_terms), "auroc": (own.auroc, own.n_terms)}
    for name in controls:
        if name != "chance" and all(name in each.margins for each in predictions):
            control = _over_seeds(predictions, headline, name)
            figures[name] = (control.macro_f1, control.n_terms)
            if name == "random_lm":
                figures["transfer"] = (own.macro_f1 - control.macro_f1, own.n_terms)
    if all("leaf" in each.splits for each in predictions):
        leaf = _over_seeds(predictions, "leaf", OWN)
        figures["leaf_f1"] = (leaf.macro_f1, leaf.n_terms)
    if all("heldout_leaf" in each.splits for each in predictions):
        held = _over_seeds(predictions, "heldout_leaf", OWN)
        figures |= {"heldout_f1": (held.macro_f1, held.n_terms), "heldout_auroc": (held.auroc, held.n_terms)}
    rounded = np.round(np.nan_to_num(own.macro_f1) * _UNIT).astype("<u2")
    ends = {name: interval(values, n) for name, (values, n) in figures.items()}
    return Resampled(
        intervals={name: (_round(low), _round(high)) for name, (low, high) in ends.items()},
        f1=base64.b64encode(rounded.tobytes()).decode(),
    )


def _over_seeds(predictions: list[Predictions], split: str, name: str) -> Replicates:
    """Average over seeds; the weights of an item are the same with every seed."""
    found = [replicates(each, split, name) for each in predictions]
    f1, auroc = (np.mean([getattr(each, score) for each in found], axis=0) for score in ("macro_f1", "auroc"))
    return Replicates(f1, auroc, min(each.n_terms for each in found))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
