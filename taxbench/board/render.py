"""The table as text: Markdown for people and pages, CSV and JSON for programs."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

from taxbench.board.groups import GroupRow
from taxbench.board.published import Comparison
from taxbench.board.table import Figure, Row

_COLUMNS = {
    "leaf_f1": "leaf F1",
    "f1": "F1",
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "random_lm_f1": "random LM F1",
    "transfer": "transfer",
    "chance_f1": "chance F1",
    "heldout_f1": "held-out leaves F1",
    "heldout_auroc": "held-out leaves AUROC",
    "similarity": "visual similarity",
}

LEGEND = (
    "F1 is macro-F1 over the asked terms of the split; transfer is F1 minus the random-LM control; held-out leaves "
    "were never named in training. Figures are means over seeds ± standard deviation."
)


def markdown(rows: list[Row], groups: Sequence[GroupRow] = (), published: Sequence[Comparison] = ()) -> str:
    """Return one table for every (dataset, LM, encoder, head), aligned so that it also reads well as plain text.

    Averages of groups stand under their table; published figures, beside ours, in a table of their own. Accuracy is a
    column only where a task lists it among its metrics.
    """
    several = {
        title
        for title in map(_without_head, rows)
        if len({row.place for row in rows if _without_head(row) == title}) > 1
    }
    blocks = []
    for title in dict.fromkeys(_title(row, several) for row in rows):
        block = [row for row in rows if _title(row, several) == title]
        compared = _without_head(block[0]) in several
        blocks.append(f"**{title}**\n\n{_align(_compared(block) if compared else _lines(block))}\n")
        places = dict.fromkeys(row.place for row in block)
        for group in (group for place in places for group in groups if group.place == place):
            why = f" ({group.blank_because})" if group.blank_because else ""
            name = f"{group.group}, {group.place[3]}" if compared else group.group
            blocks.append(f"{name}, average: {group.average}{why}\n")
    if published:
        blocks.append(_published(published))
    return "\n".join(blocks)


def _lines(block: list[Row]) -> list[list[str]]:
    """Return a table with one line a task."""
    columns = _columns(block)
    lines = [["task", "split", *(_COLUMNS[column] for column in columns)]]
    return lines + [[_task(row, block), row.split, *(str(getattr(row, column)) for column in columns)] for row in block]


def _columns(block: list[Row]) -> list[str]:
    return [name for name in _COLUMNS if name != "accuracy" or any("accuracy" in row.metrics for row in block)]


def _compared(block: list[Row]) -> list[list[str]]:
    """Return a table of several heads: task by task, the best first; columns that say nothing are left out."""
    tasks, columns = list(dict.fromkeys(row.task for row in block)), _columns(block)
    rows = sorted(block, key=lambda row: (tasks.index(row.task), -(row.f1.mean if row.f1.mean is not None else -1)))
    lines = [
        [row.head, row.features, row.setting, _task(row, block), row.split,
         *(str(getattr(row, column)) for column in columns), row.note] for row in rows
    ]  # fmt: skip
    names = [_COLUMNS[column] for column in columns]
    lines.insert(0, ["head", "features", "setting", "task", "split", *names, "note"])
    said = [any(line[i] not in ("", "–") for line in lines[1:]) for i in range(len(lines[0]))]
    return [[cell for cell, shown in zip(line, said, strict=True) if shown] for line in lines]


def _published(comparisons: Sequence[Comparison]) -> str:
    lines = [["task", "run", "split", "language model", "F1 here", "published", "difference"]]
    for each in comparisons:
        sd = "" if each.published.sd is None else f" ± {each.published.sd:.3f}"
        difference = "–" if each.difference is None else f"{each.difference:+.3f}"
        kind = "trained" if each.control == "none" else "random"
        lines.append([each.task, each.run, each.split, kind, str(each.here), f"{each.value:.3f}{sd}", difference])
    sources = "; ".join(dict.fromkeys(each.source for each in comparisons))
    return f"**Beside the published figures** ({sources})\n\n{_align(lines)}\n"


def csv_text(rows: list[Row]) -> str:
    """Return the table as CSV, one line a row, mean and spread in columns of their own."""
    text = io.StringIO()
    names = ["task", "dataset", "encoder", "lm", "head", "setting", "seeds", "split"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *(f"{column}{part}" for column in _COLUMNS for part in ("", "_sd"))])
    for row in rows:
        figures: list[Figure] = [getattr(row, column) for column in _COLUMNS]
        numbers = ["" if value is None else f"{value:.6f}" for figure in figures for value in (figure.mean, figure.sd)]
        seeds = " ".join(map(str, row.seeds))
        names_of = [row.task, row.dataset, row.encoder, row.lm, row.head, row.setting, seeds, row.split]
        writer.writerow([*names_of, *numbers])
    return text.getvalue()


def json_text(rows: list[Row]) -> str:
    """Return the table as a JSON list."""
    return json.dumps([asdict(row) for row in rows], indent=1) + "\n"


def _title(row: Row, several: set[str]) -> str:
    """Name a block: what its rows have in common."""
    if _without_head(row) in several:
        return _without_head(row)
    seeds = ", ".join(map(str, row.seeds))
    setting = f" · {row.setting}" if row.setting else ""
    return f"LM {row.lm} ← head {row.head} ← encoder {row.encoder} · dataset {row.dataset} · seeds {seeds}{setting}"


def _without_head(row: Row) -> str:
    seeds = ", ".join(map(str, row.seeds))
    return f"LM {row.lm} ← encoder {row.encoder} · dataset {row.dataset} · seeds {seeds}"


def _task(row: Row, block: list[Row]) -> str:
    """Return name@version, with the hash only where it tells rows apart."""
    short = row.task.partition("#")[0]
    return row.task if len({each.task for each in block if each.task.startswith(f"{short}#")}) > 1 else short


def _align(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
