"""The lines of the board: everything asked of one (dataset, LM, encoder, head, setting), and where it ranks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from taxbench.board.board import NOTHING, Entry, Estimate, Rank, Row
from taxbench.board.roles import ROLES, recipe_of, role_of
from taxbench.board.rows import Interval, estimate, minus, row_key
from taxbench.scoring.bootstrap import DIFFERENCE, interval
from taxbench.specs.task import TaskSpec

Replicates = Mapping[str, np.ndarray]
"""F1 of rows and its replicates (`scoring/bootstrap.py`), averaged over seeds, by `row_key`; paired between rows."""


def make_entries(rows: Iterable[Row], replicates: Replicates) -> list[Entry]:
    """Gather rows into entries, and rank those that are complete, dataset by dataset."""
    places: dict[tuple[str, ...], dict[str, Row]] = {}
    tasks: dict[str, dict[str, str]] = {}  # what the tasks of each dataset are called, by role
    for role, row in role_rows(rows):
        places.setdefault(row.place, {})[role] = row
        tasks.setdefault(row.dataset, dict(ROLES))[role] = row.name
    entries = [
        _entry({role: own[role] for role in ROLES if role in own}, tasks[place[0]], replicates)
        for place, own in places.items()
    ]
    contests: dict[str, list[Entry]] = {}
    found = list[Entry]()
    for entry in entries:
        out = entry.missing or entry.is_control or entry.score("unseen").mean is None
        (found if out else contests.setdefault(entry.dataset, [])).append(entry)
    for contest in contests.values():
        # Other seeds than most have ask about other pictures.
        count = Counter(entry.seeds for entry in contest)
        most = max(count, key=lambda seeds: (count[seeds], len(seeds), seeds))
        alike = [entry for entry in contest if entry.seeds == most]
        found += [replace(entry, rank=rank) for entry, rank in _ranked(alike, replicates)]
        missing = (f"seeds {', '.join(map(str, most))}, as those ranked have",)
        found += [replace(entry, missing=missing) for entry in contest if entry.seeds != most]
    return sorted(found, key=lambda each: (each.dataset, each.rank.place if each.rank else 10**9, *each.place[1:]))


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


def newest(rows: Iterable[Row]) -> list[Row]:
    """Return the rows without those of an older version of a task, or of less usual content of the same version.

    Nothing of two versions is ranked or pooled; all of them stand among the rows of the board.
    """
    everything = [(row, row.task.identity) for row in rows]
    usual = Counter(identity for _, identity in everything)
    ranks = sorted((row.task.version, usual[identity], identity, row.name) for row, identity in everything)
    best = {name: identity for _, _, identity, name in ranks}
    return [row for row, identity in everything if best[row.name] == identity]


def _entry(rows: dict[str, Row], tasks: Mapping[str, str], replicates: Replicates) -> Entry:
    """Return the unranked entry of the board that holds the rows of one system, by role."""
    first = rows.get("unseen") or next(iter(rows.values()))
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
        rank=None,
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


def _ranked(entries: list[Entry], replicates: Replicates) -> list[tuple[Entry, Rank]]:
    """Rank entries of one contest, with the places that each might have, and bands of ties.

    From pairwise differences (Mogstad, Romano, Shaikh and Wilhelm, 2024): the best place of an entry is one behind all
    that are better for sure, the worst one before all that are worse for sure. Sure is what the interval of a
    difference says that does not hold 0, all those of an entry at once (Bonferroni), so that 95 % of such ranges hold
    the place that other items would give on average. A band is the best entry not in a band yet with all that are not
    worse than it for sure. Where predictions are missing nothing is sure.
    """
    entries = sorted(entries, key=lambda entry: (-(entry.score("unseen").mean or 0.0), *entry.place))
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
    """Tell whether an entry beats another: the interval of their unseen F1 difference lies above 0."""
    low, _ = _apart(a.rows["unseen"], b.rows["unseen"], replicates, alpha)
    return low is not None and low > 0
