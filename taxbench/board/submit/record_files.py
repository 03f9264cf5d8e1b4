"""Read a stranger's files without being led anywhere: regular files only, of a sane size, and no link is followed."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxbench.board.load import PREDICTIONS
from taxbench.results.predictions import MOST_FILE
from taxbench.results.records import MOST_BYTES, RESULT, TIMING
from taxbench.util.errors import DataError

_MOST_OF = {RESULT: MOST_BYTES, PREDICTIONS: MOST_FILE}

# Without these (Windows) the look at the file before it is opened must do.
_CAREFULLY = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies in a tree of records."""

    records: tuple[Path, ...]
    """Folders with a result.json, or with predictions that lack theirs."""
    strangers: tuple[Path, ...]
    """Everything that is no part of a record."""
    closed: tuple[Path, ...]
    """Folders that cannot be read."""

    def not_belonging(self) -> Iterator[tuple[Path, str]]:
        """Yield what is no part of a record, and why."""
        for path in self.strangers:
            if path.is_symlink():
                yield path, "It is a link, which is never followed. Remove it, or copy what it leads to."
            else:
                yield path, f"It does not belong here: a record is {RESULT} and {PREDICTIONS} in the folder of its run."
        for path in self.closed:
            yield path, "It cannot be read, so what lies in it was not checked."


def look_through(root: Path) -> Tree:
    """Find the records below a folder. Links are not followed; they are strangers."""
    records, strangers, closed = list[Path](), list[Path](), list[Path]()
    for base, folders, files in os.walk(root, onerror=lambda error: closed.append(Path(error.filename))):
        here = Path(base)
        own = {RESULT, PREDICTIONS} & {*folders, *files}  # whatever they are: of what is no file the record is told
        if own:
            records.append(here)
        if TIMING in files and (here / TIMING).is_file() and not (here / TIMING).is_symlink():
            own.add(TIMING)
        links = [name for name in folders if (here / name).is_symlink()]
        strangers += [here / name for name in (*links, *files) if name not in own]
    return Tree(tuple(sorted(records)), tuple(sorted(strangers)), tuple(sorted(closed)))


def read_plain(path: Path) -> bytes:
    """Return the content of a record's file.

    Raises:
        DataError: it is missing, a link, no regular file, too large, or cannot be read.
    """
    name, most = path.name, _MOST_OF[path.name]
    try:
        kind = _kind(path.lstat().st_mode)
        if kind:
            raise DataError(f"{name} is {kind}; expected a regular file. Copy the file itself.")
        with os.fdopen(os.open(path, _CAREFULLY), "rb") as file:
            status = os.fstat(file.fileno())  # of what was opened, whatever lies there by now
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{name} is {_kind(status.st_mode)}; expected a regular file.")
            if status.st_size > most:
                raise DataError(f"{name} has {status.st_size:,} bytes; expected at most {most:,}.")
            return file.read(most + 1)
    except FileNotFoundError:
        raise DataError(f"{name} is missing. Copy the run's whole folder.") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}).") from None


def _kind(mode: int) -> str:
    """Say what a file is that is no regular one; the empty string for regular ones."""
    kinds = (
        (stat.S_ISREG, ""),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((said for test, said in kinds if test(mode)), "a device")
