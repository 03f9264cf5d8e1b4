"""The board as one HTML file: it works from disk, asks the network for nothing, and shows every name as text."""

import base64
import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from taxbench.board.analysis.languages_text import BOARD_LEGEND, paired_table
from taxbench.board.board import Board, Entry, Estimate
from taxbench.board.page.charts import deprivation_chart, similarity_chart, sweep_chart
from taxbench.board.page.svg import shown, strip, swatch
from taxbench.board.plots import F1_SPAN, TRANSFER_SPAN, deprivations, heatmaps, scatters
from taxbench.board.render.cells import interval, place_of, short_task
from taxbench.board.roles import ROLES
from taxbench.board.sweeps import sweeps
from taxbench.board.world_scopes import scope_maps
from taxbench.datasets.known import about_dataset
from taxbench.specs.controls import control_help, control_title, in_order, known_controls
from taxbench.util.text import NOTHING_TO_SHOW, duration, number

_FOLDER = Path(__file__).with_name("templates")
_CHOICES = ("dataset", "lm", "encoder", "head")
_TITLES = {"high": "counterfactual high", "low": "counterfactual low"}
"""What the parts of the question are called, where that is not their name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of scores of the main table."""

    key: str
    title: str
    help: str
    group: str
    roles: tuple[str, ...]
    """The parts of the question that it is computed from."""
    estimate: Callable[[Entry], Estimate]


def page(board: Board) -> str:
    """Return the board as one HTML page: the same text for the same board."""
    made = environment()
    made.globals.update(
        swatch=swatch, command=_command, all_controls=known_controls(row.controls for row in board.rows),
        f1_span=F1_SPAN, transfer_span=TRANSFER_SPAN, scope_span=(0.5, 1.0), titles=_TITLES, place=place_of,
        about=about_dataset,
    )  # fmt: skip
    made.filters.update(
        number=_number, duration=duration, range=_range, words=short_task, zip=zip, control=control_title, shade=_shade
    )
    columns = _columns(board)
    lines = _lines(board, columns)
    return rendered(
        made.get_template("page.html.j2"),
        ("page.css",),
        "page.js",
        columns=columns,
        groups=[(name, len(list(some))) for name, some in groupby(columns, lambda column: column.group)],
        datasets=[(name, list(some)) for name, some in groupby(lines, lambda line: line["entry"].dataset)],
        choices=[(name, sorted({getattr(each, name) for each in board.entries})) for name in _CHOICES],
        lines=lines,
        costed=any(each.seconds is not None or each.finished for each in board.entries),
        heatmaps=heatmaps(board),
        scopes=scope_maps(board),
        languages=paired_table(board.languages),
        language_legend=BOARD_LEGEND,
        deprivation=[deprivation_chart(f"d{i}", each) for i, each in enumerate(deprivations(board))],
        similarity=[similarity_chart(f"v{i}", each) for i, each in enumerate(scatters(board))],
        sweeps=[sweep_chart(f"w{i}", each) for i, each in enumerate(sweeps(board))],
        others=board.others,
        references=board.references,
    )


def environment() -> Environment:
    """Return what makes pages of templates; every name in them becomes text."""
    return Environment(
        loader=FileSystemLoader(_FOLDER, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(template: Template, styles: Sequence[str], script: str, images: str = "data:", **given: Any) -> str:
    """Return a page with its styles and script inside, and a policy under which nothing else runs, loads or is styled.

    Args:
        images: The sources of pictures that it may show.
    """
    style = "".join(_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in styles)
    code = "".join(_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in ("common.js", script))
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (code, style)]
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src {images}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    return template.render(policy=policy, style=Markup(style), script=Markup(code), **given)


def _columns(board: Board) -> list[Column]:
    """Return the columns of scores of the page's table, the usual ranking first; what no entry has gets none."""

    def of(role: str, name: str = "f1") -> Callable[[Entry], Estimate]:
        return lambda entry: entry.score(role, name)

    leaf, seen, unseen, high, low = ROLES
    columns = [
        Column("unseen", "unseen F1", "Hypernyms that training never named.", "F1", (unseen,), of(unseen)),
        Column("leaf", "leaf F1", "The names training used, asked of new images.", "F1", (leaf,), of(leaf)),
        Column("seen", "seen F1", "Hypernyms that training asked too.", "F1", (seen,), of(seen)),
        Column("validation", "validation F1", "Leaf questions about validation images, by which settings are chosen.",
               "F1", (), lambda entry: entry.score(entry.role, "validation_f1")),
        Column("transfer", "transfer", "Unseen F1 minus the random LM's, seed by seed and item by item.",
               "Generalisation", (unseen,), of(unseen, "transfer")),
        Column("heldout", "held-out AUROC", "Hypernyms asked of leaves that training never named.",
               "Generalisation", (unseen,), of(unseen, "heldout_auroc")),
        Column("high", "high", "Images and names re-paired, visual similarity kept.",
               "Counterfactual F1", (high,), of(high)),
        Column("low", "low", "Images and names re-paired, visual similarity destroyed.",
               "Counterfactual F1", (low,), of(low)),
        Column("effect", "coherence effect", "Counterfactual high minus low.",
               "Counterfactual F1", (high, low), lambda entry: entry.coherence_effect),
    ]  # fmt: skip
    names = {name for each in board.entries if (row := each.rows.get(unseen)) for name in row.controls}
    for place, name in enumerate(in_order(names)):
        title, about = control_title(name), control_help(name)
        columns.append(
            Column(f"c{place}", title, about, "Controls of unseen F1", (unseen,), partial(Entry.control, name=name))
        )
    run = {role for entry in board.entries for role in entry.rows}
    return [column for column in columns if column.key == "unseen" or run.issuperset(column.roles)]


def _lines(board: Board, columns: list[Column]) -> list[dict[str, Any]]:
    """Return the lines of the page's main table, one an entry, with the first of each band marked."""
    bands = [(entry.dataset, entry.rank.band) if entry.rank else None for entry in board.entries]
    return [
        _line(board, entry) | {
            "first_of_band": band is not None and band not in bands[:place],
            "cells": [_cell(entry, column) for column in columns],
        }
        for place, (entry, band) in enumerate(zip(board.entries, bands, strict=True))
    ]  # fmt: skip


def _line(board: Board, entry: Entry) -> dict[str, Any]:
    """Return one entry as the page's main table and its record show it: a drawing of its score, and what unfolds."""
    own, f1 = list(entry.rows.values()), entry.score("unseen")
    rows = own + [row for row in board.rows if row.place == entry.place and row not in own]
    hypernyms = {role: row for role, row in entry.rows.items() if role != "leaf" and row.terms}
    main = hypernyms.get("unseen") or next(iter(hypernyms.values()), None)
    by_term = [{each.term: each.f1 for each in row.terms} for row in hypernyms.values()]
    terms = main.terms if main else ()
    names = (entry.dataset, entry.lm, entry.encoder, entry.head, entry.features, entry.setting)
    marks = [entry.control(name).mean for name in ("chance", "random_lm")]
    identities: dict[str, dict[str, None]] = {}
    for key, value in (item for row in rows for item in row.identities.items()):
        identities.setdefault(key, {})[value] = None
    return {
        "id": "e" + hashlib.sha256(ascii(names).encode()).hexdigest()[:10],  # letters and digits whatever the names are
        "entry": entry,
        "strip": Markup("") if f1.mean is None else strip((f1.mean, f1.low, f1.high), marks),
        "rows": rows,
        "controls": in_order(name for row in rows for name in row.controls),
        "averages": [each for each in board.groups if each.place == entry.place],
        "term_tasks": [_TITLES.get(role, role) for role in hypernyms],
        "terms_of": main.name if main else "",  # whose AUROC, controls, similarity and questions a term has
        "terms": [(each.term, [scores.get(each.term) for scores in by_term], each) for each in terms],
        "term_controls": in_order(name for each in terms for name in each.controls),
        "identities": identities.items(),
    }


def _cell(entry: Entry, column: Column) -> dict[str, Any]:
    """Return one cell of the page's table: an estimate, and a word on why it is blank or stands apart."""
    estimate, reason = column.estimate(entry), ""
    if any(role not in entry.rows for role in column.roles):
        reason = "not run"
    elif estimate.mean is None:
        reason = NOTHING_TO_SHOW if column.group.startswith("Controls") else "no score"
    elif any(entry.rows[role].seeds != entry.seeds for role in column.roles):
        reason = "other seeds"
    return {"estimate": estimate, "reason": reason}


def _number(value: float | None, digits: int = 3) -> str:
    """Write a number as the whole page does, with a minus sign that is as wide as a digit."""
    return number(value, digits).replace("-", "\u2212")


def _range(score: Estimate, digits: int = 2) -> str:
    """Write the interval over items, or nothing where there is none."""
    return interval(score, digits).replace("-", "\u2212")


def _shade(score: float, span: tuple[float, float]) -> int:
    """Return from 0 to 9 how strongly a cell of a heatmap is coloured."""
    return min(max(int((score - span[0]) / (span[1] - span[0]) * 10), 0), 9)


def _command(folder: str) -> str:
    """Return the line to type, safe to paste whatever the folder is called."""
    return f"taxbench reproduce {shlex.quote(f'leaderboard/results/{folder}')}"
