"""What systems were trained with against what they are asked: world scopes (Bisk et al., 2020, arXiv 2004.10151)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean
from typing import get_args

from taxbench.board.board import Board, Estimate, Row
from taxbench.board.roles import newest, role_of
from taxbench.registry.models import encoders, lms, systems
from taxbench.specs.property_asked import WorldScope
from taxbench.specs.sources import READERS

SCOPES: tuple[WorldScope, ...] = get_args(WorldScope)
_Asked = dict[str, dict[tuple[str, str], float]]
"""Of one system: scope, then task and setting, then AUROC."""


@dataclass(frozen=True, slots=True)
class ScopeMap:
    """Mean AUROC on one dataset, one line for what a system was trained with, one cell for what it is asked."""

    dataset: str
    evidence: tuple[str, ...]
    asked: tuple[str, ...]
    auroc: tuple[tuple[Estimate | None, ...], ...]
    """Mean over tasks and settings, then over systems; None: not asked."""
    tasks: tuple[int, ...]
    """How many tasks ask each scope."""


def scope_maps(board: Board) -> tuple[ScopeMap, ...]:
    """Return the map of each dataset on which systems were asked in two scopes; others have nothing to compare.

    Rows with re-paired images and rows of controls are left out, and so are models that no registry names: what they
    were trained with is not known.
    """
    found, rows = [], newest(board.rows)
    for dataset in sorted({row.dataset for row in rows}):
        of_system = defaultdict[tuple[str, ...], _Asked](lambda: defaultdict(dict))
        for row in rows:
            asked, trained = scope_of(row), evidence_of(row)
            own = not row.is_control or row.head in READERS  # which are no heads, and shown as controls
            if row.dataset == dataset and asked and trained and row.auroc.mean is not None and own:
                of_system[(trained, *row.place[:-1])][asked][row.name, row.setting] = row.auroc.mean
        several = {system: scopes for system, scopes in of_system.items() if len(scopes) > 1}
        if several:
            found.append(_map(dataset, several))
    return tuple(found)


def scope_of(row: Row) -> WorldScope | None:
    """Return what the answers of a row's task take to learn; of hypernyms a corpus of text does, as dictionaries do."""
    if row.task.counterfactual.kind != "none":
        return None
    return row.task.world_scope or ("corpora" if role_of(row.task) == "unseen" else None)


def evidence_of(row: Row) -> str | None:
    """Return what a row's language model and encoder, or its whole system, were trained with; None: not known."""
    if row.head in READERS:
        system = systems().get(row.lm)
        return f"{system.evidence} (whole system)" if system else None
    lm, encoder = lms().get(row.lm), encoders().get(row.encoder)
    return f"{lm.evidence} (LM), {encoder.evidence} (encoder)" if lm and encoder else None


def _map(dataset: str, of_system: dict[tuple[str, ...], _Asked]) -> ScopeMap:
    """Return the map of some systems of one dataset."""
    asked = tuple(scope for scope in SCOPES if any(scope in scopes for scopes in of_system.values()))
    evidence = tuple(sorted({system[0] for system in of_system}))

    def cell(trained: str, scope: str) -> Estimate | None:
        means = [mean(scopes[scope].values()) for system, scopes in of_system.items()
                 if system[0] == trained and scope in scopes]  # fmt: skip
        return Estimate(mean(means)) if means else None

    lines = tuple(tuple(cell(trained, scope) for scope in asked) for trained in evidence)
    return ScopeMap(dataset, evidence, asked, lines, tuple(_count(of_system.values(), scope) for scope in asked))


def _count(of_systems: Iterable[_Asked], scope: str) -> int:
    """Return how many tasks any of the systems was asked in a scope."""
    return len({task for scopes in of_systems for task, _ in scopes.get(scope, {})})
