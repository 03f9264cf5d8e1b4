"""Averages over the tasks of a group, where every member is there."""

from collections.abc import Iterable

import numpy as np

from taxbench.board.board import GroupAverage, Row
from taxbench.board.rows import estimate
from taxbench.specs.group import GroupSpec


def group_averages(rows: Iterable[Row], groups: Iterable[GroupSpec]) -> list[GroupAverage]:
    """Average the groups that have weights and of which any member is in the table."""
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        blocks.setdefault(row.place, []).append(row)
    found = []
    for place, members in blocks.items():
        for group in groups:
            present = [row for row in members if row.name in group.members]
            if group.weights is not None and present:
                values, reason = _average(group, present)
                found.append(GroupAverage(group.group, place, estimate(values), reason))
    return found


def _average(group: GroupSpec, rows: list[Row]) -> tuple[list[float | None], str]:
    """Return the weighted mean of each seed, or nothing and why."""
    missing = [name for name in group.members if name not in {row.name for row in rows}]
    if missing:
        return [], f"{len(missing)} of {len(group.members)} members missing: {', '.join(missing)}"
    if len(rows) > len(group.members):
        return [], "a member was run with several settings or versions"
    if len({row.seeds for row in rows}) > 1:
        return [], "the members were run with different seeds"
    if any(value is None for row in rows for value in row.primary):
        return [], "a member has no score"
    weights = [group.weights[row.name] if isinstance(group.weights, dict) else 1.0 for row in rows]
    table = np.array([row.primary for row in rows], dtype=np.float64)  # (members, seeds)
    return [float(value) for value in np.average(table, axis=0, weights=weights)], ""
