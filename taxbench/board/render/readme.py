"""The board as `leaderboard/README.md`: for someone who opens the repository's page and sees it for the first time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from string import Template
from textwrap import fill

from taxbench.board.analysis.languages_text import BOARD_LEGEND, paired_table
from taxbench.board.board import Board, Entry, Reference, controls_of
from taxbench.board.plots import plots
from taxbench.board.render.cells import (
    markdown_table,
    markdown_text,
    names_of,
    rank,
    said,
    seeds_of,
    task_name,
    with_interval,
)
from taxbench.datasets.known import about_dataset
from taxbench.specs.controls import control_title, known_controls
from taxbench.util.text import NOTHING_TO_SHOW, number

_PAGE = Path(__file__).with_name("readme.txt")
"""What the page says around its tables."""


def readme(board: Board) -> str:
    """Return the page in Markdown, with the PNG files of the folder `figures` beside it."""
    tables = [] if board.entries else ["There are no results yet.\n"]
    for dataset in dict.fromkeys(entry.dataset for entry in board.entries):
        tables += _dataset([entry for entry in board.entries if entry.dataset == dataset])
    more = [f"![{markdown_text(plot.caption, 200)}](figures/{plot.stem}.png)\n" for plot in plots(board)]
    more = ["## Figures\n"] * bool(more) + more + _languages(board) + _others(board) + _references(board.references)
    controls = "- **controls**: " + " ".join(
        f"**{each.title}**: {each.help}" for each in known_controls(row.controls for row in board.rows)
    )
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        tables="".join(f"\n{block}" for block in tables),
        controls=fill(controls, 120, subsequent_indent="  ", break_on_hyphens=False),
        more="".join(f"\n{block}" for block in more),
    )


def _dataset(entries: Sequence[Entry]) -> list[str]:
    """Return the main table and the table of controls of one dataset."""
    names = names_of(entries)
    head = ["rank", "band", *names, *_COLUMNS]
    lines = [
        [rank(each), str(each.rank.band) if each.rank else "", *_named(each, names), *_cells(each)] for each in entries
    ]
    about = " ".join(filter(None, (about_dataset(entries[0].dataset), f"{seeds_of(entries).capitalize()} an entry.")))
    title = f"## Dataset {markdown_text(entries[0].dataset)}\n\n{about}\n"
    blocks = [title, markdown_table(said([head, *lines], always=("rank",))) + "\n"]
    if (role := entries[0].role) != "unseen":
        blocks.append(f"Ranked by F1 of {role} questions, the first that two entries share.\n")
    missing = [each for each in entries if each.missing and not each.is_control]
    if missing:
        blocks.append("Not run, or not with the same seeds:\n")
        blocks += [f"- {' · '.join(filter(None, _named(each, names)))}: {', '.join(each.missing)}" for each in missing]
        blocks.append("")
    return blocks + _controls(entries, names)


def _named(entry: Entry, names: dict[str, Callable[[Entry], str]]) -> list[str]:
    """Return the README's cells that name an entry: LM, encoder, head and what else tells entries apart."""
    return [markdown_text(show(entry)) for show in names.values()]


_COLUMNS = ("unseen F1", "± seeds", "transfer", "coherence effect", "leaf F1", "seen F1", "high", "low",
            "held-out AUROC")  # fmt: skip


def _cells(entry: Entry) -> list[str]:
    """Return an entry's scores as cells of the README's main table."""
    return [
        with_interval(entry.score("unseen")),
        number(entry.score("unseen").sd),
        with_interval(entry.score("unseen", "transfer")),
        with_interval(entry.coherence_effect),
        *(number(entry.score(role).mean) for role in ("leaf", "seen", "high", "low")),
        number(entry.score("unseen", "heldout_auroc").mean),
    ]


def _controls(entries: Sequence[Entry], names: dict[str, Callable[[Entry], str]]) -> list[str]:
    """Return what F1 on unseen hypernyms would be without what is claimed."""
    entries = [entry for entry in entries if "unseen" in entry.rows]
    controls = controls_of(entry.rows["unseen"] for entry in entries)
    if not controls:
        return []
    lines = [[*names, "unseen F1", *(markdown_text(control_title(name)) for name in controls)]]
    for entry in entries:
        scores = (entry.score("unseen"), *map(entry.control, controls))
        lines.append([*_named(entry, names), *(number(score.mean) for score in scores)])
    why = "**Controls**: F1 on the same unseen hypernyms without the thing that is claimed.\n"
    return [why, markdown_table(lines) + "\n"]


def _languages(board: Board) -> list[str]:
    """Return the table that pairs languages with English, where there are records of a task in several."""
    if not board.languages:
        return []
    head, *lines = paired_table(board.languages)
    cells = [head, *([*map(markdown_text, line[:3]), *line[3:]] for line in lines)]
    about = fill(f"The same questions in several languages. {BOARD_LEGEND}", 120)
    return ["## Languages\n", f"{about}\n", markdown_table(said(cells)) + "\n"]


def _others(board: Board) -> list[str]:
    """Return the tasks that are not part of an entry, folded up, and the averages of groups."""
    rows, blocks = board.others, list[tuple[str, list[list[str]]]]()
    places = ["dataset", "LM", "encoder", "head", "setting"]
    if rows:
        lines = [[*places, "task", "split", "F1", "AUROC", "transfer"]]
        for row in rows:
            scores = [with_interval(row.f1), with_interval(row.auroc), with_interval(row.transfer)]
            lines.append([*map(markdown_text, (*row.place, task_name(row, rows), row.split)), *scores])
        blocks.append((f"{len(rows)} rows: curves and other designs", lines))
    if board.groups:
        lines = [[*places, "group", "average", ""]]
        for each in board.groups:
            names = map(markdown_text, (*each.place, each.group))
            lines.append([*names, str(each.average), markdown_text(each.blank_because, 120)])
        blocks.append(("Averages over groups of tasks", lines))
    return ["## Other tasks\n"] * bool(rows) + [
        f"<details><summary>{title}</summary>\n\n{markdown_table(said(lines))}\n\n</details>\n"
        for title, lines in blocks
    ]


_PAIRINGS = {
    "original": "unseen F1",
    "within_category": "swapped inside categories",
    "across_category": "swapped across categories",
}


def _references(references: Sequence[Reference]) -> list[str]:
    """Return the published figures without any hypernym evidence, one line a system."""
    systems: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for each in references:
        if each.deprivation != "full" or each.pairing not in (("original",) if each.split == "leaf" else _PAIRINGS):
            continue
        key = each.dataset, each.encoder, each.lm, each.source
        column = "leaf F1" if each.split == "leaf" else _PAIRINGS[each.pairing]
        column = f"random LM, {column}" if each.random_lm else column
        cells = systems.setdefault(key, {})
        cells[column] = str(each.estimate)
        if each.chance_f1 is not None and column == "unseen F1":
            cells["chance"] = number(each.chance_f1)
    if not systems:
        return []
    columns = ["leaf F1", *_PAIRINGS.values(), "random LM, unseen F1", "chance"]
    lines = [["dataset", "LM", "encoder", *columns]]
    for (dataset, encoder, lm, _), cells in systems.items():
        names = [markdown_text(name) for name in (dataset, lm, encoder)]
        lines.append([*names, *(cells.get(column, NOTHING_TO_SHOW) for column in columns)])
    sources = "; ".join(dict.fromkeys(markdown_text(key[3], 120) for key in systems))
    return [
        "## Published figures: reported, not re-run\n",
        f"From {sources}. Another protocol, and never ranked against the rows above. Training saw no hypernym\n"
        "question; F1 is the mean ± standard deviation over seeds, without terms asked with one answer only.\n"
        f"All {len(references)} cells stand in [published/](published/README.md).\n",
        markdown_table(said(lines)) + "\n",
    ]
