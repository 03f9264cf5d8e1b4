"""Fill one shard: block by block, so that a kill at any moment costs the blocks in flight and nothing else.

A lock byte for each shard says which process may fill it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from taxbench.features.store.layout import ABSENT, Skeleton, block_digest, blocks_of, make_skeleton, seal_digest
from taxbench.specs.feature_key import FeatureKey, Layout, Manifest
from taxbench.util.errors import CacheError, unwritable
from taxbench.util.locks import ByteLocks
from taxbench.util.paths import sync_folder

# Past any shard: held while the manifest is written.
_MANIFEST = 1 << 30


class EntryLock:
    """The lock file of an entry, byte i for shard i.

    Raises:
        CacheError: the folder cannot be written, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._bytes = ByteLocks(folder / "lock")
        except OSError as error:
            said = f"The cache folder '{folder}' cannot be written ({error.strerror}). Choose another with --cache DIR."
            raise unwritable(error, said) from None

    def try_shard(self, shard: int, wait: bool = False) -> bool:
        """Take a shard's byte, and say whether no other process holds it."""
        try:
            return self._bytes.take(shard, wait)
        except OSError as error:  # ENOLCK, ENOSYS or EOPNOTSUPP
            raise CacheError(
                f"The file system of '{self._folder}' gives no locks ({error.strerror}), and without them two "
                "processes spoil each other's features. Put the cache on a local disk: --cache DIR."
            ) from None

    def release_shard(self, shard: int) -> None:
        """Give a shard's byte back."""
        self._bytes.release(shard)

    @contextmanager
    def manifest(self) -> Iterator[None]:
        """Hold the manifest's byte, waiting for it."""
        self.try_shard(_MANIFEST, wait=True)
        try:
            yield
        finally:
            self.release_shard(_MANIFEST)

    def close(self) -> None:
        """Close the entry's lock file, which gives every byte back."""
        self._bytes.close()


def shard_path(folder: Path, shard: int) -> Path:
    """Return the sealed file of a shard."""
    return folder / f"shard-{shard:05d}.h5"


def partial_path(folder: Path, shard: int) -> Path:
    """Return the file of a shard while it is being filled."""
    return folder / f"shard-{shard:05d}.h5.partial"


class ShardWriter:
    """A shard being filled. The caller holds the shard's lock byte, so it is the only writer.

    A partial file left by an earlier process is taken up if all its fixed bytes are as they must be: then every block
    whose digest is right is kept. Otherwise it is begun anew.

    Raises:
        CacheError: the disk refuses or is full; what was written before stays and is taken up next time.
    """

    def __init__(self, folder: Path, key: FeatureKey, layout: Layout, shard: int, skeleton: Skeleton) -> None:
        self._final, self._path = shard_path(folder, shard), partial_path(folder, shard)
        self._layout, self._skeleton = layout, skeleton
        self._key_digest = key.digest
        self._rows = len(layout.rows_of(shard))
        self._first_block = layout.rows_of(shard).start // layout.block_rows
        with self._reporting():
            # Owned by a file object, so that an abandoned writer closes it.
            self._file = os.fdopen(
                os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b", buffering=0
            )
            self._fd = self._file.fileno()
            if not self._is_ours():
                self._begin()
        self._present = np.array([self._is_whole(block) for block in range(blocks_of(layout, shard))])

    def missing_rows(self) -> np.ndarray:
        """Say which rows of the shard have yet to be written.  # (r,) bool"""
        return ~np.repeat(self._present, self._layout.block_rows)[: self._rows]

    def write(self, first: int, features: np.ndarray, status: np.ndarray) -> None:
        """Write rows: features, then status, then the digests that make them count.

        Args:
            first: Row within the shard at which a block starts.
            features: In the storage type; whole blocks, or up to the shard's end.  # (r, t, f)
            status: One of OK, UNDECODABLE, NOT_FINITE for each row.  # (r,) uint8
        """
        size, row_bytes = self._layout.block_rows, self._layout.row_bytes
        first_block = first // size
        data, state = features.data.cast("B"), status.data
        blocks = [slice(start, start + size) for start in range(0, len(status), size)]
        digests = np.empty(len(blocks), "<u8")
        for i, rows in enumerate(blocks):
            part = data[rows.start * row_bytes : rows.stop * row_bytes]
            digests[i] = block_digest(self._key_digest, self._first_block + first_block + i, part, state[rows])
        with self._reporting():
            offsets = self._skeleton.offsets
            _write_all(self._fd, data, offsets["features"] + first * row_bytes)
            _write_all(self._fd, state, offsets["status"] + first)
            _write_all(self._fd, digests.data.cast("B"), offsets["block_digests"] + 8 * first_block)
        self._present[first_block : first_block + len(digests)] = True

    def seal(self) -> None:
        """Read every block back, write the seal, sync, and move the shard to its final name."""
        damaged = [block for block in range(len(self._present)) if not self._is_whole(block)]
        if damaged:
            raise CacheError(
                f"'{self._path}', block {damaged[0]}: what was read back is not what was written. Check the disk; the "
                "same command goes on from there."
            )
        status, digests = self._read("u1", "status", self._rows), self._read("<u8", "block_digests", len(self._present))
        arrays = (self._skeleton.ids, self._skeleton.contents, status, digests)
        with self._reporting():
            _write_all(self._fd, seal_digest(self._skeleton.header, arrays).data, self._skeleton.offsets["seal"])
            os.fsync(self._fd)
            self._path.replace(self._final)
            sync_folder(self._final.parent)
        self.close()

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        self._file.close()

    def _is_ours(self) -> bool:
        """Say whether every fixed byte of the file is in its place."""
        if os.fstat(self._fd).st_size != self._skeleton.size:
            return False
        return all(os.pread(self._fd, len(data), offset) == data for offset, data in self._skeleton.parts)

    def _begin(self) -> None:
        """Allocate the whole file, so that a full disk shows now, and write what is fixed."""
        os.ftruncate(self._fd, 0)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._fd, 0, self._skeleton.size)
        else:
            os.ftruncate(self._fd, self._skeleton.size)
        for offset, data in self._skeleton.parts:
            _write_all(self._fd, memoryview(data), offset)

    def _is_whole(self, block: int) -> bool:
        """Tell whether a block of the shard is wholly written: no row absent, its digest right."""
        first = block * self._layout.block_rows
        rows = min(self._layout.block_rows, self._rows - first)
        stored = self._read("<u8", "block_digests", 1, 8 * block)[0]
        status = self._read("u1", "status", rows, first)
        if stored == 0 or (status == ABSENT).any():
            return False
        row_bytes = self._layout.row_bytes
        data = os.pread(self._fd, rows * row_bytes, self._skeleton.offsets["features"] + first * row_bytes)
        digest = block_digest(self._key_digest, self._first_block + block, memoryview(data), status.data)
        return bool(digest == stored)

    def _read(self, dtype: str, name: str, count: int, skip: int = 0) -> np.ndarray:
        """Read numbers of one of the shard's arrays back from its file."""
        size = count * np.dtype(dtype).itemsize
        return np.frombuffer(os.pread(self._fd, size, self._skeleton.offsets[name] + skip), dtype)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Raise CacheError that says what to do where the shard cannot be written in the block."""
        try:
            yield
        except OSError as error:
            raise unwritable(
                error,
                f"'{self._path}' cannot be written ({error.strerror or error}; the shard takes "
                f"{self._skeleton.size / 2**20:.1f} MB). What was extracted so far is kept: make room, or choose "
                "another folder with --cache DIR, and run the same command again.",
            ) from None


def begin_shard(folder: Path, manifest: Manifest, shard: int, rows: Sequence[tuple[str, str]]) -> ShardWriter:
    """Return the writer of one shard of an entry; see `make_skeleton` for the rows."""
    skeleton = make_skeleton(manifest.key, manifest.layout, shard, rows)
    return ShardWriter(folder, manifest.key, manifest.layout, shard, skeleton)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write every byte: the system may take fewer at once."""
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written
