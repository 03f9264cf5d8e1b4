"""What the page's charts and the figures show, as numbers: which curves, cells, bars and points. Nothing is drawn."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter

from taxbench.board.board import NOTHING, Board, Entry, Estimate, Reference, Row, TermRow
from taxbench.board.roles import PAIRINGS, level_of, recipe_of, role_of
from taxbench.board.series import Point, Series, points_of
from taxbench.board.sweeps import Sweep, sweeps
from taxbench.specs.spec import content_hash
from taxbench.specs.task import RandomDeprivation, SystematicDeprivation
from taxbench.util.text import number, plain

PAIRING_NAMES = dict(zip(PAIRINGS, ("true pairing", "similarity kept", "similarity destroyed"), strict=True))
"""What each of the parts of the question that differ only in the pairing of images and names is called."""
MOST_CURVES = 4
"""More measured curves, or more published ones, cannot be told apart in one chart."""
F1_SPAN, TRANSFER_SPAN = (0.3, 1.0), (0.0, 0.6)
"""The scores of a heatmap from which on a cell is lightest, and darkest."""

_MOST_BARS = 6
_PUBLISHED_HYPERNYMS = 53


@dataclass(frozen=True, slots=True)
class Deprivation:
    """The curves of one dataset and kind of deprivation, measured ones first."""

    dataset: str
    kind: str
    """random | systematic."""
    curves: tuple[Series, ...]
    n_more: int
    """Measured curves that are left out."""

    @property
    def bottom(self) -> float:
        """Return where an axis up to 1 begins that shows everything."""
        points = [point for curve in self.curves for point in (*curve.points, *curve.twin)]
        known = [value for point in points for value in (point.y, point.low) if value is not None]
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
    terms: tuple[Series, ...]
    """A series a pairing: F1 of each term over its similarity."""
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
        designs = defaultdict[str, list[Row]](list)  # what the points of one curve have in common: all but the level
        for row in rows:
            if row.task.deprivation.kind == kind and row.task.counterfactual.kind == "none":
                given = row.task.deprivation.model_dump(exclude={"fraction", "n", "categories"})
                designs[content_hash([given, recipe_of(row.task)])].append(row)
        for points in sorted(designs.values(), key=lambda points: points[0].name):
            task = points[0].task
            # The end of a curve is the task that denies everything, and asks the same otherwise.
            ends = [row for row in rows if role_of(row.task) == "unseen" and recipe_of(row.task) == recipe_of(task)]
            levels = {_denied(row, kind): row for row in points}
            if ends:
                levels[100.0] = ends[-1]
            given = task.deprivation.model_dump()
            variant = (f"{name}: {given[name]}" if name in given else "" for name in ("negatives", "unit"))
            if len(levels) > 1:
                curves.append(((*place, *variant, level_of(task.name)[0]), sorted(levels.items(), key=itemgetter(0))))
    return curves


def _denied(row: Row, kind: str) -> float:
    """Return how much was denied, in per cent: in effect where that is known, else as asked for."""
    removed = row.evidence.removed_hypernyms if row.evidence else ()
    known = {each.hypernym for each in row.visual_similarity.categories} if row.visual_similarity else set()
    if kind == "systematic" and removed and known:
        return 100 * len(removed) / len(known.union(removed))
    if kind == "random" and row.evidence and row.evidence.removed_fraction is not None:
        return 100 * row.evidence.removed_fraction
    match row.task.deprivation:
        case RandomDeprivation(fraction=share):
            return 100 * share
        case SystematicDeprivation(n=n, categories=names):
            level = len(names) if n is None else n
            return 100 * level if level < 1 else 100 * level / max(len(known), level)  # from 1 on a number of hypernyms
    return 0.0


def _named(measured: list[_Measured]) -> list[Series]:
    """Name curves by LM and encoder, and by what else tells one from another; by the tasks' name where nothing does."""
    # Which of the names tell curves apart; the last, the task's, is none of them.
    several = [len({names[part] for names, _ in measured}) > 1 or part in (1, 2) for part in range(7)]
    labels = [", ".join(filter(None, compress(names, several))) for names, _ in measured]
    curves = []
    for label, (names, rows) in zip(labels, measured, strict=True):
        own, twin = [], []
        for percent, row in rows:
            own += points_of(percent, row.f1, row.name)
            twin += points_of(percent, row.controls.get("random_lm", NOTHING), row.name)
        name = label if labels.count(label) == 1 else f"{label}, {names[-1]}"
        curves.append(Series(name, tuple(own), False, tuple(twin)))
    return curves


def _published(references: Iterable[Reference], dataset: str, kind: str) -> list[Series]:
    """Return the published deprivation curves of a dataset, for plots beside the measured ones."""
    systems: dict[tuple[str, str], tuple[list[Point], list[Point]]] = {}  # with the trained LM, with the random one
    for each in references:
        if (each.dataset, each.pairing, each.split) != (dataset, "original", "unseen"):
            continue
        percent, what = 100.0, "full"
        if each.deprivation == kind and each.level is not None:
            percent = each.level * (100 / _PUBLISHED_HYPERNYMS if kind == "systematic" else 1)
            what = f"{kind} {each.level:g}"
        elif each.deprivation != "full":
            continue
        sides = systems.setdefault((each.lm, each.encoder), ([], []))
        sides[each.random_lm].extend(points_of(percent, each.estimate, what))
    found = []
    for name, both in sorted(systems.items()):
        own, twin = (tuple(sorted(side, key=lambda point: point.x)) for side in both)
        if len(own) > 1:
            found.append(Series(", ".join(name), own, True, twin))
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
    names = list(lms)
    f1: list[tuple[Estimate | None, ...]] = [tuple(row.f1 if row else None for row in line) for line in lines]
    transfer = tuple(tuple(row.transfer if row else None for row in line) for line in lines)
    for lm, line in zip(lms, lines, strict=True):
        twins = tuple(row.controls.get("random_lm") if row else None for row in line)
        if any(twin and twin.mean is not None for twin in twins):
            names.append(f"{lm}, random weights")
            f1.append(twins)
    is_control = next(iter(pairs.values())).is_control
    return Heatmap(dataset, head, is_control, tuple(names), encoders, tuple(f1), transfer)


def main_heatmaps(board: Board) -> tuple[Heatmap, ...]:
    """Return, by dataset, the head that most pairs have with a score; of equals the one ranked best."""
    best: dict[str, Heatmap] = {}
    for each in heatmaps(board):
        if each.n_scored > 1 and not each.is_control:
            best[each.dataset] = max(best.get(each.dataset, each), each, key=lambda grid: grid.n_scored)
    return tuple(best.values())


def scatters(board: Board) -> tuple[Scatter, ...]:
    """Return, by dataset, the terms of the best entry of which any has a similarity and a score."""
    found: dict[str, Scatter] = {}
    for entry in board.entries:
        terms = {name: _similar(entry.rows[role].terms) for role, name in PAIRING_NAMES.items() if role in entry.rows}
        if entry.dataset not in found and not entry.is_control and any(terms.values()):
            shown = tuple(Series(pairing, points) for pairing, points in terms.items() if points)
            found[entry.dataset] = Scatter(entry, shown, entry.control("chance").mean)
    return tuple(found.values())


def _similar(terms: Iterable[TermRow]) -> tuple[Point, ...]:
    """Return the points of a scatter plot: F1 over similarity, of the terms that have both."""
    return tuple(
        Point(x, y, f"{each.term}: similarity {number(x)}, F1 {number(y)}")
        for each in terms
        if (x := each.similarity) is not None and (y := each.f1) is not None
    )


def bars(board: Board) -> tuple[Bars, ...]:
    """Return, by dataset, the best entry of every pair of LM and encoder that has a score with every pairing."""
    best: dict[str, dict[tuple[str, str], Entry]] = {}
    for each in board.entries:  # sorted by rank
        rows = [each.rows.get(role) for role in PAIRINGS]
        if not each.is_control and all(row and row.f1.mean is not None for row in rows):
            best.setdefault(each.dataset, {}).setdefault((each.lm, each.encoder), each)
    return tuple(Bars(dataset, tuple(pairs.values())[:_MOST_BARS]) for dataset, pairs in best.items())


Content = tuple[Deprivation, ...] | Bars | Heatmap | Sweep
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
        *((f"sweep-{each.setting}", each.dataset, f"F1 over {plain(each.setting)}, dataset {plain(each.dataset)}", each)
          for each in sweeps(board)),
        *(("deprivation", dataset, f"{said}, dataset {plain(dataset)}", mine) for dataset, mine in by_dataset.items()),
    ]  # fmt: skip
    found: dict[str, Plot] = {}
    for kind, dataset, caption, content in wanted:  # nothing in a dataset's name can lead a file elsewhere
        kind = re.sub(r"[^a-z0-9]+", "-", kind.lower())[:40].strip("-")
        stem = f"{kind}-{re.sub(r'[^a-z0-9]+', '-', dataset.lower()).strip('-')[:40].strip('-') or 'dataset'}"
        stem = next(each for each in (stem, *(f"{stem}-{n}" for n in range(2, 2 + len(found)))) if each not in found)
        found[stem] = Plot(stem, caption, content)
    return tuple(found.values())
