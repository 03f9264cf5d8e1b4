"""Where things are kept, and how a file is written so that it is either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxbench.errors import CacheError


def cache_folder(chosen: Path | None = None) -> Path:
    """Return the cache folder: `--cache`, else TAXBENCH_CACHE, else `cache/` of a checkout, else the user's cache."""
    if chosen is not None:
        return chosen.expanduser()
    if named := os.environ.get("TAXBENCH_CACHE"):
        return Path(named).expanduser()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "cache").is_dir():
        return checkout / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("taxbench"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well, fsync it and move it over `path` in one step.

    Raises:
        CacheError: the folder cannot be written or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise CacheError(
            f"'{path}' cannot be written ({error.strerror or error}). Nothing was changed there: make room or choose "
            "another folder, and run again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder outlive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
