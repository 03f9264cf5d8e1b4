"""Numbers as text, and texts of strangers made harmless. Nothing here knows the board."""

import json
import unicodedata
from itertools import accumulate
from typing import Any

from pydantic_core import to_jsonable_python

NOTHING_TO_SHOW = "–"

_UNSEEN = {"Cc": " ", "Zl": " ", "Zp": " ", "Cf": "\ufffd", "Cs": "\ufffd", "Co": "\ufffd", "Cn": "\ufffd"}
"""Categories of letters that cannot be seen, and what is shown instead: controls and line ends; those that turn the
direction of writing; halves of pairs; private and unknown ones."""
_LONGEST = 60


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure as text; never a negative zero."""
    return NOTHING_TO_SHOW if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference as text, with its sign."""
    return NOTHING_TO_SHOW if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def bounded(bounds: tuple[float | None, float | None, float | None], sign: bool = False) -> str:
    """Return an estimate as text, with its interval where it has one."""
    show, (value, low, high) = signed if sign else number, bounds
    return show(value) if low is None or high is None else f"{show(value)} [{show(low, 2)}, {show(high, 2)}]"


def has_unseen(text: str) -> bool:
    """Say whether a text has letters that cannot be seen."""
    return not text.isprintable() and any(unicodedata.category(letter) in _UNSEEN for letter in text)


def seen(text: str) -> str:
    """Return a text with something to see in the place of every letter that cannot be seen."""
    if text.isprintable():
        return text
    return "".join(_UNSEEN.get(unicodedata.category(letter), letter) for letter in text)


def plain(text: str) -> str:
    """Return one line without characters that control a terminal, the direction of text, or are none at all."""
    return " ".join(seen(text).split())


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: Chinese letters two, accents that stand alone none."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(letter: str) -> int:
    """Return how many columns a letter takes."""
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def padded(text: str, columns: int) -> str:
    """Return a text with blanks behind it, up to so many columns of a terminal."""
    return text + " " * (columns - width(text))


def short(text: str, longest: int = _LONGEST) -> str:
    """Return plain text that fits into a column; the full name stands in the CSV, the JSON and on the page."""
    text = plain(text)
    if len(text) <= longest and width(text) <= longest:
        return text
    fits = sum(taken < longest for taken in accumulate(map(_width, text[: longest - 1])))
    return f"{text[:fits]}…"


def escaped(text: str, most: int = 600) -> str:
    """Return a text that is safe to print and says what is in it: unseen letters as escapes, cut where it is long."""
    shown = "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in text)
    return shown if len(shown) <= most else f"{shown[:most]}… ({len(shown):,} letters)"


def plain_json(found: Any, **more: Any) -> str:
    """Return records, dataclasses or plain values as indented JSON, and of a mapping what else is given beside it.

    Numbers that are not finite are null.
    """
    plain = to_jsonable_python(found, inf_nan_mode="null")
    return written_json(plain | to_jsonable_python(more, inf_nan_mode="null") if more else plain, indent=1)


def written_json(value: Any, indent: int | None = None) -> str:
    """Return plain values as JSON with every letter as it is, but halves of pairs, which UTF-8 has not."""
    text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def duration(seconds: float) -> str:
    """Return a time as people say it: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, length, digits in (("days", 86400.0, 1), ("h", 3600.0, 1), ("min", 60.0, 0)):
        if seconds >= (2 * length if unit != "min" else length):
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
