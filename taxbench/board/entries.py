"""The lines of the board: everything asked of one (dataset, LM, encoder, head, setting), and where it ranks."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from taxbench.board.model import NOTHING, TASKS, Entry, Figure, Rank, Row
from taxbench.board.table import figure, row_key
from taxbench.scoring.bootstrap import interval

Replicates = Mapping[str, np.ndarray]
"""F1 of rows and its replicates (`scoring/bootstrap.py`), averaged over seeds, by `row_key`; paired between rows."""

_RANKED_BY, _HIGH, _LOW = "unseen_hypernym", "counterfactual_high", "counterfactual_low"


def make_entries(rows: Iterable[Row], replicates: Replicates) -> list[Entry]:
    """Gather rows into entries, and rank those that are complete, dataset by dataset."""
    places: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        if row.name in TASKS:
            mine = places.setdefault(row.place, {})
            if row.name not in mine or _version(mine[row.name]) < _version(row):
                mine[row.name] = row  # of several versions of a task the newest; all of them stand among the rows
    entries = [_entry({name: mine[name] for name in TASKS if name in mine}, replicates) for mine in places.values()]
    contests: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if not (entry.missing or entry.is_control or entry.rows[_RANKED_BY].f1.mean is None):
            row = entry.rows[_RANKED_BY]
            contests.setdefault((row.identities["dataset"], row.task), []).append(entry)
    ranks = {id(entry): rank for some in contests.values() for entry, rank in _ranked(some, replicates)}
    return sorted((replace(entry, rank=ranks.get(id(entry))) for entry in entries), key=_order)


def _entry(rows: dict[str, Row], replicates: Replicates) -> Entry:
    first = rows.get(_RANKED_BY) or next(iter(rows.values()))
    alike = [name for name, row in rows.items() if row.seeds == first.seeds]
    return Entry(
        dataset=first.dataset,
        lm=first.lm,
        encoder=first.encoder,
        head=first.head,
        features=first.features,
        setting=first.setting,
        seeds=first.seeds,
        rows=rows,
        coherence_effect=_coherence_effect(rows, replicates) if {_HIGH, _LOW} <= set(alike) else NOTHING,
        missing=tuple(name for name in TASKS if name not in alike),
        is_control=first.note.startswith("control"),
        rank=None,
        note=first.note,
    )


def _coherence_effect(rows: dict[str, Row], replicates: Replicates) -> Figure:
    """Return F1 with visual similarity kept minus F1 with it destroyed, seed by seed and item by item."""
    high, low = rows[_HIGH], rows[_LOW]
    pairs = zip(high.f1_by_seed, low.f1_by_seed, strict=True)
    values = [None if a is None or b is None else a - b for a, b in pairs]
    both = [replicates.get(row_key(row)) for row in (high, low)]
    if both[0] is None or both[1] is None:
        return figure(values)
    return figure(values, interval(both[0] - both[1], min(_clusters(high), _clusters(low))))


def _ranked(entries: list[Entry], replicates: Replicates) -> list[tuple[Entry, Rank]]:
    """Rank entries of one contest, with the places that each might have, and bands of ties.

    From pairwise differences (Mogstad, Romano, Shaikh and Wilhelm, 2024): the best place of an entry is one behind all
    that are better for sure, the worst one before all that are worse for sure; sure is what a 95 % interval says that
    does not hold 0. A band is the best entry not in a band yet with all that are not worse than it for sure. Where
    predictions are missing nothing is sure.
    """
    entries = sorted(entries, key=lambda entry: (-(_row(entry).f1.mean or 0.0), *_row(entry).place))
    n = len(entries)
    better = np.array([[_surely_better(a, b, replicates) for b in entries] for a in entries]).reshape(n, n)
    found, band, best = list[tuple[Entry, Rank]](), 0, 0
    for i, entry in enumerate(entries):
        if band == 0 or better[best, i]:
            band, best = band + 1, i
        found.append((entry, Rank(i + 1, 1 + int(better[:, i].sum()), n - int(better[i].sum()), band)))
    return found


def _surely_better(a: Entry, b: Entry, replicates: Replicates) -> bool:
    first, second = (replicates.get(row_key(_row(entry))) for entry in (a, b))
    if a is b or first is None or second is None:
        return False
    low, _ = interval(first - second, min(_clusters(_row(a)), _clusters(_row(b))))
    return low is not None and low > 0


def _row(entry: Entry) -> Row:
    return entry.rows[_RANKED_BY]


def _clusters(row: Row) -> int:
    """Return how many terms have a score."""
    return sum(term.f1 is not None for term in row.terms)


def _version(row: Row) -> int:
    return int(row.task.partition("@")[2].partition("#")[0])


def _order(entry: Entry) -> tuple[str, int, tuple[str, ...]]:
    place = entry.rank.place if entry.rank else 10**9
    return entry.dataset, place, (entry.lm, entry.encoder, entry.head, entry.setting)
