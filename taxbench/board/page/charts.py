"""The page's charts: what `plots` says is drawn, as SVG, with what is needed to read it without seeing it."""

from dataclasses import dataclass

from markupsafe import Markup

from taxbench.board.page import svg
from taxbench.board.page.svg import Axes
from taxbench.board.plots import Deprivation, Scatter
from taxbench.board.series import Series
from taxbench.board.sweeps import Sweep


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart with its scores."""

    dataset: str
    title: str
    about: str
    """Whose points these are, where that is not in the legend."""
    note: str
    x_label: str
    series: tuple[Series, ...]
    joined: bool
    drawing: Markup
    twin: str = "random LM"
    """What the dashed lines are."""


def deprivation_chart(key: str, content: Deprivation) -> Chart:
    """Return the page's chart of one deprivation: F1 against the per cent denied, a series a curve."""
    title = f"{content.kind.capitalize()} deprivation"
    what = "pairs of leaf and hypernym" if content.kind == "random" else "hypernyms"
    axes = Axes(
        title=f"{title} on {content.dataset}",
        description=f"{len(content.curves)} curves of macro-F1 on hypernym questions against the share of {what} "
        "denied in training. All figures stand in the table below.",
        x_label="% of hypernym evidence denied in training",
        y_label="macro-F1",
        x=(0.0, 100.0),
        y=(content.bottom, 1.0),
        joined=True,
    )
    more = f" {content.n_more} further measured curves stand in the table of other tasks." if content.n_more else ""
    return Chart(content.dataset, title, "", more, "% denied", content.curves, True,
                 svg.chart(axes, content.curves, key))  # fmt: skip


def sweep_chart(key: str, content: Sweep) -> Chart:
    """Return the page's chart of a sweep: F1 against the values of a setting, validation dashed."""
    title = f"{content.role} F1 over {content.setting}"
    axes = Axes(
        title=f"{title} on {content.dataset}",
        description=f"{len(content.curves)} curves of macro-F1 against {len(content.values)} values of a setting, all "
        "else alike. All figures stand in the table below.",
        x_label=content.setting,
        y_label="macro-F1",
        x=(-0.3, len(content.values) - 0.7),
        y=(0.0, 1.0),
        joined=True,
        x_names=tuple(f"{value:g}" for value in content.values),
    )
    more = f" {content.n_more} further curves stand in the table." if content.n_more else ""
    note = f"Dashed: the same heads on validation leaves, by which a value may be chosen.{more}"
    drawing = svg.chart(axes, content.curves, key)
    return Chart(content.dataset, title, "", note, content.setting, content.curves, True, drawing, "validation")


def similarity_chart(key: str, content: Scatter) -> Chart:
    """Return the page's scatter chart of F1 against visual similarity, a series for each pairing."""
    entry = content.entry
    series = content.terms
    values = [point.x for each in series for point in each.points]
    axes = Axes(
        title=f"Visual similarity and F1 on {entry.dataset}",
        description=f"Every point is one hypernym under one of {len(series)} pairings of images and names. "
        "All figures stand in the table below.",
        x_label="visual similarity inside the hypernym (mean cosine)",
        y_label="F1 of the hypernym",
        x=(min(0.0, *values), max(0.4, *values)),
        y=(0.0, 1.0),
        joined=False,
        chance=content.chance,
    )
    who = " · ".join(part for part in entry.place[1:] if part)
    drawing = svg.chart(axes, series, key)
    return Chart(entry.dataset, "Similarity and score", who, "", "similarity", series, False, drawing)
