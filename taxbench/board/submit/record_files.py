"""Read a stranger's files without being led anywhere: regular files only, of a sane size, and no link is followed."""

import errno
import os
import stat
from pathlib import Path

from taxbench.board.load import PREDICTIONS
from taxbench.results.predictions import MOST_FILE
from taxbench.results.records import LOSSES, MOST_BYTES, RESULT, TIMING
from taxbench.util.errors import DataError

_MOST_OF = {RESULT: MOST_BYTES, PREDICTIONS: MOST_FILE}
_NO_FILES = {errno.ELOOP: "a link", errno.EISDIR: "a folder", errno.ENXIO: "a socket"}
"""What it is that cannot be opened as a file, by the error."""
# Windows has neither, and links that few may make: there the look at the path must do.
_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def look_through(root: Path) -> tuple[list[Path], dict[Path, str]]:
    """Find the records below a folder; links are not followed.

    Returns:
        The folders with a result.json, or with predictions that lack theirs, sorted; and everything that is no part of
        a record, by path, with the reason why it does not belong there.
    """
    records, others = list[Path](), dict[Path, str]()
    closed = "It cannot be read, so what lies in it was not checked."
    for base, folders, files in os.walk(root, onerror=lambda error: others.update({Path(error.filename): closed})):
        here = Path(base)
        own = {RESULT, PREDICTIONS} & {*folders, *files}  # whatever they are: of what is no file the record is told
        if own:
            records.append(here)
        for path in (here / name for name in (*folders, *files) if name not in own):
            if path.is_symlink():
                others[path] = "It is a link, which is never followed. Remove it, or copy what it leads to."
            elif path.name in files and not (path.name in (TIMING, LOSSES) and path.is_file()):
                others[path] = f"It does not belong here: a record is {RESULT} and {PREDICTIONS} in its run's folder."
    return sorted(records), dict(sorted(others.items()))


def read_plain(path: Path) -> bytes:
    """Return the content of a record's file.

    Raises:
        DataError: it is missing, a link, no regular file, too large, or cannot be read.
    """
    name, most = path.name, _MOST_OF[path.name]
    try:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _CAREFULLY)) as file:
            status = os.fstat(file.fileno())  # of what was opened, whatever lies there by now
            if not stat.S_ISREG(status.st_mode):
                kind = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device"
                raise DataError(f"{name} is {kind}; expected a regular file.")
            if status.st_size > most:
                raise DataError(f"{name} has {status.st_size:,} bytes; expected at most {most:,}.")
            return file.read(most + 1)
    except FileNotFoundError:
        raise DataError(f"{name} is missing. Copy the run's whole folder.") from None
    except OSError as error:
        if error.errno in _NO_FILES:
            raise DataError(f"{name} is {_NO_FILES[error.errno]}; expected a regular file.") from None
        raise DataError(f"{name} cannot be read ({error.strerror}).") from None
