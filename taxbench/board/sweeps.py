"""The settings that somebody tried with several values, as curves: F1 and validation F1 over the values of one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from numbers import Real
from typing import Any

from taxbench.board.board import Board, Row
from taxbench.board.series import Series, points_of

MOST_SWEPT = 4
"""More curves cannot be told apart in one chart."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One numeric setting on one dataset, all others as they are along each curve."""

    dataset: str
    setting: str
    role: str
    """The part of the question whose F1 it is."""
    values: tuple[float, ...]
    """What was tried, ascending; a point's x is its place among them."""
    curves: tuple[Series, ...]
    """F1 with its interval; dashed, the same heads on validation leaves, by which a value may be chosen."""
    n_more: int
    """Curves that are left out."""


def sweeps(board: Board) -> tuple[Sweep, ...]:
    """Return, by dataset, every setting of which a head was run with several values, all else alike."""
    found = []
    by_dataset = defaultdict[str, list[Row]](list)
    roles = {entry.dataset: entry.role for entry in board.entries}
    for entry in board.entries:
        if not entry.is_control and entry.role in entry.rows and entry.score(entry.role).mean is not None:
            by_dataset[entry.dataset].append(entry.rows[entry.role])
    for dataset, rows in sorted(by_dataset.items()):
        for setting in dict.fromkeys(name for row in rows for name in row.settings):
            if curves := _curves(rows, setting):
                values = tuple(sorted({value for curve in curves.values() for value in curve}))
                series = _series(curves, values)
                kept, more = series[:MOST_SWEPT], len(series) - MOST_SWEPT
                found.append(Sweep(dataset, setting, roles[dataset], values, tuple(kept), max(0, more)))
    return tuple(found)


_Names = tuple[str, ...]
"""LM, encoder, head, and the other settings that tell its curves apart."""


def _curves(rows: Iterable[Row], setting: str) -> dict[_Names, dict[float, Row]]:
    """Return the rows of each curve over a numeric setting by its values; curves with one value are none."""
    curves = defaultdict[_Names, dict[float, Row]](dict)
    for row in rows:  # the best first
        value: Any = row.settings.get(setting)
        if isinstance(value, Real) and not isinstance(value, bool):
            others = sorted(f"{name}={each}" for name, each in row.settings.items() if name != setting)
            # What no setting says, such as another version of the code, is none of the setting's doing.
            said = [f"{name} {each}" for name, each in sorted(row.identities.items()) if name != "features"]
            key = (row.lm, row.encoder, row.head, *map(str, row.seeds), *others, *said)
            curves[key].setdefault(float(value), row)
    return {key: curve for key, curve in curves.items() if len(curve) > 1}


def _series(curves: dict[_Names, dict[float, Row]], values: Sequence[float]) -> list[Series]:
    """Return curves with names that tell them apart: other settings only where LM, encoder and head do not."""
    several = [len({key[i] for key in curves}) > 1 or i == 2 for i in range(3)]
    made = []
    for key, curve in curves.items():
        alike = [other for other in curves if other[:3] == key[:3]]
        apart = {part for part in key[3:] if not all(part in other for other in alike)}
        name = ", ".join([*compress(key[:3], several), *(part for part in key[3:] if part in apart)])
        own, held = [], []
        for value, row in sorted(curve.items()):
            own += points_of(values.index(value), row.f1, f"{value:g}")
            held += points_of(values.index(value), row.validation_f1, f"{value:g}")
        made.append(Series(name, tuple(own), False, tuple(held)))
    return made
