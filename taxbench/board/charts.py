"""The page's charts as data: deprivation curves, and visual similarity against the score of each term."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from taxbench.board.model import Board, Entry, Figure, Reference, Row
from taxbench.board.svg import Axes, Point, Series, chart

MOST_SERIES = 6
"""More curves than this cannot be told apart; the others stand in the table of other tasks."""
_PUBLISHED_CATEGORIES = 53
"""Of the published systematic deprivation, whose levels are numbers of categories."""
_PAIRINGS = {
    "unseen_hypernym": "true pairing",
    "counterfactual_high": "re-paired, similarity kept",
    "counterfactual_low": "re-paired, similarity destroyed",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart with what is needed to read it without seeing it."""

    key: str
    dataset: str
    title: str
    about: str
    """Whose points these are, where that is not in the legend."""
    note: str
    x_label: str
    series: tuple[Series, ...]
    joined: bool
    drawing: Markup


def deprivation_charts(board: Board) -> list[Chart]:
    """Return a chart for each dataset and kind of deprivation with a curve, measured or published."""
    datasets = sorted({row.dataset for row in board.rows} | {each.dataset for each in board.references})
    charts = []
    for number, dataset in enumerate(datasets):
        for kind in ("random", "systematic"):
            measured = _measured(board, dataset, kind)
            found = measured[:MOST_SERIES] + _published(board.references, dataset, kind)[:MOST_SERIES]
            if found:
                more = len(measured) - MOST_SERIES
                note = f" {more} further measured curves stand in the table of other tasks." if more > 0 else ""
                charts.append(_deprivation(f"d{number}{kind[0]}", dataset, kind, found, note))
    return charts


def _deprivation(key: str, dataset: str, kind: str, series: list[Series], note: str) -> Chart:
    what = "pairs of leaf and hypernym" if kind == "random" else "hypernyms"
    title = f"{kind.capitalize()} deprivation"
    axes = Axes(
        title=f"{title} on {dataset}",
        description=f"{len(series)} curves of macro-F1 on hypernym questions against the share of {what} denied in "
        "training. All figures stand in the table below.",
        x_label="% of hypernym evidence denied in training",
        y_label="macro-F1",
        x=(0.0, 100.0),
        y=_bounds(series),
        joined=True,
    )
    return Chart(key, dataset, title, "", note, "% denied", tuple(series), True, chart(axes, series, key))


def _measured(board: Board, dataset: str, kind: str) -> list[Series]:
    """Return a curve for each place and task with levels, from none denied to all where those were run too."""
    groups: dict[tuple[tuple[str, ...], str], list[Row]] = {}
    for row in board.rows:
        base = row.name.rpartition("-")[0]
        if row.dataset == dataset and base.startswith(f"deprivation_{kind}"):
            groups.setdefault((row.place, base), []).append(row)
    found = []
    for (place, base), rows in groups.items():
        ends = [row for row in board.rows if row.place == place and row.name in ("seen_hypernym", "unseen_hypernym")]
        points = [
            Point(_denied(row), row.f1.mean, f"{row.name}: {row.f1}", row.f1.low, row.f1.high)
            for row in [*rows, *ends]
            if row.f1.mean is not None
        ]
        kept = base.removeprefix(f"deprivation_{kind}").strip("_")
        name = " · ".join(part for part in (*place[1:], f"negatives: {kept}" if kept else "") if part)
        if points:
            found.append(Series(name, tuple(sorted(points, key=lambda point: point.x))))
    return found


def _denied(row: Row) -> float:
    """Return the per cent of hypernym evidence that was denied: the effective share, else the level asked for."""
    if row.name in ("seen_hypernym", "unseen_hypernym"):
        return 0.0 if row.name == "seen_hypernym" else 100.0
    if row.evidence is not None and row.evidence.removed_fraction is not None:
        return 100 * row.evidence.removed_fraction
    level = row.name.rpartition("-")[2]
    return 100 * float(level) if re.fullmatch(r"[0-9]*\.?[0-9]+", level) else 0.0


def _published(references: Sequence[Reference], dataset: str, kind: str) -> list[Series]:
    groups: dict[tuple[str, str], list[Point]] = {}
    for each in references:
        if (each.dataset, each.random_lm, each.pairing) != (dataset, False, "original"):
            continue
        split = "seen" if each.deprivation == "none" else "unseen"
        if each.deprivation not in (kind, "none", "full") or each.split != split:
            continue
        level = {"none": 0.0, "full": 100.0}.get(each.deprivation, each.level or 0.0)
        denied = 100 * level / _PUBLISHED_CATEGORIES if each.deprivation == "systematic" else level
        f1 = each.f1 if each.two_class_f1 is None else each.two_class_f1
        label = f"{each.deprivation} {level:g}: {f1:.3f}, reported"
        groups.setdefault((each.lm, each.encoder), []).append(Point(denied, f1, label))
    return [
        Series(f"{lm} · {encoder}", tuple(sorted(points, key=lambda point: point.x)), published=True)
        for (lm, encoder), points in sorted(groups.items())
        if len(points) > 2  # the ends alone are no curve
    ]


def similarity_charts(board: Board) -> list[Chart]:
    """Return, for each dataset, visual similarity against F1 of every term of the entry that leads it."""
    charts = []
    for number, dataset in enumerate(dict.fromkeys(entry.dataset for entry in board.entries)):
        entries = [entry for entry in board.entries if entry.dataset == dataset and not entry.is_control]
        found = [(entry, series) for entry in entries if (series := _terms(entry))]
        if found:
            entry, series = found[0]
            charts.append(_similarity(f"v{number}", entry, series))
    return charts


def _terms(entry: Entry) -> list[Series]:
    found = []
    for task, pairing in _PAIRINGS.items():
        terms = entry.rows[task].terms if task in entry.rows else ()
        points = tuple(
            Point(each.similarity, each.f1, f"{each.term}: similarity {each.similarity:.3f}, F1 {each.f1:.3f}")
            for each in terms
            if each.similarity is not None and each.f1 is not None
        )
        if points:
            found.append(Series(pairing, points))
    return found


def _similarity(key: str, entry: Entry, series: list[Series]) -> Chart:
    values = [point.x for each in series for point in each.points]
    chance = entry.rows["unseen_hypernym"].controls.get("chance") if "unseen_hypernym" in entry.rows else None
    axes = Axes(
        title=f"Visual similarity and F1 on {entry.dataset}",
        description=f"Every point is one hypernym under one of {len(series)} pairings of images and names. "
        "All figures stand in the table below.",
        x_label="visual similarity inside the hypernym (mean cosine)",
        y_label="F1 of the hypernym",
        x=(min(0.0, *values), max(0.4, *values)),
        y=(0.0, 1.0),
        joined=False,
        chance=chance.mean if chance else None,
    )
    who = " · ".join(part for part in (entry.lm, entry.encoder, entry.head, entry.setting) if part)
    return Chart(
        key,
        entry.dataset,
        "Similarity and score",
        who,
        "",
        "similarity",
        tuple(series),
        False,
        chart(axes, series, key),
    )


def _bounds(series: list[Series]) -> tuple[float, float]:
    values = [value for each in series for point in each.points for value in (point.y, point.low) if value is not None]
    return min(0.4, int(min(values) * 10) / 10), 1.0


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One score of every LM with every encoder, for one dataset and head."""

    dataset: str
    head: str
    score: str
    encoders: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Figure | None, ...]], ...]
    """An LM and its figures, None where it was not run."""
    shades: tuple[float, float]
    """The score below which a cell is lightest, and the one above which it is darkest."""

    def shade(self, figure: Figure) -> int:
        """Return from 0 to 9 how strongly a cell is coloured."""
        low, high = self.shades
        share = 0.0 if figure.mean is None else (figure.mean - low) / (high - low)
        return min(max(int(share * 10), 0), 9)


def heatmaps(board: Board) -> list[tuple[Heatmap, Heatmap]]:
    """Return heatmaps of unseen F1 and of transfer for each dataset, head and setting with more than one entry."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in board.entries:
        if "unseen_hypernym" in entry.rows:
            head = f"{entry.head} ({entry.setting})" if entry.setting else entry.head
            groups.setdefault((entry.dataset, head), []).append(entry)
    several = [(names, entries) for names, entries in groups.items() if len(entries) > 1]
    return [(_heatmap(*names, some, "unseen F1"), _heatmap(*names, some, "transfer")) for names, some in several]


def _heatmap(dataset: str, head: str, entries: list[Entry], score: str) -> Heatmap:
    # Of several entries in one cell (other features) the first counts, which is the best ranked one.
    rows = {(each.lm, each.encoder): each.rows["unseen_hypernym"] for each in reversed(entries)}
    cells = {key: row.transfer if score == "transfer" else row.f1 for key, row in rows.items()}
    lms, encoders = sorted({lm for lm, _ in cells}), sorted({encoder for _, encoder in cells})
    lines = tuple((lm, tuple(cells.get((lm, encoder)) for encoder in encoders)) for lm in lms)
    return Heatmap(dataset, head, score, tuple(encoders), lines, (0.0, 0.6) if score == "transfer" else (0.3, 1.0))
