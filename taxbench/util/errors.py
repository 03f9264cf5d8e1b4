"""The one error tree. Every message says what is wrong, where, what was expected, and what to type next."""

import difflib
import errno
import os
import re
from collections.abc import Iterable

OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the system says of a disk that is full or can only be read."""
_UNSAFE = re.compile("weights_only|[Ww]eights only|allow_pickle|Python objects in dtype")


class TaxbenchError(Exception):
    """Report a problem the user can mend. Its text is shown as it is; `exit_code` ends the program."""

    exit_code = 1


class UsageError(TaxbenchError):
    """A name, option or path on the command line is wrong."""

    exit_code = 2


class TaskError(TaxbenchError):
    """A task file cannot be read as a task."""

    exit_code = 2


class DataError(TaxbenchError):
    """A dataset, a taxonomy or an image is missing or broken."""


class CacheError(TaxbenchError):
    """A file in the cache is broken or does not hold what its key says."""


class DiskError(CacheError):
    """A disk is full or can only be read: what comes next cannot be written there either."""


class ModelError(TaxbenchError):
    """An encoder or a language model cannot be loaded."""


class TrainingError(TaxbenchError):
    """A head cannot be trained as asked."""


def first_line(error: BaseException, all_lines: bool = False) -> str:
    """Return the first line of another library's error or all in one, or its type where it says nothing.

    What torch and numpy say of pickled objects is how to load them all the same, which would run a stranger's code.
    """
    text = str(error).strip() or type(error).__name__
    if _UNSAFE.search(text):
        return "it holds Python objects besides numbers, or is damaged, and what could run code is not loaded"
    return (" ".join(text.split()) if all_lines else text.splitlines()[0])[:300]


def unreadable(error: OSError) -> str:
    """Say which file or folder cannot be read and why, and how to allow it where that is all."""
    said = f"'{error.filename}' cannot be read ({error.strerror})." if error.filename else f"{first_line(error)}."
    if not isinstance(error, PermissionError) or not error.filename:
        return said
    folder = os.path.dirname(os.path.abspath(error.filename))
    closed = error.filename if os.access(folder, os.X_OK) else folder
    return f"{said} To allow it, type: chmod -R u+rX '{closed}'"


def unwritable(error: OSError, said: str) -> CacheError:
    """Return what to raise where a file cannot be written: a DiskError where that is the disk's fault.

    Args:
        said: The error's text.
    """
    return (DiskError if error.errno in OF_DISKS else CacheError)(said)


def first_few(items: Iterable[object], most: int = 5, between: str = ", ") -> str:
    """Name the first few of many things, and say how many more there are."""
    texts = list(map(str, items))
    return between.join(texts[:most]) + (f"{between}and {len(texts) - most} more" if len(texts) > most else "")


def with_network() -> str:
    """Return how an advice to download begins: the hub's libraries may have been told not to."""
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return "HF_HUB_OFFLINE forbids it: with network, unset it, " if offline else "With network, "


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a clause naming the closest known name, or the empty string when none is close."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
