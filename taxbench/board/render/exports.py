"""The board for other programs: CSV, JSON, and LaTeX for papers. The same board gives the same bytes."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from taxbench.board.board import NOTHING, Board, Entry, Row, controls_of, settings_apart
from taxbench.board.render.cells import in_letters, is_latin, names_of, rank, said, seeds_of, with_interval
from taxbench.specs.task import TaskSpec
from taxbench.util.text import NOTHING_TO_SHOW, number, plain, short, written_json

JSON_VERSION = 1
"""Version of the layout of board.json."""

_DIGITS = 6  # as in results: the last bits of a mean differ between machines
_NAMES = ("dataset", "encoder", "lm", "head", "features", "setting", "split", "note")
_SCORES = (
    "validation_f1",
    "leaf_f1",
    "f1",
    "fitted_f1",
    "auroc",
    "accuracy",
    "transfer",
    "heldout_f1",
    "heldout_auroc",
    "similarity",
)
_PARTS = {"": "mean", "_sd": "sd", "_low": "low", "_high": "high"}


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV; every score as value, spread over seeds and both ends of its interval over items.

    Controls are columns `control_...`, F1 on every split `split_...`, that of the random LM `random_lm_split_...`.
    Settings that tell rows apart are columns by their names; so are the wall time and the day, where any is known. Text
    that a spreadsheet would compute as a formula begins with a quote.
    """
    lines = [
        {name: getattr(row, name) for name in _SCORES}
        | {f"control_{name}": score for name, score in row.controls.items()}
        | {f"split_{name}": score for name, score in row.split_f1.items()}
        | {f"random_lm_split_{name}": score for name, score in row.random_lm_split_f1.items()}
        for row in rows
    ]
    titles = [*_SCORES, *(f"control_{name}" for name in controls_of(rows))]
    for kind in ("split_", "random_lm_split_"):
        titles += sorted({title for line in lines for title in line if title.startswith(kind)})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ["task", *_NAMES, "seeds", "records", *(f"{title}{part}" for title in titles for part in _PARTS)]
    more = _more(rows, heads)
    writer.writerow(map(_harmless, [*heads, *more]))
    for row, line in zip(rows, lines, strict=True):
        texts = [row.task.identity, *(getattr(row, name) for name in _NAMES)]
        texts += [" ".join(map(str, row.seeds)), " ".join(record.digest for record in row.records)]
        numbers = [getattr(line.get(title, NOTHING), part) for title in titles for part in _PARTS.values()]
        figures = ("" if each is None else number(each, _DIGITS) for each in numbers)
        writer.writerow([*map(_harmless, texts), *figures, *(show(row) for show in more.values())])
    return text.getvalue()


def _more(rows: Sequence[Row], taken: Sequence[str]) -> dict[str, Callable[[Row], str]]:
    """Return further columns of the CSV: wall time and day where they are known, and settings that tell rows apart."""
    more: dict[str, Callable[[Row], str]] = {}
    if any(row.seconds is not None for row in rows):
        more["seconds"] = lambda row: "" if row.seconds is None else number(row.seconds, 1)
        more["finished"] = lambda row: row.finished
    for name in settings_apart(rows):
        if name not in (*taken, *more):
            more[name] = partial(_setting, name)
    return more


def _setting(name: str, row: Row) -> str:
    """Return a setting of a row as text; nothing where its head has none of that name."""
    value = row.settings.get(name, "")
    return _harmless(value) if isinstance(value, str) else str(value)


def _harmless(text: str) -> str:
    """Return text for a CSV export that no spreadsheet takes for a formula."""
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def json_text(board: Board) -> str:
    """Return the board, its fields named as in `taxbench.board.board`, one record a line.

    Rows stand under `rows` only: an entry gives the full names of its tasks, and the row is the one of that task with
    the entry's dataset, LM, encoder, head and setting.
    """
    blocks = []
    for field in fields(board):
        records = [written_json(_data(each)) for each in getattr(board, field.name)]
        inside = "\n" + ",\n".join(records) + "\n" if records else ""
        blocks.append(f'"{field.name}": [{inside}]')
    return f'{{"schema_version": {JSON_VERSION},\n' + ",\n".join(blocks) + "}\n"


def _data(value: Any) -> Any:
    """Return what JSON has for a part of the board."""
    if isinstance(value, TaskSpec):
        return value.identity
    if isinstance(value, BaseModel):
        return _data(value.model_dump(mode="json"))
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, Row):
            del parts["is_control"], parts["settings"]  # entries say it, and the records say them
        if isinstance(value, Entry):
            parts |= {"rows": {row.name: row.task for row in value.rows.values()}, "rank": value.rank}
        return {name: _data(part) for name, part in parts.items()}
    if isinstance(value, dict):
        return {str(name): _data(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_data(part) for part in value]
    return round(float(value), _DIGITS) + 0.0 if isinstance(value, float) else value


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "[": "{[}", "*": "{*}",  # behind the end of a line they would be its arguments
}  # fmt: skip
_UNICODE = r"\ifdefined\Umathcode"
"""True of the engines that read Unicode: XeTeX and LuaTeX."""
_OTHERS = re.compile("([^\x00-ÿ…–]+)")
"""Letters that are neither Latin nor known to `in_letters`."""
_CAPTION = (
    r"Dataset %s: macro-F1, means over %s, with 95\,\%% intervals over terms, leaves and images; $\pm$: standard "
    r"deviation of unseen F1 over seeds. Transfer: F1 on "
    r"unseen hypernyms minus that of the same head through a language model of random weights. Effect: F1 with "
    r"pictures swapped inside categories (high) minus across them (low). Bold: cannot be told from the best."
)


def tex(text: str) -> str:
    """Return short plain text that LaTeX sets as it is; letters that pdfTeX has not, in engines that read Unicode."""
    parts = []
    for run in _OTHERS.split(unicodedata.normalize("NFC", short(text))):
        known = "".join(_SPECIAL.get(letter, letter) for letter in in_letters(run, is_latin))
        parts.append(f"{_UNICODE} {run}\\else {known}\\fi{{}}" if _OTHERS.fullmatch(run) else known)
    return re.sub("-(?=-)", "-{}", "".join(parts))


def _headed(packages: str, body: str) -> str:
    """Return a LaTeX text under the line that says what it needs, and what sets its other letters if it has any."""
    made = [f"% Made by taxbench. Needs \\usepackage[T1]{{fontenc}} and \\usepackage{{{packages}}}."]
    if _UNICODE in body:
        made.append(
            r"% pdflatex sets '?' for Chinese; xelatex with \usepackage[scheme=plain]{ctex}, not fontenc, sets it."
        )
    return "\n".join([*made, body])


def latex_of(tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Return tables of Markdown cells, by their titles, as booktabs tables to be read with \\input."""
    made = list[str]()
    for number_of, (title, lines) in enumerate(tables.items(), 1):
        rows = [" & ".join(map(_tex_cell, line)) + r" \\" for line in lines]
        left = [not any(cell[:1].isdigit() for cell in column) for column in zip(*lines[1:], strict=True)]
        columns = "".join("l" if is_text else "r" for is_text in left)
        caption = ", ".join(map(_tex_cell, re.split(" [←·] ", title)))
        made += [
            *(r"\begin{table}", r"\centering\footnotesize", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"),
            *(rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}"),
            *(rf"\caption{{{caption}}}", rf"\label{{tab:taxbench-{number_of}}}", r"\end{table}", ""),
        ]
    return _headed("booktabs,textcomp", "\n".join(made))


def _tex_cell(cell: str) -> str:
    """Return a cell of a Markdown table as LaTeX sets it."""
    plainly = re.sub(r"\\(.)", r"\1", cell)
    if plainly == NOTHING_TO_SHOW:
        return "--"
    return r"$\pm$".join(re.sub(r"(?<![\w.])-(?=\d)", "$-$", tex(part)) for part in plainly.split("±"))


def latex_text(board: Board) -> str:
    """Return one booktabs table for every dataset, to be read with \\input; in bold, the band of the best."""
    datasets = dict.fromkeys(entry.dataset for entry in board.entries)
    tables = [_latex_table(name, [each for each in board.entries if each.dataset == name]) for name in datasets]
    return _headed("booktabs,graphicx,textcomp", "\n".join(tables))


def _latex_table(dataset: str, entries: Sequence[Entry]) -> str:
    """Return the exported LaTeX table of one dataset's entries, with its caption."""
    names = names_of(entries)
    lines = [
        ["rank", *names, "leaf", "seen", "unseen", r"$\pm$", "transfer", "high", "low", "effect", "random LM", "chance"]
    ]
    lines += [[rank(each), *(tex(show(each)) for show in names.values()), *_latex_scores(each)] for each in entries]
    lines = said(lines, always=("rank", *names))
    left = 1 + len(names)
    rows = [" & ".join(cell.replace(NOTHING_TO_SHOW, "--") for cell in line) + r" \\" for line in lines]
    return "\n".join(
        [
            *(r"\begin{table*}", r"\centering\footnotesize\setlength{\tabcolsep}{3pt}"),
            *(r"\sbox0{%", rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(lines[0]) - left)}}}", r"\toprule"),
            *(rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}}%"),
            r"\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi",
            rf"\caption{{{_CAPTION % (tex(dataset), seeds_of(entries))}}}",
            *(rf"\label{{tab:taxbench-{re.sub('[^a-z0-9]+', '-', dataset.lower()).strip('-')}}}", r"\end{table*}", ""),
        ]
    )


def _latex_scores(entry: Entry) -> list[str]:
    """Return the scores of an entry as cells of the exported LaTeX table."""

    def f1(role: str) -> str:
        shown = with_interval(entry.score(role)) if role == "unseen" else number(entry.score(role).mean)
        best = role == entry.role and entry.rank is not None and entry.rank.band == 1
        return rf"\textbf{{{shown}}}" if best else shown

    cells = [
        *map(f1, ("leaf", "seen", "unseen")),
        number(entry.score("unseen").sd),
        with_interval(entry.score("unseen", "transfer")),
        *map(f1, ("high", "low")),
        with_interval(entry.coherence_effect),
        *(number(entry.control(name).mean) for name in ("random_lm", "chance")),
    ]
    return [re.sub(r"-(?=\d)", "$-$", re.sub(r"\[.*\]", r"{\\scriptsize\g<0>}", cell)) for cell in cells]
