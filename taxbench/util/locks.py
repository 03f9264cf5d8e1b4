"""Locks that the system frees when their holder ends, however it ends: bytes of a file that everyone can open."""

import fcntl
import hashlib
import os
import secrets
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_OF_OPEN_FILE: int | None = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
_OF_OPEN_FILE_WAITING: int = getattr(fcntl, "F_OFD_SETLKW", 0)
_PATIENCE = 0.1
"""Seconds between questions to a server for a lock that is waited for."""


class LockServer(Protocol):
    """What gives locks to the processes of a cluster, whose file system may give none, or to each machine its own."""

    def take(self, lock: str, holder: str) -> bool:
        """Give a lock to a holder that asks for it, and say whether it has it now."""

    def release(self, lock: str, holder: str) -> None:
        """Take a lock back from its holder."""


_server: LockServer | None = None


def take_locks_from(server: LockServer | None) -> None:
    """Have this process take all its locks from a server; None: from the file system, as usual."""
    global _server
    _server = server


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
        self._name, self._holder, self._held = str(path.resolve()), secrets.token_hex(8), set[int]()

    def take(self, byte: int, wait: bool = False) -> bool:
        """Take a byte, and say whether nobody else holds it.

        Raises:
            OSError: the file system gives no locks: NFS and Lustre as some clusters mount them.
        """
        if _server is not None:
            while not _server.take(f"{self._name} {byte}", self._holder):
                if not wait:
                    return False
                time.sleep(_PATIENCE)
            self._held.add(byte)
            return True
        try:
            self._lock(fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, byte: int) -> None:
        """Give a byte back."""
        if _server is None:
            self._lock(fcntl.LOCK_UN, byte)
        elif byte in self._held:
            self._held.remove(byte)
            _server.release(f"{self._name} {byte}", self._holder)

    def close(self) -> None:
        """Close the file, which gives every byte back."""
        for byte in list(self._held):
            self.release(byte)
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
