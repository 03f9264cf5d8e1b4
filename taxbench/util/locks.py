"""Locks that the system frees when their holder ends, however it ends: bytes of a file that everyone can open."""

import fcntl
import hashlib
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

_OF_OPEN_FILE: int | None = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
_OF_OPEN_FILE_WAITING: int = getattr(fcntl, "F_OFD_SETLKW", 0)


class ByteLocks:
    """The bytes of a lock file, each a lock of its own.

    They belong to this open file where the system has such (Linux): POSIX's own belong to the process, and vanish when
    it closes the file anywhere else.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def take(self, byte: int, wait: bool = False) -> bool:
        """Take a byte, and say whether nobody else holds it.

        Raises:
            OSError: the file system gives no locks: NFS and Lustre as some clusters mount them.
        """
        try:
            self._lock(fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, byte: int) -> None:
        """Give a byte back."""
        self._lock(fcntl.LOCK_UN, byte)

    def close(self) -> None:
        """Close the file, which gives every byte back."""
        os.close(self._fd)

    def _lock(self, how: int, byte: int) -> None:
        """Take or give back one byte; raises as `fcntl` does where somebody else holds it."""
        if _OF_OPEN_FILE is None:
            fcntl.lockf(self._fd, how, 1, byte)
            return
        kind = fcntl.F_UNLCK if how == fcntl.LOCK_UN else fcntl.F_WRLCK
        wait = _OF_OPEN_FILE if how & fcntl.LOCK_NB else _OF_OPEN_FILE_WAITING
        fcntl.fcntl(self._fd, wait, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))  # struct flock


class Claims:
    """What this process has taken on, by name, so that no other one does it as well.

    They save work and nothing else: where a file system gives no locks, or gives them to each machine for itself,
    everything is free to everyone, and work may be done twice.
    """

    def __init__(self, path: Path) -> None:
        self._locks: ByteLocks | None = None
        with suppress(OSError):
            self._locks = ByteLocks(path)

    def take(self, name: str) -> bool:
        """Claim a name, and say whether no other process has."""
        if self._locks is not None:
            with suppress(OSError):
                return self._locks.take(_byte_of(name))
        return True

    def release(self, name: str) -> None:
        """Give a name back."""
        if self._locks is not None:
            with suppress(OSError):
                self._locks.release(_byte_of(name))


def _byte_of(name: str) -> int:
    """Return the byte of a lock file that stands for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
