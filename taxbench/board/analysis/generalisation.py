"""What generalisation goes with: observations from results or a table, and their regression, pairing by pairing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taxbench.board.board import Row
from taxbench.board.entries import role_rows
from taxbench.board.load import load_records
from taxbench.board.references import SOURCE, published_folder, read_coherence
from taxbench.board.roles import PAIRINGS, newest, role_of
from taxbench.board.rows import make_table
from taxbench.scoring.regression import Analysis, Observation, generalisation
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few

ORIGINAL = "original"
"""The pairing of leaves and pictures as they are."""
ALL = "all"
_RANDOM = "-random"
"""How the name of a published system with a random LM ends."""


@dataclass(frozen=True, slots=True)
class RegressionResult:
    """The regressions of one pairing, or of all together."""

    pairing: str
    """`original`, `within_category`, `across_category`, or `all`: these with fixed effects."""
    systems: tuple[str, ...]
    n: int
    """Observations."""
    n_text: int
    """Those whose language model was asked in words, which the joint regression is about."""
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class RegressionResults:
    """All that can be said of some observations."""

    source: str
    findings: tuple[RegressionResult, ...]
    notes: tuple[str, ...]
    """What was left out, and why."""


def published_table() -> Path:
    """Return the published table of visual coherence and F1 by category."""
    return published_folder() / "visual_coherence.csv"


def analyse(places: Sequence[Path], pairing: str | None = None, systems: Sequence[str] = ()) -> RegressionResults:
    """Regress F1 of hypernyms on visual similarity and on what the language model knows from text alone.

    Args:
        places: Folders with results, or tables laid out as the published one.
        pairing: One pairing; None: the original one, then all together where there are several.
        systems: Names of systems; none: all.

    Raises:
        UsageError: there is nothing of that name, or no results.
        DataError: the observations are too few, or a file is broken.
    """
    rows, notes = list[Observation](), list[str]()
    for place in (place for place in places if place.is_file()):
        table = read_coherence(place)
        random = sorted({row.system for row in table if row.system.endswith(_RANDOM)})
        if random:
            notes.append(f"Left out: language models with random weights, which are controls ({first_few(random)}).")
        rows += [row for row in table if row.system not in random]
    if folders := [place for place in places if not place.is_file()]:
        rows += observations(make_table(load_records(folders).results), notes)
    rows = _chosen(rows, "system", systems)
    rows = _chosen(rows, "pairing", [pairing] if pairing and pairing != ALL else [])
    if not rows:
        raise UsageError(
            "There is nothing to analyse: no hypernym has both an F1 and a visual similarity. Make results: taxbench "
            "run --task unseen_hypernym,counterfactual_high,counterfactual_low"
        )
    there = sorted({row.pairing for row in rows})
    scopes = [ORIGINAL] if pairing is None and ORIGINAL in there and len(there) > 1 else []
    found = tuple(_finding(rows, scope, notes) for scope in [*scopes, ALL if len(there) > 1 else there[0]])
    names = [SOURCE if place == published_table() else str(place) for place in places]
    return RegressionResults(first_few(names, 3), found, tuple(notes))


def observations(table: Iterable[Row], notes: list[str]) -> list[Observation]:
    """Return one observation for every hypernym of the rows that ask hypernyms never trained; notes say what is not.

    The system's LM knows from text alone what the control `text_only` says: the same questions with the name in words.
    """
    everything = list(table)
    current = newest(everything)
    kept = [row for role, row in role_rows(current) if role in PAIRINGS]
    asking = [row for row in current if role_of(row.task) in PAIRINGS]
    measured = [(row, term) for row in kept if not row.is_control for term in row.terms]
    scored = [(row, term, term.f1, term.similarity) for row, term in measured]
    found = [
        Observation(
            category=term.term,
            system=", ".join(filter(None, [f"{row.lm} ← {row.head} ← {row.encoder}", row.dataset, row.setting])),
            pairing=ORIGINAL if row.task.counterfactual.kind == "none" else row.task.counterfactual.kind,
            f1=f1,
            similarity=similarity,
            text_only=term.controls.get("text_only"),
        )
        for row, term, f1, similarity in scored
        if f1 is not None and similarity is not None
    ]

    def tasks(some: list[Row]) -> set[str]:
        return {row.task.identity for row in some}

    left_out = {
        "older versions, or other contents, of tasks": tasks(everything) - tasks(current),
        "tasks whose part of the question others stand for": tasks(asking) - tasks(kept),
        "heads that are controls": {row.head for row in kept if row.is_control},
    }
    notes += [f"Left out: {what} ({first_few(sorted(names))})." for what, names in left_out.items() if names]
    if unknown := len(measured) - len(found):
        notes.append(f"Left out: {unknown} hypernyms of runs, without an F1 or a visual similarity.")
    return found


def _chosen(rows: list[Observation], kind: str, names: Sequence[str]) -> list[Observation]:
    """Return the observations of the systems or pairings to regress; raise for a name that none has."""
    known = sorted({getattr(row, kind) for row in rows})
    for name in names:
        if name not in known:
            raise UsageError(f"Unknown {kind} '{name}'.{did_you_mean(name, known)} There are {first_few(known, 20)}.")
    return [row for row in rows if not names or getattr(row, kind) in names]


def _finding(rows: Sequence[Observation], pairing: str, notes: list[str]) -> RegressionResult:
    """Regress generalisation on the observations of one pairing, without text-only F1 where that fails."""
    mine = [row for row in rows if pairing in (ALL, row.pairing)]
    try:
        analysis = generalisation(mine)
    except DataError as error:  # a language model that knows every name says nothing about text, and no more than that
        mine = [replace(row, text_only=None) for row in mine]
        analysis = generalisation(mine)
        notes.append(f"Pairing {pairing}: text-only F1 is left out. {error}")
    text = sum(row.text_only is not None for row in mine)
    return RegressionResult(pairing, tuple(sorted({row.system for row in mine})), len(mine), text, analysis)
