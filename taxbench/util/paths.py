"""Where things are kept, and how a file is written so that it is either whole or not there."""

import codecs
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taxbench.util.errors import CacheError, DataError, unreadable, unwritable

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package; beside it, in a checkout, lies the rest of the repository."""

PARTIAL = ".partial"
"""How the hidden names end of what is not whole yet."""


def cache_folder(chosen: Path | None = None) -> Path:
    """Return the cache folder: `--cache`, else TAXBENCH_CACHE, else `cache/` of a checkout, else the user's cache."""
    if chosen is not None:
        return chosen.expanduser()
    if named := os.environ.get("TAXBENCH_CACHE"):
        return Path(named).expanduser()
    checkout = PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "cache").is_dir():
        return checkout / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("taxbench"))


def beside(path: Path) -> Path:
    """Return a hidden name beside a file or folder that nobody else writes to: process numbers are those of one host,
    or of one container, and many may share a disk."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{PARTIAL}")


@contextmanager
def replacing(path: Path, called: Path | None = None) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well, fsync it and move it over `path` in one step.

    Args:
        called: What errors call it, where it is to be moved on.

    Raises:
        CacheError: the folder cannot be written, or `path` is a folder or a device; DiskError: the disk is full.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    if path.exists() and not path.is_file():
        raise CacheError(f"'{path}' cannot be written: it is there and no regular file. Choose another name.")
    partial = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error  # libraries say more than that, over several lines
        said = f"'{called or path}' cannot be written ({why}). Nothing was changed there: make room or choose another "
        raise unwritable(error, f"{said}folder, and run again.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def read_within(path: Path, most: int, limit: str) -> bytes:
    """Return the content of a file that somebody else may have put there.

    Args:
        most: Bytes that are read.
        limit: What errors say before that number, such as "a record has at most".

    Raises:
        DataError: it cannot be read, is larger, or is a pipe, a device or a folder, which could be read for ever.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"'{path}' is not a regular file. Copy the run's whole folder again.")
        if (size := path.stat().st_size) > most:
            raise DataError(f"'{path}' has {size:,} bytes; {limit} {most:,}.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(unreadable(error)) from None


def read_text(path: Path) -> str:
    """Return a text file that a person wrote, in UTF-8 or, as spreadsheets on Windows save it, in UTF-16.

    Raises:
        DataError: it cannot be read, or is in another encoding.
    """
    try:
        content = path.read_bytes()
        marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' cannot be read as text: it is not UTF-8 at byte {error.start}. Save it as UTF-8."
        ) from None
    except OSError as error:
        raise DataError(unreadable(error)) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_writable(folder: Path) -> None:
    """Check that a folder can be written or made, before hours of work and not after.

    Raises:
        CacheError: it cannot.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        why = f"may not be written to ({os.strerror(error.errno or 0)})" if there.is_dir() else "is not a folder"
        raise CacheError(f"Nothing can be written to '{folder}': '{there}' {why}. Choose another folder.") from None


def sync_folder(folder: Path) -> None:
    """Make renames in a folder outlive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
