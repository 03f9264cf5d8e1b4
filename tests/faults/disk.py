"""Disks that are too small or cannot be written: file systems in memory, mounted where the system allows it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = 4096


class NoDisk(Exception):
    """Report that no file system can be mounted here."""


@contextmanager
def small_disk(path: Path, pages: int) -> Iterator[Path]:
    """Mount a disk of so many pages; unmount it in the end.

    Raises:
        NoDisk: this user or this system may not mount.
    """
    path.mkdir(exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", _size(pages), "tmpfs", str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDisk(f"mount: {error}") from None
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False)


def resize(path: Path, pages: int) -> None:
    """Give a mounted disk another size."""
    _mount("-o", f"remount,{_size(pages)}", str(path))


def read_only(path: Path) -> None:
    """Let a mounted disk be read and not written."""
    _mount("-o", "remount,ro", str(path))


def writable(path: Path) -> None:
    """Let a mounted disk be written again."""
    _mount("-o", "remount,rw", str(path))


def _size(pages: int) -> str:
    return f"size={max(1, pages) * PAGE}"  # 0 would mean no limit


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
