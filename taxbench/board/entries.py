"""The lines of the board: everything asked of one (dataset, LM, encoder, head, setting), and where it ranks."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from taxbench.board.board import NOTHING, Entry, Estimate, Rank, Row
from taxbench.board.roles import ROLES, newest, recipe_of, role_of, task_order
from taxbench.board.rows import Interval, estimate, minus, row_key
from taxbench.scoring.bootstrap import DIFFERENCE, interval
from taxbench.specs.task import TaskSpec

Replicates = Mapping[str, np.ndarray]
"""F1 of rows and its replicates (`scoring/bootstrap.py`), averaged over seeds, by `row_key`; paired between rows."""


_BY = ("unseen", "seen", "high", "low", "leaf")
"""By which part of the question entries of a dataset are ranked: the first that any two of them have."""


def rank_rows(rows: Iterable[Row], replicates: Replicates) -> list[Row]:
    """Return the rows with their ranks: each among those of its task and dataset.

    Control heads and rows without a score are not ranked, nor those of other seeds than most runs have, which ask
    about other pictures.
    """
    contests, found = defaultdict[tuple[str, str], list[Row]](list), list[Row]()
    for row in rows:
        out = row.is_control or row.f1.mean is None
        (found if out else contests[row.dataset, row.task.identity]).append(row)
    for contest in contests.values():
        runs = Counter(row.seeds for row in contest for _ in row.seeds)
        most = max(runs, key=lambda seeds: (runs[seeds], len(seeds), seeds))
        alike = [row for row in contest if row.seeds == most]
        found += [replace(row, rank=rank) for row, rank in _ranked(alike, replicates)]
        found += [row for row in contest if row.seeds != most]
    return sorted(found, key=lambda row: (row.place, task_order(row.task)))


def make_entries(rows: Iterable[Row], replicates: Replicates) -> list[Entry]:
    """Gather ranked rows into entries, dataset by dataset, the best first."""
    places: dict[tuple[str, ...], dict[str, Row]] = {}
    tasks: dict[str, dict[str, str]] = {}  # what the tasks of each dataset are called, by role
    ranked: dict[str, Counter[str]] = {}  # how many rows of each role are ranked
    for role, row in role_rows(rows):
        places.setdefault(row.place, {})[role] = row
        tasks.setdefault(row.dataset, dict(ROLES))[role] = row.name
        ranked.setdefault(row.dataset, Counter())[role] += row.rank is not None
    by = {dataset: next((role for least in (2, 1) for role in _BY if count[role] >= least), _BY[0])
          for dataset, count in ranked.items()}  # fmt: skip
    entries = [
        _entry({role: own[role] for role in ROLES if role in own}, tasks[place[0]], by[place[0]], replicates)
        for place, own in places.items()
    ]
    return sorted(entries, key=_order)


def _order(entry: Entry) -> tuple[Any, ...]:
    """Return what entries are sorted by: dataset, then rank; those without, by the score that others are ranked by,
    then by any."""
    scores = [entry.score(role).mean for role in dict.fromkeys((entry.role, *_BY))]
    first = next((number for number, score in enumerate(scores) if score is not None), len(scores))
    score = -(scores[first] or 0.0) if first < len(scores) else 0.0
    place = entry.rank.place if entry.rank else math.inf
    return entry.dataset, place, entry.is_control, first > 0, score, *entry.place[1:]


def role_rows(rows: Iterable[Row]) -> list[tuple[str, Row]]:
    """Return the rows that answer a part of the question, each with that part: of one task for a part and dataset.

    Nothing of two tasks is ranked or pooled. Of several that ask the same part the suite's own counts, else the one
    that most rows are of. Tasks that are not the suite's must ask as the one does that is ranked.
    """
    datasets = defaultdict[str, list[Row]](list)
    for row in newest(rows):
        datasets[row.dataset].append(row)
    return [
        (role, row)
        for block in datasets.values()
        for role, identity in _standing_for(block).items()
        for row in block
        if row.task.identity == identity
    ]


def _standing_for(rows: Iterable[Row]) -> dict[str, str]:
    """Return which task stands for each part of the question, of the rows of one dataset."""
    count = Counter(row.task.identity for row in rows)
    tasks = {row.task.identity: row.task for row in rows}
    chosen: dict[str, TaskSpec] = {}
    for role in sorted(ROLES, key=lambda role: role != "unseen"):
        main = next(iter(chosen.values()), None)
        ranks = [
            (task.name == ROLES[role], count[identity], identity)
            for identity, task in tasks.items()
            if role_of(task) == role
            and (task.name == ROLES[role] or main is None or recipe_of(task) == recipe_of(main))
        ]
        if ranks:
            chosen[role] = tasks[max(ranks)[-1]]
    return {role: task.identity for role, task in chosen.items()}


def _entry(rows: dict[str, Row], tasks: Mapping[str, str], by: str, replicates: Replicates) -> Entry:
    """Return the entry of the board that holds the rows of one system, by role."""
    first = rows.get(by) or next(iter(rows.values()))
    alike = [role for role, row in rows.items() if row.seeds == first.seeds]
    return Entry(
        dataset=first.dataset,
        lm=first.lm,
        encoder=first.encoder,
        head=first.head,
        features=first.features,
        setting=first.setting,
        seeds=first.seeds,
        rows=rows,
        coherence_effect=_coherence_effect(rows, replicates) if {"high", "low"} <= set(alike) else NOTHING,
        missing=tuple(tasks[role] for role in ROLES if role not in alike),
        is_control=first.is_control,
        role=by,
        note=first.note,
    )


def _coherence_effect(rows: dict[str, Row], replicates: Replicates) -> Estimate:
    """Return F1 with visual similarity kept minus F1 with it destroyed, seed by seed and item by item."""
    high, low = rows["high"], rows["low"]
    return estimate(minus(high.f1_by_seed, low.f1_by_seed), _apart(high, low, replicates))


def _apart(a: Row, b: Row, replicates: Replicates, alpha: float = 0.05) -> Interval:
    """Return the interval of the F1 of one row minus that of another; without predictions there is none."""
    first, second = replicates.get(row_key(a)), replicates.get(row_key(b))
    if first is None or second is None:
        return None, None
    scored = min(sum(term.f1 is not None for term in row.terms) for row in (a, b))
    return interval(first - second, scored, alpha, DIFFERENCE)


def _ranked(rows: list[Row], replicates: Replicates) -> list[tuple[Row, Rank]]:
    """Rank the rows of one contest, with the places that each might have, and bands of ties.

    From pairwise differences (Mogstad, Romano, Shaikh and Wilhelm, 2024): the best place of a row is one behind all
    that are better for sure, the worst one before all that are worse for sure. Sure is what the interval of a
    difference says that does not hold 0, all those of a row at once (Bonferroni), so that 95 % of such ranges hold
    the place that other items would give on average. A band is the best row not in a band yet with all that are not
    worse than it for sure. Where predictions are missing nothing is sure.
    """
    rows = sorted(rows, key=lambda row: (-(row.f1.mean or 0.0), *row.place))
    n = len(rows)
    alpha = 0.05 / max(1, n - 1)
    better = np.zeros((n, n), dtype=bool)
    for i, j in combinations(range(n), 2):
        better[i, j] = _surely_better(rows[i], rows[j], replicates, alpha)
        better[j, i] = _surely_better(rows[j], rows[i], replicates, alpha)
    bands, band = np.zeros(n, dtype=int), 0
    while (bands == 0).any():
        band, best = band + 1, int(np.argmax(bands == 0))
        bands[(bands == 0) & ~better[best]] = band
    return [
        (row, Rank(i + 1, 1 + int(better[:, i].sum()), n - int(better[i].sum()), int(bands[i]), n))
        for i, row in enumerate(rows)
    ]


def _surely_better(a: Row, b: Row, replicates: Replicates, alpha: float) -> bool:
    """Tell whether a row beats another: the interval of their F1 difference lies above 0."""
    low, _ = _apart(a, b, replicates, alpha)
    return low is not None and low > 0
