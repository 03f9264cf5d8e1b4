"""Which part of the question a task asks, read off what the task says, never off its name; and which version counts."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from taxbench.board.board import Row
from taxbench.specs.task import TaskSpec

ROLES = {
    "leaf": "leaf",
    "seen": "seen_hypernym",
    "unseen": "unseen_hypernym",
    "high": "counterfactual_high",
    "low": "counterfactual_low",
}
"""The parts of the question in its order, each with the suite's own task for it: the words that training used, asked of
new images; hypernyms that it asked too; hypernyms that it never named; the same with images and names re-paired, visual
similarity kept; and destroyed. Other tasks stand in tables of their own."""
PAIRINGS = ("unseen", "high", "low")
"""Those that differ only in the pairing of images and names."""
_DESIGNS = {
    ("seen", "none", "none"): "seen",
    ("unseen", "full", "none"): "unseen",
    ("unseen", "full", "within_category"): "high",
    ("unseen", "full", "across_category"): "low",
}


def role_of(task: TaskSpec) -> str | None:
    """Return the part of the question that a task asks; None: another design."""
    pairing = task.counterfactual.kind
    if task.property_questions or task.questions.second_image or task.questions.language.foreign:
        return None
    if set(task.evaluate) <= {"leaf", "heldout_leaf"}:
        return "leaf" if pairing == "none" else None
    return _DESIGNS.get((task.headline, task.deprivation.kind, pairing))


def recipe_of(task: TaskSpec) -> dict[str, Any]:
    """Return what the parts of one question have in common: how they are asked, and of which leaves."""
    return {name: getattr(task, name) for name in ("heldout_leaves", "leaks", "questions")}


def level_of(name: str) -> tuple[str, float | None]:
    """Return the name of the curve that a task is a point of, and its level; of other tasks their name and None."""
    curve, _, level = name.partition("-")
    return (curve, float(level)) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", level) else (name, None)


def task_order(task: TaskSpec) -> tuple[int, str, float, str]:
    """Put the parts of the question first, then other tasks by name, curves by level."""
    role, (curve, level) = role_of(task), level_of(task.name)
    return list(ROLES).index(role) if role else len(ROLES), curve, level or 0.0, task.identity


def newest(rows: Iterable[Row]) -> list[Row]:
    """Return the rows without those of an older version of a task, or of less usual content of the same version.

    Each dataset goes by its own rows: one where nobody has run the latest version keeps those that it has. Nothing of
    two versions is ranked together; all of them stand among the rows of the board.
    """
    everything = [(row, row.task.identity) for row in rows]
    usual = Counter((row.dataset, identity) for row, identity in everything)
    ranks = sorted(
        (row.task.version, usual[row.dataset, identity], identity, row.name, row.dataset)
        for row, identity in everything
    )
    best = {(dataset, name): identity for _, _, identity, name, dataset in ranks}
    return [row for row, identity in everything if best[row.dataset, row.name] == identity]
