"""The lines of the board: everything asked of one (dataset, LM, encoder, head, setting), and where it ranks."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from taxbench.board.board import NOTHING, TASKS, Entry, Estimate, Rank, Row
from taxbench.board.rows import figure, row_key
from taxbench.scoring.bootstrap import interval

Replicates = Mapping[str, np.ndarray]
"""F1 of rows and its replicates (`scoring/bootstrap.py`), averaged over seeds, by `row_key`; paired between rows."""

_RANKED_BY, _HIGH, _LOW = "unseen_hypernym", "counterfactual_high", "counterfactual_low"


def make_entries(rows: Iterable[Row], replicates: Replicates) -> list[Entry]:
    """Gather rows into entries, and rank those that are complete, dataset by dataset."""
    places: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in newest(rows):
        if row.name in TASKS:
            places.setdefault(row.place, {})[row.name] = row
    entries = [_entry({name: mine[name] for name in TASKS if name in mine}, replicates) for mine in places.values()]
    contests: dict[str, list[Entry]] = {}
    for entry in entries:
        if not (entry.missing or entry.is_control or _row(entry).f1.mean is None):
            contests.setdefault(entry.dataset, []).append(entry)
    changed: dict[int, Entry] = {}
    for contest in contests.values():
        alike, others = _of_the_same_seeds(contest)
        changed |= {id(entry): replace(entry, rank=rank) for entry, rank in _ranked(alike, replicates)}
        seeds = ", ".join(map(str, alike[0].seeds))
        changed |= {id(entry): replace(entry, missing=(f"seeds {seeds}, as those ranked have",)) for entry in others}
    return sorted((changed.get(id(entry), entry) for entry in entries), key=_order)


def newest(rows: Iterable[Row]) -> list[Row]:
    """Return the rows without those of an older version of a task, or of less usual content of the same version.

    Nothing of two versions is ranked or pooled; all of them stand among the rows of the board.
    """
    everything = list(rows)
    usual = Counter(row.task for row in everything)
    best: dict[str, str] = {}
    for row in everything:
        other = best.setdefault(row.name, row.task)
        if (_version(row.task), usual[row.task], row.task) > (_version(other), usual[other], other):
            best[row.name] = row.task
    return [row for row in everything if best[row.name] == row.task]


def _of_the_same_seeds(contest: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Part entries with the seeds that most of them have from the others: other seeds ask about other pictures."""
    count = Counter(entry.seeds for entry in contest)
    most = max(count, key=lambda seeds: (count[seeds], len(seeds), seeds))
    return [e for e in contest if e.seeds == most], [e for e in contest if e.seeds != most]


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


def _coherence_effect(rows: dict[str, Row], replicates: Replicates) -> Estimate:
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
    that are better for sure, the worst one before all that are worse for sure. Sure is what the interval of a
    difference says that does not hold 0, all those of an entry at once (Bonferroni), so that 95 % of such ranges hold
    the place that other items would give on average. A band is the best entry not in a band yet with all that are not
    worse than it for sure. Where predictions are missing nothing is sure.
    """
    entries = sorted(entries, key=lambda entry: (-(_row(entry).f1.mean or 0.0), *entry.place))
    n = len(entries)
    alpha = 0.05 / max(1, n - 1)
    better = np.zeros((n, n), dtype=bool)
    for i, j in combinations(range(n), 2):
        better[i, j] = _surely_better(entries[i], entries[j], replicates, alpha)
        better[j, i] = _surely_better(entries[j], entries[i], replicates, alpha)
    bands, band = np.zeros(n, dtype=int), 0
    while (bands == 0).any():
        band, best = band + 1, int(np.argmax(bands == 0))
        bands[(bands == 0) & ~better[best]] = band
    return [
        (entry, Rank(i + 1, 1 + int(better[:, i].sum()), n - int(better[i].sum()), int(bands[i])))
        for i, entry in enumerate(entries)
    ]


def _surely_better(a: Entry, b: Entry, replicates: Replicates, alpha: float) -> bool:
    first, second = (replicates.get(row_key(_row(entry))) for entry in (a, b))
    if first is None or second is None:
        return False
    low, _ = interval(first - second, min(_clusters(_row(a)), _clusters(_row(b))), alpha)
    return low is not None and low > 0


def _row(entry: Entry) -> Row:
    return entry.rows[_RANKED_BY]


def _clusters(row: Row) -> int:
    """Return how many terms have a score."""
    return sum(term.f1 is not None for term in row.terms)


def _version(task: str) -> int:
    return int(task.partition("@")[2].partition("#")[0])


def _order(entry: Entry) -> tuple[str, int, tuple[str, ...]]:
    place = entry.rank.place if entry.rank else 10**9
    return entry.dataset, place, (entry.lm, entry.encoder, entry.head, entry.setting)
