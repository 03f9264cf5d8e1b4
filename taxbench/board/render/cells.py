"""Cells and tables of text: Markdown, and the letters that LaTeX and figures have."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import attrgetter

from taxbench.board.board import Entry, Estimate, Row
from taxbench.util.text import NOTHING_TO_SHOW, number, padded, short, width

# What Markdown, the tables and the automatic links of GitHub, and its mathematics give a meaning. Not escaped is what
# means nothing where it stands: the underscore inside a word, the colon and the dot of what is no address.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&$]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|@(?=[\w-]+\.)", re.IGNORECASE)


def markdown_text(text: str, longest: int = 60) -> str:
    """Return short plain text that Markdown shows as it is."""
    return _MARKDOWN.sub(lambda found: f"\\{found.group()}", short(text, longest))


def in_letters(text: str, has: Callable[[str], bool]) -> str:
    """Return plain text in the letters that a font has; accents it lacks are left out, others become '?'."""
    composed = unicodedata.normalize("NFC", text)
    known = "".join(each if has(each) else unicodedata.normalize("NFKD", each) for each in composed)
    known = "".join(each for each in known if has(each) or not unicodedata.combining(each))
    return "".join(each if has(each) else {"…": "...", "–": "-"}.get(each, "?") for each in known)


def is_latin(letter: str) -> bool:
    """Say whether pdfTeX's fonts have a letter: ASCII, and most of Latin-1."""
    return " " <= letter <= "~" or ("À" <= letter <= "ÿ" and letter not in "ÐðÞþ×÷")


def interval(score: Estimate, digits: int = 2) -> str:
    """Return the cell of a score's 95 % interval over items, in brackets, or nothing."""
    if score.mean is None or score.low is None or score.high is None:
        return ""
    return f"[{number(score.low, digits)}, {number(score.high, digits)}]"


def with_interval(score: Estimate) -> str:
    """Return the cell of a score: its mean and its interval over items."""
    return f"{number(score.mean)} {interval(score)}".rstrip()


def with_both(score: Estimate) -> str:
    """Return the cell of a score: its mean, its spread over seeds and its interval over items."""
    return f"{score} {interval(score)}".rstrip()


def rank(entry: Entry) -> str:
    """Return the cell of an entry's rank: its place with the interval of that; of an entry without one, why."""
    if entry.rank is None:
        return NOTHING_TO_SHOW if entry.status == "no score" else entry.status
    return place_of(entry.rows[entry.role])


def place_of(row: Row) -> str:
    """Return the cell of a row's place among those of its task, with the interval of that, where it is ranked."""
    if row.rank is None:
        return NOTHING_TO_SHOW
    place = row.rank
    return f"{place.place}" if place.low == place.high else f"{place.place} [{place.low}–{place.high}]"


def names_of(entries: Sequence[Entry]) -> dict[str, Callable[[Entry], str]]:
    """Return the columns that name entries; features and setting only where they tell some apart."""
    columns: dict[str, Callable[[Entry], str]] = {
        name: attrgetter(name.lower()) for name in ("LM", "encoder", "head", "features", "setting")
    }
    usual = {"features", "setting"}
    return {
        name: show for name, show in columns.items() if name not in usual or len({show(each) for each in entries}) > 1
    }


def seeds_of(entries: Iterable[Entry]) -> str:
    """Say how many seeds the entries of a table have."""
    counts = sorted({len(entry.seeds) for entry in entries})
    text = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return f"{text} seed{'' if text == '1' else 's'}"


def short_task(identity: str) -> str:
    """Return name@version of name@version#hash."""
    return identity.partition("#")[0]


def task_name(row: Row, rows: Iterable[Row]) -> str:
    """Return name@version, with the hash only where it tells rows apart."""
    identity, name = row.task.identity, short_task(row.task.identity)
    alike = {other.task.identity for other in rows if (other.name, other.task.version) == (row.name, row.task.version)}
    return identity if len(alike) > 1 else name


def said(lines: Sequence[Sequence[str]], always: Iterable[str] = ()) -> list[list[str]]:
    """Return the lines of a table without the columns that say nothing in any line; the first is the header."""
    keep, columns = {*always}, zip(*lines, strict=True)
    shown = [name in keep or not {*cells} <= {"", NOTHING_TO_SHOW} for name, *cells in columns]
    return [list(compress(line, shown)) for line in lines]


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table aligned so that it also reads well as plain text; the first line is the header."""
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    filled = [[*map(padded, line, widths)] for line in lines]
    text = ["| " + " | ".join(line) + " |" for line in filled]
    text.insert(1, "|" + "|".join("-" * (columns + 2) for columns in widths) + "|")
    return "\n".join(text)
