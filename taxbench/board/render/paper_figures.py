"""Figures for papers, as PNG and PDF. The only module that loads matplotlib."""

import io
import unicodedata
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from functools import cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import findfont, findSystemFonts, fontManager, get_font
from matplotlib.ticker import MultipleLocator

from taxbench.board.board import NOTHING, Board, Estimate
from taxbench.board.plots import F1_SPAN, PAIRING_NAMES, TRANSFER_SPAN, Bars, Cells, Deprivation, Heatmap, plots
from taxbench.board.render.cells import in_letters, interval
from taxbench.board.series import Series
from taxbench.board.sweeps import Sweep
from taxbench.util.errors import first_few
from taxbench.util.progress import QUIET, Reporter
from taxbench.util.text import duration, number, short

FORMS = {"png": ("Software",), "pdf": ("CreationDate", "Producer", "Creator")}
"""Of the files, with what they would say of when and how they were made."""
_WIDE, _NARROW = 6.9, 3.4  # inches: two columns and one
_SIZE = 8  # points
# Dark to light, so that they stay apart in grey print and for the colour-blind; text on the light ones is dark.
_SHADES = ("#1b4965", "#5b8fb0", "#c3d9e6")
_LINES = ("#1b4965", "#b5562b", "#4c7a3f", "#7b5aa6")
_MARKS = ("o", "s", "^", "D")
_GREY = "#6b6b6b"
_FAMILIES = (
    "DejaVu Sans", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Noto Sans SC", "Microsoft YaHei",
    "SimHei", "Arial Unicode MS", "PingFang SC", "Hiragino Sans GB", "Noto Sans CJK SC", "Noto Sans CJK JP",
    "Source Han Sans SC",
)  # fmt: skip
"""Fonts of figures: the first, which comes with matplotlib, and those with Chinese letters that stand in for it; first
TrueType ones, since matplotlib puts the outlines of others into a PDF in a way that readers warn of."""
_STYLE: dict[Any, Any] = {
    "font.size": _SIZE, "axes.titlesize": _SIZE, "axes.labelsize": _SIZE,
    "xtick.labelsize": _SIZE - 1, "ytick.labelsize": _SIZE - 1, "legend.fontsize": _SIZE - 1, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "lines.linewidth": 1.2, "text.parse_math": False,  # a dollar in a name is a dollar
    "pdf.fonttype": 42, "pdf.compression": 6, "hatch.linewidth": 0.5,
}  # fmt: skip


def figures(board: Board, report: Reporter = QUIET) -> dict[str, bytes]:
    """Draw every figure that the board has the data for; return the files by name, always the same bytes.

    Letters that no font here has, or that run from right to left, are drawn as '?', and named in the report.
    """
    if missing := sorted({letter for row in board.rows for name in row.place for letter in short(name)
                          if letter != "?" and "?" in in_letters(letter, _is_drawn)}):  # fmt: skip
        report.say(
            f"Figures have '?' in the place of {first_few(missing, 12, ' ')}: no font here has them. For Chinese "
            f"install one, such as {_FAMILIES[1]} (on Debian: apt-get install fonts-wqy-microhei), and build again."
        )
    files = dict[str, bytes]()
    with _own_style():
        for plot in plots(board):
            content = plot.content
            if isinstance(content, Bars):
                canvas = _draw_bars(content)
            elif isinstance(content, Heatmap):
                canvas = _draw_heatmap(content)
            elif isinstance(content, Sweep):
                canvas = _draw_sweep(content)
            else:
                canvas = _draw_curves(content)
            files |= {f"{plot.stem}.{form}": _saved(canvas, form) for form in FORMS}
    return files


def scaling_figure(by_workers: Mapping[int, float], form: str) -> bytes:
    """Draw how many times as fast a grid is done by several processes, with what it takes, as `taxbench plan` says.

    Args:
        by_workers: Seconds by the number of processes, one among them.
        form: One of `FORMS`.
    """
    with _own_style():
        canvas = Canvas(figsize=(_NARROW, 2.9), layout="constrained")
        axes = canvas.add_subplot()
        workers = list(by_workers)
        faster = [by_workers[1] / by_workers[n] for n in workers]
        axes.plot(workers, workers, color=_GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="nothing lost")
        axes.plot(workers, faster, color=_LINES[0], marker=_MARKS[0], markersize=3.6, label="simulated")
        for n, times in zip(workers, faster, strict=True):
            axes.annotate(duration(by_workers[n]), (n, times), (3, -7), textcoords="offset points", fontsize=_SIZE - 2)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.set_xticks(workers)
        axes.set_xlabel("processes, each on a machine like this one")
        axes.set_ylabel("times as fast as one")
        axes.legend(loc="upper left")
        return _saved(canvas, form)


def _own_style() -> AbstractContextManager[None]:
    """Have figures drawn alike in a block, whatever the user's own settings are."""
    usual = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
    return matplotlib.rc_context(usual | _STYLE | {"font.family": [*_letters()]})


def _saved(canvas: Canvas, form: str) -> bytes:
    """Return a paper figure as the bytes of a file."""
    file = io.BytesIO()
    canvas.savefig(file, format=form, dpi=300, metadata=dict.fromkeys(FORMS[form]))
    canvas.set_layout_engine("none")  # laid out by now: the second form need not do it again
    return file.getvalue()


def _draw_bars(content: Bars) -> Canvas:
    """Draw three bars an entry with their intervals, the random LM as a tick across each, chance as a line."""
    entries = content.entries
    canvas = Canvas(figsize=(_WIDE if len(entries) > 2 else _NARROW, 2.7), layout="constrained")
    axes = canvas.add_subplot()
    for k, (role, name) in enumerate(PAIRING_NAMES.items()):
        rows = [entry.rows[role] for entry in entries]
        x = [i + (k - 1) * 0.26 for i in range(len(entries))]
        axes.bar(x, [row.f1.mean or 0 for row in rows], 0.24, color=_SHADES[k], label=name, zorder=2)
        for place, row in zip(x, rows, strict=True):
            _whisker(axes, place, row.f1)
            twin = row.controls.get("random_lm", NOTHING).mean
            if twin is not None:
                axes.plot([place - 0.12, place + 0.12], [twin, twin], color="white", linewidth=2.6, zorder=3)
                axes.plot([place - 0.12, place + 0.12], [twin, twin], color="black", linewidth=1.2, zorder=4)
    axes.plot([], [], color="black", linewidth=1.2, label="random LM")
    chance = [entry.control("chance").mean for entry in entries]
    known = [value for value in chance if value is not None]
    if known:
        axes.axhline(sum(known) / len(known), color=_GREY, linewidth=0.8, linestyle=":", zorder=5, label="chance")
    labels = [
        "\n".join(_name(name, 90 // max(len(entries), 3)) for name in (each.lm, each.encoder, each.head))
        for each in entries
    ]
    axes.set_xticks(range(len(entries)), labels)
    axes.tick_params(axis="x", length=0)
    _unit(axes)
    canvas.legend(loc="outside upper center", ncols=5 if len(entries) > 2 else 3, handlelength=1.4, columnspacing=1.2)
    return canvas


def _whisker(axes: Axes, x: float, score: Estimate) -> None:
    """Draw the interval of a score as a whisker on the bar of a figure."""
    if score.low is not None and score.high is not None:
        for width, colour in ((2.2, "white"), (0.8, "black")):  # a white rim, to be seen on dark bars
            axes.plot([x, x], [score.low, score.high], color=colour, linewidth=width, zorder=6)


def _unit(axes: Axes) -> None:
    """Set the y axis of a paper figure to macro-F1 from 0 to 1, with grid lines."""
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_locator(MultipleLocator(0.2))
    axes.set_ylabel("macro-F1")
    axes.grid(axis="y", color="#dddddd", linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)


def _draw_heatmap(content: Heatmap) -> Canvas:
    """Draw F1 on unseen hypernyms, and transfer beside it."""
    rows, columns = len(content.lms), len(content.encoders)
    canvas = Canvas(figsize=(_WIDE, 0.9 + 0.48 * rows), layout="constrained")
    left, right = canvas.subplots(1, 2, sharey=True)
    _grid(left, content.f1, "F1 on unseen hypernyms", F1_SPAN)
    blank: Cells = ((None,) * columns,) * (rows - len(content.transfer))  # twins have none
    _grid(right, (*content.transfer, *blank), "transfer (F1 minus random LM's)", TRANSFER_SPAN)
    for axes in (left, right):
        names = [_name(name, 60 // columns) for name in content.encoders]
        axes.set_xticks(range(columns), names)
    left.set_yticks(range(rows), [_name(name) for name in content.lms])
    canvas.suptitle(f"head {_name(content.head)}, dataset {_name(content.dataset)}", fontsize=_SIZE)
    return canvas


def _grid(axes: Axes, cells: Cells, title: str, span: tuple[float, float]) -> None:
    """Draw one heatmap of a paper figure: coloured cells with their scores and intervals as text."""
    values = np.array([[np.nan if not cell or cell.mean is None else cell.mean for cell in line] for line in cells])
    # The light half of the colours only: black text is read on all of them.
    axes.imshow(values, cmap="Blues", vmin=span[0], vmax=span[0] + (span[1] - span[0]) * 1.9, aspect="auto")
    for i, line in enumerate(cells):
        for j, cell in enumerate(each or NOTHING for each in line):
            axes.text(j, i, number(cell.mean), ha="center", va="bottom")
            axes.text(j, i + 0.06, interval(cell), ha="center", va="top", fontsize=_SIZE - 2)
    axes.set_title(title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(values.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(values.shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)


def _draw_curves(content: tuple[Deprivation, ...]) -> Canvas:
    """Draw measured curves thick and in colour, published ones thin and grey; the random LM's are dashed."""
    canvas = Canvas(figsize=(_WIDE, 3.3), layout="constrained")
    panels: Any = canvas.subplots(1, len(content), sharey=True, squeeze=False)[0]
    for axes, panel in zip(panels, content, strict=True):
        measured = [each for each in panel.curves if not each.published]
        published = [each for each in panel.curves if each.published]
        for k, each in enumerate(measured):
            look = {"color": _LINES[k], "linewidth": 1.6, "marker": _MARKS[k], "markersize": 3.6, "zorder": 4}
            _curve(axes, each, look, _name(each.name, 46))
        for k, each in enumerate(published):
            look = {"color": _GREY, "linewidth": 0.8, "marker": _MARKS[k], "markersize": 3.2, "zorder": 3}
            _curve(axes, each, look | {"markerfacecolor": "white"}, f"{_name(each.name)}, published")
        axes.set_title({"random": "random pairs or leaves", "systematic": "whole hypernyms"}[panel.kind])
        axes.set_xlabel("hypernym evidence denied (%)")
        _unit(axes)
        axes.set_ylim(min(each.bottom for each in content), 1.0)
        axes.yaxis.set_major_locator(MultipleLocator(0.1))
        axes.set_xlim(0, 104)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), handlelength=2.2, ncols=1)
    for axes in panels[1:]:
        axes.set_ylabel("")
    there = {each.published for panel in content for each in panel.curves}
    said = {False: "Thick: measured here.", True: "Thin and grey: published, not re-run."}
    notes = [text for published, text in said.items() if published in there]
    canvas.supxlabel(
        " ".join([f"Dataset {_name(content[0].dataset)}.", *notes, "Dashed: the same through a random LM."]),
        fontsize=_SIZE - 1,
    )
    return canvas


def _draw_sweep(content: Sweep) -> Canvas:
    """Draw a curve for everything that was run with several values of a setting, validation dashed."""
    canvas = Canvas(figsize=(_NARROW, 2.9), layout="constrained")
    axes = canvas.add_subplot()
    for k, each in enumerate(content.curves):
        look = {"color": _LINES[k], "linewidth": 1.4, "marker": _MARKS[k], "markersize": 3.6, "zorder": 4}
        _curve(axes, each, look, _name(each.name, 46))
    axes.set_xticks(range(len(content.values)), [f"{value:g}" for value in content.values])
    axes.set_xlabel(_name(content.setting))
    _unit(axes)
    axes.set_ylabel(f"macro-F1, {content.role}")
    canvas.legend(loc="outside upper center", ncols=1, handlelength=2.2)
    canvas.supxlabel(f"Dataset {_name(content.dataset)}. Dashed: validation leaves.", fontsize=_SIZE - 1)
    return canvas


def _curve(axes: Axes, curve: Series, style: dict[str, Any], label: str) -> None:
    """Draw a curve on a paper figure with intervals, and its companion dashed."""
    axes.plot([point.x for point in curve.points], [point.y for point in curve.points], **style, label=label)
    for point in curve.points:
        if point.low is not None and point.high is not None:
            axes.plot([point.x] * 2, [point.low, point.high], color=style["color"], linewidth=0.7, zorder=2)
    look = style | {"linestyle": (0, (4, 2)), "linewidth": 0.7, "marker": ""}
    if curve.twin:
        axes.plot([point.x for point in curve.twin], [point.y for point in curve.twin], **look)


@cache
def _letters() -> dict[str, frozenset[int]]:
    """Return the families of figures that are installed, each with the letters that it has."""
    listed = {each.fname for each in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in listed:  # matplotlib keeps the list that it made when it was first used
            with suppress(OSError, RuntimeError, ValueError):  # no font, or none that it can draw
                fontManager.addfont(path)
    known = {each.name for each in fontManager.ttflist}
    return {name: frozenset(get_font(findfont(name)).get_charmap()) for name in _FAMILIES if name in known}


def _is_drawn(letter: str) -> bool:
    """Say whether figures can show a letter: a font has it, and it is written from left to right."""
    there = any(ord(letter) in letters for letters in _letters().values())
    return there and unicodedata.bidirectional(letter) not in ("R", "AL")


def _name(text: str, longest: int = 30) -> str:
    """Return a name for a figure, in letters that can be drawn, cut where it is long."""
    return short(in_letters(short(text), _is_drawn), longest)
