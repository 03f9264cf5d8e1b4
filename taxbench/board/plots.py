"""What the page's charts and the figures show, as numbers: which curves, cells, bars and points. Nothing is drawn."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from taxbench.board.board import Board, Entry, Estimate, Reference, Row, TermRow
from taxbench.board.roles import PAIRINGS, level_of, recipe_of, role_of
from taxbench.specs.spec import content_hash
from taxbench.specs.task import RandomDeprivation, SystematicDeprivation, TaskSpec
from taxbench.util.text import plain

PAIRING_NAMES = dict(zip(PAIRINGS, ("true pairing", "similarity kept", "similarity destroyed"), strict=True))
"""What each of the parts of the question that differ only in the pairing of images and names is called."""
MOST_CURVES = 4
"""More measured curves, or more published ones, cannot be told apart in one chart."""
F1_SPAN, TRANSFER_SPAN = (0.3, 1.0), (0.0, 0.6)
"""The scores of a heatmap from which on a cell is lightest, and darkest."""

_MOST_BARS = 6
_PUBLISHED_HYPERNYMS = 53


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One level of a curve."""

    percent: float
    """How much of the evidence was denied. Measured, random: of the questions, in effect; published, random: of the
    concepts, as asked for; systematic: of the hypernyms."""
    f1: Estimate
    what: str
    """The task, or the published level."""


@dataclass(frozen=True, slots=True)
class Curve:
    """F1 on denied hypernyms over the share of evidence that training was denied, up to all of it."""

    name: str
    is_published: bool
    points: tuple[CurvePoint, ...]
    random_lm: tuple[CurvePoint, ...]
    """The same through the random LM, where known."""


@dataclass(frozen=True, slots=True)
class Deprivation:
    """The curves of one dataset and kind of deprivation, measured ones first."""

    dataset: str
    kind: str
    """random | systematic."""
    curves: tuple[Curve, ...]
    n_more: int
    """Measured curves that are left out."""

    @property
    def bottom(self) -> float:
        """Return where an axis up to 1 begins that shows everything."""
        scores = [point.f1 for curve in self.curves for point in (*curve.points, *curve.random_lm)]
        known = [value for score in scores for value in (score.mean, score.low) if value is not None]
        return min(0.3, math.floor(10 * min(known, default=0.3)) / 10)


Cells = tuple[tuple[Estimate | None, ...], ...]
"""One line an LM, one cell an encoder; None: not run."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One head of one dataset, LM by encoder."""

    dataset: str
    head: str
    """With its setting."""
    is_control: bool
    lms: tuple[str, ...]
    """Of the lines of `f1`: language models, and after them their twins with random weights."""
    encoders: tuple[str, ...]
    f1: Cells
    """F1 on unseen hypernyms."""
    transfer: Cells
    """F1 minus the twin's, one line for each language model that is no twin."""

    @property
    def n_scored(self) -> int:
        """Return how many pairs have a score."""
        return sum(
            cell is not None and cell.mean is not None for line in self.f1[: len(self.transfer)] for cell in line
        )


@dataclass(frozen=True, slots=True)
class Scatter:
    """Terms of one entry, each with its visual similarity and its F1."""

    entry: Entry
    terms: dict[str, tuple[tuple[float, float, str], ...]]
    """By pairing: similarity, F1 and term."""
    chance: float | None


@dataclass(frozen=True, slots=True)
class Bars:
    """The pairings of some entries of one dataset."""

    dataset: str
    entries: tuple[Entry, ...]


def deprivations(board: Board) -> tuple[Deprivation, ...]:
    """Return the deprivation curves of each dataset, those of its first few systems and the published ones."""
    found = []
    for dataset in sorted({row.dataset for row in board.rows} | {each.dataset for each in board.references}):
        for kind in ("random", "systematic"):
            measured = _measured(board, dataset, kind)
            curves = [*_named(measured[:MOST_CURVES]), *_published(board.references, dataset, kind)[:MOST_CURVES]]
            if curves:
                found.append(Deprivation(dataset, kind, tuple(curves), max(len(measured) - MOST_CURVES, 0)))
    return tuple(found)


_Measured = tuple[tuple[str, ...], list[tuple[float, Row]]]
"""What tells a curve from others (dataset, LM, encoder, head, setting, negatives, unit, name); its rows by level."""


def _measured(board: Board, dataset: str, kind: str) -> list[_Measured]:
    """Return the measured curves, those of ranked systems first."""
    blocks: dict[tuple[str, ...], list[Row]] = {each.place: [] for each in board.entries if each.dataset == dataset}
    for row in board.rows:
        if row.dataset == dataset and row.f1.mean is not None and row.split == "unseen":
            blocks.setdefault(row.place, []).append(row)
    curves = []
    for place, rows in blocks.items():
        designs: dict[str, list[Row]] = {}
        for row in rows:
            if row.task.deprivation.kind == kind and row.task.counterfactual.kind == "none":
                designs.setdefault(_design(row.task), []).append(row)
        for points in sorted(designs.values(), key=lambda points: points[0].name):
            levels = {_denied(row, kind): row for row in points} | _end(points[0].task, rows)
            if len(levels) > 1:
                curves.append(((*place, *_variant(points[0].task)), sorted(levels.items(), key=lambda each: each[0])))
    return curves


def _design(task: TaskSpec) -> str:
    """Return what the points of one curve have in common: everything but the level."""
    deprivation = task.deprivation.model_dump(exclude={"fraction", "n", "categories"})
    return content_hash([deprivation, recipe_of(task)])


def _end(task: TaskSpec, rows: Iterable[Row]) -> dict[float, Row]:
    """Return the end of a task's curve: the row of the task that denies everything, and asks the same otherwise."""
    ends = [row for row in rows if role_of(row.task) == "unseen" and recipe_of(row.task) == recipe_of(task)]
    return {100.0: ends[-1]} if ends else {}


def _variant(task: TaskSpec) -> tuple[str, str, str]:
    """Return what may tell a curve from others of one system."""
    given = task.deprivation.model_dump()
    negatives, unit = (f"{name}: {given[name]}" if name in given else "" for name in ("negatives", "unit"))
    return negatives, unit, level_of(task.name)[0]


def _denied(row: Row, kind: str) -> float:
    """Return how much was denied, in per cent: in effect where that is known, else as asked for."""
    removed = row.evidence.removed_hypernyms if row.evidence else ()
    known = {each.hypernym for each in row.visual_similarity.categories} if row.visual_similarity else set()
    if kind == "systematic" and removed and known:
        return 100 * len(removed) / len(known.union(removed))
    if kind == "random" and row.evidence and row.evidence.removed_fraction is not None:
        return 100 * row.evidence.removed_fraction
    level = _level(row.task)
    return 100 * level if level < 1 else 100 * level / max(len(known), level)  # from 1 on a number of hypernyms


def _level(task: TaskSpec) -> float:
    """Return how much of the evidence a task denies: a share, or from 1 on a number of hypernyms."""
    match task.deprivation:
        case RandomDeprivation(fraction=share):
            return share
        case SystematicDeprivation(n=n, categories=names):
            return len(names) if n is None else n
        case _:
            return 0.0


def _named(measured: list[_Measured]) -> list[Curve]:
    """Name curves by LM and encoder, and by what else tells one from another; by the tasks' name where nothing does."""
    labels = [_label(names, measured) for names, _ in measured]
    curves = []
    for label, (names, rows) in zip(labels, measured, strict=True):
        name = label if labels.count(label) == 1 else f"{label}, {names[-1]}"
        own = tuple(CurvePoint(percent, row.f1, row.name) for percent, row in rows)
        twins = [(percent, row.controls.get("random_lm"), row.name) for percent, row in rows]
        twin = tuple(CurvePoint(percent, f1, task) for percent, f1, task in twins if f1 and f1.mean is not None)
        curves.append(Curve(name, False, own, twin))
    return curves


def _label(names: tuple[str, ...], measured: list[_Measured]) -> str:
    """Return LM, encoder and those of a curve's other names in which any two curves differ; the task's is none."""
    telling = (part in (1, 2) or len({others[part] for others, _ in measured}) > 1 for part in range(len(names) - 1))
    return ", ".join(name for name, is_telling in zip(names, telling, strict=False) if name and is_telling)


def _published(references: Iterable[Reference], dataset: str, kind: str) -> list[Curve]:
    """Return the published deprivation curves of a dataset, for plots beside the measured ones."""
    systems: dict[
        tuple[str, str], tuple[list[CurvePoint], list[CurvePoint]]
    ] = {}  # with the trained LM, with the random one
    for each in references:
        if (each.dataset, each.pairing, each.split) == (dataset, "original", "unseen"):
            if each.deprivation == "full":
                point = CurvePoint(100.0, each.estimate, "full")
            elif each.deprivation == kind and each.level is not None:
                percent = each.level * (100 / _PUBLISHED_HYPERNYMS if kind == "systematic" else 1)
                point = CurvePoint(percent, each.estimate, f"{kind} {each.level:g}")
            else:
                continue
            systems.setdefault((each.lm, each.encoder), ([], []))[each.random_lm].append(point)
    found = []
    for name, sides in sorted(systems.items()):
        own, twin = (tuple(sorted(side, key=lambda point: point.percent)) for side in sides)
        if len(own) > 1:
            found.append(Curve(", ".join(name), True, own, twin))
    return found


def heatmaps(board: Board) -> tuple[Heatmap, ...]:
    """Return every head, setting and dataset with more than one pair of LM and encoder."""
    blocks: dict[tuple[str, str], dict[tuple[str, str], Entry]] = {}
    for each in board.entries:  # sorted by rank: of several of one pair, with other features, the best
        if "unseen" in each.rows:
            head = f"{each.head} ({each.setting})" if each.setting else each.head
            blocks.setdefault((each.dataset, head), {}).setdefault((each.lm, each.encoder), each)
    return tuple(_heatmap(*names, pairs) for names, pairs in blocks.items() if len(pairs) > 1)


def _heatmap(dataset: str, head: str, pairs: dict[tuple[str, str], Entry]) -> Heatmap:
    """Return the heatmap to plot of F1 and transfer for every pair of LM and encoder under one head."""
    lms, encoders = (tuple(sorted({pair[side] for pair in pairs})) for side in (0, 1))
    rows = {pair: entry.rows["unseen"] for pair, entry in pairs.items()}
    lines = [[rows.get((lm, encoder)) for encoder in encoders] for lm in lms]
    names, f1, transfer = list[str](), list[tuple[Estimate | None, ...]](), list[tuple[Estimate | None, ...]]()
    for lm, line in zip(lms, lines, strict=True):
        names.append(lm)
        f1.append(tuple(row.f1 if row else None for row in line))
        transfer.append(tuple(row.transfer if row else None for row in line))
    for lm, line in zip(lms, lines, strict=True):
        twins = tuple(row.controls.get("random_lm") if row else None for row in line)
        if any(twin and twin.mean is not None for twin in twins):
            names.append(f"{lm}, random weights")
            f1.append(twins)
    is_control = next(iter(pairs.values())).is_control
    return Heatmap(dataset, head, is_control, tuple(names), encoders, tuple(f1), tuple(transfer))


def main_heatmaps(board: Board) -> tuple[Heatmap, ...]:
    """Return, by dataset, the head that most pairs have with a score; of equals the one ranked best."""
    best: dict[str, Heatmap] = {}
    for each in heatmaps(board):
        if each.n_scored > 1 and not each.is_control:
            best[each.dataset] = max(best.get(each.dataset, each), each, key=lambda grid: grid.n_scored)
    return tuple(best.values())


def scatters(board: Board) -> tuple[Scatter, ...]:
    """Return, by dataset, the terms of the first entry of which any has a similarity and a score."""
    found: dict[str, Scatter] = {}
    for entry in board.entries:
        terms = {name: _similar(entry.rows[role].terms) for role, name in PAIRING_NAMES.items() if role in entry.rows}
        if entry.dataset not in found and not entry.is_control and any(terms.values()):
            chance = entry.rows["unseen"].controls.get("chance") if "unseen" in entry.rows else None
            shown = {pairing: points for pairing, points in terms.items() if points}
            found[entry.dataset] = Scatter(entry, shown, chance.mean if chance else None)
    return tuple(found.values())


def _similar(terms: Iterable[TermRow]) -> tuple[tuple[float, float, str], ...]:
    """Return the points of a scatter plot: similarity, F1 and name of the terms that have both."""
    return tuple(
        (each.similarity, each.f1, each.term) for each in terms if each.similarity is not None and each.f1 is not None
    )


def bars(board: Board) -> tuple[Bars, ...]:
    """Return, by dataset, the best entry of every pair of LM and encoder that has a score with every pairing."""
    best: dict[str, dict[tuple[str, str], Entry]] = {}
    for each in board.entries:  # sorted by rank
        rows = [each.rows.get(role) for role in PAIRINGS]
        if not each.is_control and all(row and row.f1.mean is not None for row in rows):
            best.setdefault(each.dataset, {}).setdefault((each.lm, each.encoder), each)
    return tuple(Bars(dataset, tuple(pairs.values())[:_MOST_BARS]) for dataset, pairs in best.items())


Content = tuple[Deprivation, ...] | Bars | Heatmap
"""Of one dataset."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of the board."""

    stem: str
    """Its files' name without the suffix."""
    caption: str
    content: Content


def plots(board: Board) -> tuple[Plot, ...]:
    """Return the figures that the board has the data for, in the order in which they are shown."""
    curves = deprivations(board)
    by_dataset = {each.dataset: tuple(one for one in curves if one.dataset == each.dataset) for each in curves}
    said = "F1 on unseen hypernyms over the evidence denied in training"
    wanted: list[tuple[str, str, str, Content]] = [
        *(("counterfactual", each.dataset, f"Counterfactual pairings, dataset {plain(each.dataset)}", each)
          for each in bars(board)),
        *(("heatmap", each.dataset, f"LM by encoder, dataset {plain(each.dataset)}, head {plain(each.head)}", each)
          for each in main_heatmaps(board)),
        *(("deprivation", dataset, f"{said}, dataset {plain(dataset)}", mine) for dataset, mine in by_dataset.items()),
    ]  # fmt: skip
    found: list[Plot] = []
    for kind, dataset, caption, content in wanted:
        found.append(Plot(_stem(kind, dataset, {each.stem for each in found}), caption, content))
    return tuple(found)


def _stem(kind: str, dataset: str, taken: set[str]) -> str:
    """Return a file name that nothing in a dataset's name can lead elsewhere."""
    name = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")[:40].strip("-") or "dataset"
    stems = [f"{kind}-{name}", *(f"{kind}-{name}-{number}" for number in range(2, 2 + len(taken)))]
    return next(each for each in stems if each not in taken)
