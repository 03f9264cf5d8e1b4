"""What the figures of the board show, as numbers: which curves, bars and cells there are. Nothing is drawn here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from taxbench.board.cells import plain
from taxbench.board.model import NOTHING, Board, Entry, Figure, Reference, Row

BARS = ("unseen_hypernym", "counterfactual_high", "counterfactual_low")
"""The tasks of a group of bars: the true pairing, similarity kept, similarity destroyed."""

_MOST_BARS = 6
_MOST_CURVES = 4
_PUBLISHED_HYPERNYMS = 53


@dataclass(frozen=True, slots=True)
class Curve:
    """F1 on denied hypernyms over the share of evidence that training was denied."""

    name: str
    kind: str
    """random | systematic."""
    is_published: bool
    points: tuple[tuple[float, Figure], ...]
    """Per cent and F1, sorted."""
    random_lm: tuple[tuple[float, Figure], ...]
    """The same through the random LM, where known."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One head of one dataset, LM by encoder."""

    dataset: str
    head: str
    lms: tuple[str, ...]
    encoders: tuple[str, ...]
    f1: tuple[tuple[Figure, ...], ...]
    """F1 on unseen hypernyms, one line an LM."""
    transfer: tuple[tuple[Figure, ...], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """The counterfactuals of some entries of one dataset."""

    dataset: str
    entries: tuple[Entry, ...]


def curves(board: Board) -> tuple[Curve, ...]:
    """Return the measured deprivation curves, of the first few systems of the board, and then the published ones."""
    blocks: dict[tuple[str, ...], list[Row]] = {
        (each.dataset, each.lm, each.encoder, each.head, each.setting): [] for each in board.entries
    }
    for row in board.rows:
        blocks.setdefault(row.place, []).append(row)
    found: list[tuple[tuple[str, ...], str, list[tuple[float, Row]]]] = []
    for place, rows in blocks.items():
        for base in sorted({row.name.partition("-")[0] for row in rows if row.name.startswith("deprivation_")}):
            points = _points(base, rows)
            if len(points) > 1:
                found.append((place, base.removeprefix("deprivation_"), points))
    kept = [
        one
        for kind in ("random", "systematic")
        for one in [each for each in found if each[1].startswith(kind)][:_MOST_CURVES]
    ]
    # A curve is named by LM and encoder, and by what else tells it from another.
    tells = [len({each[0][part] for each in kept}) > 1 or part in (1, 2) for part in range(5)]
    measured = []
    for place, variant, points in kept:
        kind, _, how = variant.partition("_")
        name = ", ".join(part for part, is_telling in zip(place, tells, strict=True) if is_telling and part)
        own = tuple((level, row.f1) for level, row in points)
        twin = tuple((level, row.controls["random_lm"]) for level, row in points if "random_lm" in row.controls)
        measured.append(Curve(f"{name} ({how})" if how else name, kind, False, own, twin))
    return (*measured, *_published(board.references))


def _points(base: str, rows: Iterable[Row]) -> list[tuple[float, Row]]:
    """Return a curve's rows by level; the fully denied task is the end of every curve."""
    mine = [row for row in rows if row.name.startswith(f"{base}-") or row.name == "unseen_hypernym"]
    return sorted({level: row for row in mine if (level := _level(row)) is not None}.items())


def _level(row: Row) -> float | None:
    """Return how much is denied, in per cent."""
    if row.name == "unseen_hypernym":
        return 100.0
    level = row.name.partition("-")[2]
    if not re.fullmatch(r"\d+(\.\d+)?", level) or row.f1.mean is None:
        return None
    value = float(level)
    if value <= 1:
        return 100 * value
    known = len(row.visual_similarity.categories) if row.visual_similarity else 0
    return 100 * value / max(known, value)  # a number of hypernyms


def _published(references: Iterable[Reference]) -> list[Curve]:
    blocks: dict[tuple[str, str, str, str], dict[bool, list[tuple[float, Figure]]]] = {}
    for each in references:
        if each.pairing != "original" or each.split != "unseen" or each.dataset != "things":
            continue
        kinds = ("random", "systematic") if each.deprivation == "full" else (each.deprivation,)
        for kind in kinds:
            key = each.dataset, each.encoder, each.lm, kind
            percent = 100.0 if each.deprivation == "full" or each.level is None else each.level
            if each.deprivation == "systematic":
                percent *= 100 / _PUBLISHED_HYPERNYMS
            value = each.f1 if each.two_class_f1 is None else each.two_class_f1
            blocks.setdefault(key, {}).setdefault(each.random_lm, []).append((percent, Figure(value, each.sd)))
    found = []
    for key, sides in sorted(blocks.items()):
        _, encoder, lm, kind = key
        own, twin = (sorted(sides.get(side, []), key=lambda point: point[0]) for side in (False, True))
        if len(own) > 1 and kind in ("random", "systematic"):
            found.append(Curve(f"{lm}, {encoder}", kind, True, tuple(own), tuple(twin)))
    return found


def bars(board: Board) -> tuple[Bars, ...]:
    """Return, by dataset, the best entry of every pair of LM and encoder that has both counterfactuals."""
    found = []
    for dataset in dict.fromkeys(each.dataset for each in board.entries):
        best: dict[tuple[str, str], Entry] = {}
        for each in board.entries:  # sorted by rank
            if (
                each.dataset == dataset
                and not each.is_control
                and all(_f1(each, task).mean is not None for task in BARS)
            ):
                best.setdefault((each.lm, each.encoder), each)
        if best:
            found.append(Bars(dataset, tuple(best.values())[:_MOST_BARS]))
    return tuple(found)


def _f1(entry: Entry, task: str) -> Figure:
    return entry.rows[task].f1 if task in entry.rows else NOTHING


def heatmaps(board: Board) -> tuple[Heatmap, ...]:
    """Return, by dataset, the head that most pairs of LM and encoder have; none where there is only one pair."""
    found = []
    for dataset in dict.fromkeys(each.dataset for each in board.entries):
        blocks: dict[str, dict[tuple[str, str], Entry]] = {}
        for each in board.entries:
            if each.dataset == dataset and not each.is_control and _f1(each, BARS[0]).mean is not None:
                blocks.setdefault(each.head, {}).setdefault((each.lm, each.encoder), each)
        if not blocks:
            continue
        head = max(blocks, key=lambda name: len(blocks[name]))  # of equals the best, since entries are sorted by rank
        pairs = blocks[head]
        if len(pairs) > 1:
            found.append(_heatmap(dataset, head, pairs))
    return tuple(found)


def _heatmap(dataset: str, head: str, pairs: dict[tuple[str, str], Entry]) -> Heatmap:
    lms, encoders = (tuple(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))
    rows = [
        [pairs[lm, encoder].rows[BARS[0]] if (lm, encoder) in pairs else None for encoder in encoders] for lm in lms
    ]
    f1 = tuple(tuple(row.f1 if row else NOTHING for row in line) for line in rows)
    transfer = tuple(tuple(row.transfer if row else NOTHING for row in line) for line in rows)
    return Heatmap(dataset, head, lms, encoders, f1, transfer)


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of the board."""

    stem: str
    """Its files' name without the suffix."""
    caption: str
    content: tuple[Curve, ...] | Bars | Heatmap


def plots(board: Board) -> tuple[Plot, ...]:
    """Return the figures that the board has the data for, in the order in which they are shown."""
    found: list[Plot] = []
    taken: set[str] = set()
    for each in bars(board):
        stem = _stem("counterfactual", each.dataset, taken)
        found.append(Plot(stem, f"Counterfactual pairings, dataset {plain(each.dataset)}", each))
    for grid in heatmaps(board):
        stem = _stem("heatmap", grid.dataset, taken)
        found.append(Plot(stem, f"LM by encoder, dataset {plain(grid.dataset)}, head {plain(grid.head)}", grid))
    lines = curves(board)
    if lines:
        found.append(Plot("deprivation", "F1 on unseen hypernyms over the evidence denied in training", lines))
    return tuple(found)


def _stem(kind: str, dataset: str, taken: set[str]) -> str:
    """Return a file name that nothing in a dataset's name can lead elsewhere."""
    name = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")[:40].strip("-") or "dataset"
    stems = [f"{kind}-{name}", *(f"{kind}-{name}-{number}" for number in range(2, 2 + len(taken)))]
    stem = next(each for each in stems if each not in taken)
    taken.add(stem)
    return stem
