"""The table that commands print: aligned Markdown, one block for every (dataset, LM, encoder, head)."""

import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from taxbench.board.board import NOTHING, Estimate, GroupAverage, Row, controls_of
from taxbench.board.published import BesidePublished
from taxbench.board.render.cells import markdown_table, markdown_text, said, task_name, with_both
from taxbench.board.render.exports import latex_of
from taxbench.board.rows import make_table
from taxbench.specs.controls import control_title
from taxbench.specs.result import Result
from taxbench.specs.sources import READERS
from taxbench.util.errors import UsageError, did_you_mean
from taxbench.util.text import NOTHING_TO_SHOW, number, signed, width

LEGEND = (
    "Val F1 is of leaf questions about validation images, by which settings are chosen; F1 is macro-F1 over the asked "
    "terms of the split, at the LM's own threshold; F1 fitted is at the one that suits leaf questions about validation "
    "images best; transfer is F1 minus the random-LM control; held-out leaves were never named in training; similarity "
    "is visual, inside hypernyms. Scores are means over seeds ± standard deviation [95 % interval over terms, leaves "
    "and images]."
)

_FIRST_TO_GO = (
    "similarity", "F1 fitted", "held-out F1", "no image", "shuffled", "label oracle", "held-out AUROC", "feature probe",
    "accuracy", "leaf F1", "val F1", "chance", "AUROC", "text only", "features", "split", "note", "random LM",
    "transfer",
)  # fmt: skip
"""The columns that are left out where a terminal has no room, the least telling first."""

_OWN = ("head", "features", "setting")
"""Columns that stand in a table where they tell its rows apart, or somebody asks for one of them."""
_MODELS = ("LM", "encoder")
"""Columns that stand in the title of a table where nobody asks for one of them."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Which columns a text table has, and in what order its lines stand."""

    columns: tuple[str, ...] = ()
    """By their titles; none: all that say something, but those of `on_request`."""
    sort: str = ""
    """The title of the column by which lines are sorted: scores from the highest down, names from A to Z."""
    width: int | None = None
    """Letters a line may have; None: any number."""


def of_terminal(columns: str = "", sort: str = "") -> TableLayout:
    """Return the layout for standard output: as wide as the terminal, or whole where it is a pipe or a file.

    Args:
        columns: Titles by commas.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return TableLayout(tuple(name.strip() for name in columns.split(",") if name.strip()), sort, width)


def text_table(
    rows: Sequence[Row],
    groups: Sequence[GroupAverage] = (),
    published: Sequence[BesidePublished] = (),
    layout: TableLayout = TableLayout(),
) -> str:
    """Return one table for every (dataset, LM, encoder, head), aligned so that it also reads well as plain text.

    Averages of groups stand under their table; published scores, beside ours, in a table of their own. Accuracy is a
    column only where a task lists it among its metrics, a control only where a task has it.

    Raises:
        UsageError: the layout names a column that no table has.
    """
    blocks = []
    models = _has_models(layout)
    for title, compared, block, whole in _tables(rows, layout):
        lines, left = _fitted(whole, layout)
        more = (
            f"\nNot shown at this width: {', '.join(left)}. Name columns by --columns, or pipe the table.\n"
            if left
            else ""
        )
        blocks.append(f"**{title}**\n\n{markdown_table(lines)}\n{more}")
        for place in dict.fromkeys(row.place for row in block):
            for group in (group for group in groups if group.place == place):
                why = f" ({markdown_text(group.blank_because, 200)})" if group.blank_because else ""
                of = ", ".join(place[1:4] if models else place[3:4])
                name = markdown_text(f"{group.group}, {of}" if compared else group.group)
                blocks.append(f"{name}, average: {with_both(group.average)}{why}\n")
    if published:
        blocks.append(_published(published))
    return "\n".join(blocks)


def latex_tables(rows: Sequence[Row], layout: TableLayout) -> str:
    """Return the same tables with the columns of a layout, for papers.

    Raises:
        UsageError: as for `text_table`.
    """
    return latex_of({title: lines for title, _, _, lines in _tables(rows, layout)})


def _tables(rows: Sequence[Row], layout: TableLayout) -> Iterator[tuple[str, bool, list[Row], list[list[str]]]]:
    """Yield each table: its title, whether it compares heads, its rows, and its lines, the first the header."""
    asked, models = _asked(layout), _has_models(layout)
    places = defaultdict[str, set[tuple[str, ...]]](set)
    for row in rows:
        places[_title(row, models, with_head=False)].add(row.place)
    tables = defaultdict[tuple[str, bool], list[Row]](list)
    for row in rows:
        compared = models or len(places[_title(row, models, with_head=False)]) > 1
        tables[_title(row, models, with_head=not compared), compared].append(row)
    offered = on_request(rows)
    wanted = {title: show for title, show in offered.items() if _key(title) in asked or (models and title in _MODELS)}
    made = {key: _lines(block, key[1], wanted) for key, block in tables.items()}
    _check(layout, (*(title for lines in made.values() for title in lines[0]), *offered))
    for (title, compared), block in tables.items():
        yield title, compared, block, _laid_out(made[title, compared], layout)


def _has_models(layout: TableLayout) -> bool:
    """Say whether models are columns, and not in the titles of tables: somebody asks for one of them."""
    return not _asked(layout).isdisjoint(map(_key, _MODELS))


def _asked(layout: TableLayout) -> set[str]:
    """Return the columns that a layout names, as `_key` has them."""
    return set(map(_key, (*layout.columns, layout.sort)))


def check_layout(results: Iterable[Result], layout: TableLayout) -> None:
    """Raise UsageError where a layout names a column that no table of results has, before their intervals are made."""
    for _ in _tables(make_table(results), layout):
        pass


def _title(row: Row, models: bool, *, with_head: bool) -> str:
    """Return the title above a text table: of one head's runs, or of several heads that it compares.

    Args:
        models: Whether the table has models as columns, so that those of a dataset stand in one.
    """
    lm, head, encoder, dataset, setting = map(markdown_text, (row.lm, row.head, row.encoder, row.dataset, row.setting))
    heads = f" ← head {head}" if with_head else ""
    more = "".join(f" · {each}" for each in (setting, markdown_text(row.note, 120)) if each and with_head)
    seeds = f"seed{'s' * (len(row.seeds) > 1)} {', '.join(map(str, row.seeds))}"
    if models:
        return f"Dataset {dataset} · {seeds}"
    if row.head in READERS:
        return f"System {lm}, asked by {head} · dataset {dataset} · {seeds}{more}"
    return f"LM {lm}{heads} ← encoder {encoder} · dataset {dataset} · {seeds}{more}"


def on_request(rows: Sequence[Row]) -> dict[str, Callable[[Row], str]]:
    """Return the columns that stand in a text table where they are named: models, heads, minutes, date, settings."""
    settings = dict.fromkeys(name for row in rows for name in row.settings)
    return {
        **{name: partial(_name, name.lower()) for name in (*_MODELS, *_OWN)},
        "minutes": lambda row: NOTHING_TO_SHOW if row.seconds is None else number(row.seconds / 60, 1),
        "date": lambda row: row.finished or NOTHING_TO_SHOW,
        **{name: partial(_setting, name) for name in settings},
    }


def _name(name: str, row: Row) -> str:
    """Return the cell of the name of a model."""
    return markdown_text(getattr(row, name))


def _setting(name: str, row: Row) -> str:
    """Return the cell of a setting; a dash where the row has none of that name."""
    return markdown_text(str(row.settings[name])) if name in row.settings else NOTHING_TO_SHOW


def _lines(block: list[Row], compared: bool, more: Mapping[str, Callable[[Row], str]]) -> list[list[str]]:
    """Return the lines of a text table: one a task, or of several heads task by task, the best first.

    Settings of one head stand in the order of their validation scores: the test does not choose among them.

    Args:
        more: Columns behind the others.
    """
    columns = _columns(block)
    names: dict[str, Callable[[Row], str]] = {
        "task": lambda row: task_name(row, block), "split": attrgetter("split"),
    }  # fmt: skip
    if compared:
        tasks = list(dict.fromkeys(row.task.identity for row in block))
        settings = {place[:-1]: place for place in {row.place for row in block}}
        sweep = len(settings) < len({row.place for row in block})

        def order(row: Row) -> tuple[float, ...]:
            score = (row.validation_f1 if sweep else row.f1).mean
            return tasks.index(row.task.identity), score is None, -(score or 0.0)

        block = sorted(block, key=order)
        names = {name: attrgetter(name) for name in _OWN} | names
        columns["note"] = lambda row: markdown_text(row.note, 120)
    columns |= {title: show for title, show in more.items() if title not in names}
    lines = [[*names, *columns]]
    for row in block:
        lines.append(
            [*(markdown_text(show(row)) for show in names.values()), *(show(row) for show in columns.values())]
        )
    return said(lines, always=("F1", *more))


def _check(layout: TableLayout, titles: Iterable[str]) -> None:
    """Raise UsageError where a layout names a column that no table has."""
    known = list(dict.fromkeys(titles))
    for name in filter(None, (*layout.columns, layout.sort)):
        if _key(name) not in map(_key, known):
            hint = did_you_mean(_key(name), map(_key, known))
            raise UsageError(f"There is no column '{name}'.{hint} Columns: {', '.join(known)}.")


def _laid_out(lines: list[list[str]], layout: TableLayout) -> list[list[str]]:
    """Return the lines of a table with the columns that are wanted, of those it has, and in the order that is."""
    known = {_key(title): place for place, title in enumerate(lines[0])}
    if (by := known.get(_key(layout.sort))) is not None:
        lines = [lines[0], *sorted(lines[1:], key=lambda line: _order_of(line[by]))]
    wanted = [known[_key(name)] for name in layout.columns if _key(name) in known]
    return [[line[place] for place in wanted or known.values()] for line in lines]


def _key(title: str) -> str:
    """Return the title of a column as people may type it: 'held-out F1', held_out_f1."""
    return re.sub(r"[\s_\\-]+", " ", title).strip().lower()


def _order_of(cell: str) -> tuple[int, float, str]:
    """Return what a cell is sorted by: scores from the highest down, then names from A to Z, then what is blank."""
    found = re.match(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?(?![\w@]|-\d)", cell)
    return (0, -float(found.group()), cell) if found else (1 + (cell == NOTHING_TO_SHOW), 0.0, cell)


def _fitted(lines: list[list[str]], layout: TableLayout) -> tuple[list[list[str]], list[str]]:
    """Return a table without the columns for which there is no room, and their titles; those that were named stay."""
    widths = {
        title: max(map(width, column)) + 3 for title, *rest in zip(*lines, strict=True) for column in [[title, *rest]]
    }
    left: list[str] = []
    for title in _FIRST_TO_GO if layout.width and not layout.columns else ():
        if title in widths and sum(widths.values()) + 1 > (layout.width or 0):
            del widths[title]
            left.append(title)
    keep = [place for place, title in enumerate(lines[0]) if title in widths]
    return [[line[place] for place in keep] for line in lines], left


def _columns(block: list[Row]) -> dict[str, Callable[[Row], str]]:
    """Return what the columns of scores in a text table are named, and how their cells are made."""
    columns: dict[str, Callable[[Row], str]] = {
        "val F1": lambda row: str(row.validation_f1),
        "leaf F1": lambda row: str(row.leaf_f1),
        "F1": lambda row: with_both(row.f1),
        "F1 fitted": lambda row: str(row.fitted_f1),
        "AUROC": lambda row: with_both(row.auroc) if row.task.primary == "auroc" else str(row.auroc),
    }
    if any("accuracy" in row.metrics for row in block):
        columns["accuracy"] = lambda row: str(row.accuracy)
    for name in controls_of(block):
        columns[markdown_text(control_title(name))] = partial(
            lambda name, row: number(row.controls.get(name, NOTHING).mean), name
        )
    return columns | {
        "transfer": lambda row: with_both(row.transfer),
        "held-out F1": lambda row: str(row.heldout_f1),
        "held-out AUROC": lambda row: str(row.heldout_auroc),
        "similarity": lambda row: number(row.similarity.mean),
    }


def _published(comparisons: Sequence[BesidePublished]) -> str:
    """Return the text table of our scores beside the published ones, with their sources."""
    lines = [["task", "run", "split", "language model", "F1 here", "published", "difference"]]
    for each in comparisons:
        kind = "trained" if each.control == "none" else "random"
        # The published spread is that of the score with one-class categories.
        spread = each.published.sd if each.value == each.published.macro_f1 else None
        value = Estimate(each.value, spread)
        names = map(markdown_text, (each.task, each.run, each.split, kind))
        lines.append([*names, with_both(each.here), str(value), signed(each.difference)])
    sources = "; ".join(dict.fromkeys(markdown_text(each.source) for each in comparisons))
    return f"**Beside the published figures** ({sources})\n\n{markdown_table(lines)}\n"
