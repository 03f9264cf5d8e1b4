"""One lock byte per shard: which process may fill which shard."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxbench.util.errors import CacheError

# Past any shard: held while the manifest is written.
_MANIFEST = 1 << 30


class EntryLock:
    """The lock file of an entry, byte i for shard i.

    The system frees a byte when its holder ends, however it ends. The locks are those of POSIX, which belong to a
    process: they keep processes apart, not the threads of one.

    Raises:
        CacheError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise CacheError(
                f"The cache folder '{folder}' cannot be written ({error.strerror}). Choose another with --cache DIR."
            ) from None

    def try_shard(self, shard: int) -> bool:
        """Take a shard's byte if no other process holds it."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, shard)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release_shard(self, shard: int) -> None:
        """Give a shard's byte back."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, shard)

    @contextmanager
    def manifest(self) -> Iterator[None]:
        """Hold the manifest's byte, waiting for it."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, _MANIFEST)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _MANIFEST)

    def close(self) -> None:
        """Give every byte back."""
        os.close(self._fd)
