"""Read an entry: right rows or an error, never wrong rows, at the speed of memory.

The shards are mapped as one array, one behind the other in the address space where the system allows it."""

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from pydantic import ValidationError

from taxbench.features.store.layout import HUGE_PAGE, OK, block_digest, seal_digest, storage_numpy
from taxbench.features.store.writer import shard_path
from taxbench.specs.feature_key import Layout, Manifest, ShardHeader
from taxbench.util.errors import CacheError, first_line

_MAP_FIXED = 0x10  # the same on Linux and macOS
_FAILED = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of rows inside a file."""

    path: Path
    offset: int
    rows: int


def map_extents(extents: list[Extent], row: tuple[int, ...], dtype: np.dtype[np.generic]) -> list[np.ndarray]:
    """Return read-only arrays over the extents: a single one where they can be stitched, else one for each.

    Nothing is copied, and no file stays open. The memory is given back when the last array is.

    Args:
        row: Shape of one row.
    """
    row_bytes = int(np.prod(row)) * dtype.itemsize
    sizes = [extent.rows * row_bytes for extent in extents]
    page = mmap.ALLOCATIONGRANULARITY
    aligned = all(extent.offset % page == 0 for extent in extents) and all(size % page == 0 for size in sizes[:-1])
    if len(extents) > 1 and aligned and sys.platform in ("linux", "darwin"):
        # `frombuffer` honours what a memoryview forbids; a write would end the process.
        parts = [np.frombuffer(memoryview(_stitch(extents, sizes)).toreadonly(), dtype)]
    else:
        parts = [_single(extent, size, dtype) for extent, size in zip(extents, sizes, strict=True)]
    parts = [part.reshape(-1, *row) for part in parts]
    for part in parts:
        part.setflags(write=False)
    return parts


def _single(extent: Extent, size: int, dtype: np.dtype[np.generic]) -> np.ndarray:
    """Map the rows of one extent of a shard's file into memory, read-only."""
    skip = extent.offset % mmap.ALLOCATIONGRANULARITY
    with extent.path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), size + skip, access=mmap.ACCESS_READ, offset=extent.offset - skip)
    return np.ndarray(size // dtype.itemsize, dtype, buffer=mapped, offset=skip)


def _stitch(extents: list[Extent], sizes: list[int]) -> "ctypes.Array[ctypes.c_char]":
    """Reserve one range of addresses and map each extent into its place in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    total = sum(sizes)
    reserved = total + HUGE_PAGE
    base = libc.mmap(None, reserved, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANON, -1, 0)
    if base in (None, _FAILED):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    place = -(-base // HUGE_PAGE) * HUGE_PAGE  # where a file is cached in huge pages, it is then mapped by them
    whole = (ctypes.c_char * total).from_address(place)
    weakref.finalize(whole, libc.munmap, base, reserved)
    for extent, size in zip(extents, sizes, strict=True):
        with extent.path.open("rb") as file:
            flags = mmap.MAP_SHARED | _MAP_FIXED
            found = libc.mmap(place, size, mmap.PROT_READ, flags, file.fileno(), extent.offset)
        if found in (None, _FAILED):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(extent.path))
        place += size
    return whole


if TYPE_CHECKING:
    import torch

# Rows that are converted or reduced at once when a whole table passes through.
_PASS_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Shard:
    """A sealed shard whose seal was checked: all of it but the rows."""

    path: Path
    header: ShardHeader
    ids: np.ndarray  # (r,) S
    contents: np.ndarray  # (r,) S
    status: np.ndarray  # (r,) uint8
    block_digests: np.ndarray  # (blocks,) uint64
    offset: int  # of the first row, in bytes


def open_shard(path: Path) -> Shard:
    """Read a sealed shard but its rows, check its seal, and close it: no HDF5 object lives on, so forks are safe.

    Raises:
        CacheError: it is truncated, was altered, or is no shard of this format.
    """
    try:
        with h5py.File(path, "r") as file:
            text = str(file.attrs["header"])
            arrays = [file[name][...] for name in ("ids", "contents", "status", "block_digests")]
            sealed = (file["seal"][...] == seal_digest(text, arrays)).all()
            offset, end = int(file["features"].id.get_offset()), path.stat().st_size
            header = ShardHeader.model_validate_json(text)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, ValidationError) as error:
        raise CacheError(f"The shard '{path}' is broken or truncated ({first_line(error)}). {mend(path)}") from None
    rows = len(header.layout.rows_of(header.shard))
    if not sealed or len(arrays[2]) != rows or offset + rows * header.layout.row_bytes > end:
        raise CacheError(f"The shard '{path}' does not match its seal: its bytes were altered. {mend(path)}")
    ids, contents, status, digests = arrays
    return Shard(path, header, ids, contents, status, digests, offset)


def mend(path: Path) -> str:
    """Say what to type about a broken shard."""
    return f"Remove it and run again; only this shard is extracted anew: rm '{path}'"


class FeatureTable:
    """The features of a dataset's images, in the dataset's order, over all shards of an entry.

    The seal of every shard is checked when the table is opened, and every block the first time that one of its rows is
    read.
    """

    def __init__(self, manifest: Manifest, shards: list[Shard]) -> None:
        self.key, self.manifest, self.layout = manifest.key, manifest, manifest.layout
        self.ids = tuple(name.decode() for shard in shards for name in shard.ids)
        self.contents = np.concatenate([shard.contents for shard in shards])  # (n,) S
        self.status = np.concatenate([shard.status for shard in shards])  # (n,)
        self._paths = [shard.path for shard in shards]
        self._digests = np.concatenate([shard.block_digests for shard in shards])
        extents = [Extent(shard.path, shard.offset, len(shard.ids)) for shard in shards]
        self._parts = map_extents(extents, self.row_shape, storage_numpy(self.layout.dtype))
        # Rows of every part but the last: shards that were stitched are one part.
        self._part_rows = self.layout.n if len(self._parts) == 1 else self.layout.shard_rows
        self._key_digest = self.key.digest
        self._unchecked = np.ones(self.blocks, bool)
        self._all_ok = bool((self.status == OK).all())
        self._to_check = True  # whether a row read could be of an unchecked block or without features

    def __len__(self) -> int:
        return self.layout.n

    @property
    def row_shape(self) -> tuple[int, int]:
        """Return the shape of one row of the table, (t, f)."""
        return self.layout.t, self.layout.f

    @property
    def blocks(self) -> int:
        """Return the number of blocks in the table."""
        return len(self._digests)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all rows of the table."""
        return self.layout.n * self.layout.row_bytes

    def take(self, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Copy rows out of the table of features.

        Args:
            indices: Rows, in any order, with repetitions.  # (b,)
            out: Where they go; must have the storage type.  # (b, t, f)

        Returns:
            Rows in the storage type; bfloat16 as its 16 bits in uint16.  # (b, t, f)

        Raises:
            CacheError: a block's bytes were altered, or a row's image has no features.
        """
        indices = np.ascontiguousarray(indices, dtype=np.int64)
        # Negative numbers are huge as unsigned ones.
        if len(indices) and indices.view(np.uint64).max() >= self.layout.n:
            raise IndexError(f"Rows are 0 to {len(self) - 1}; asked for {indices.min()} to {indices.max()}.")
        if self._to_check:
            self._check(indices)
        if out is None:
            out = np.empty((len(indices), *self.row_shape), storage_numpy(self.layout.dtype))
        if len(self._parts) == 1:
            # Indices were checked; with mode="raise" numpy would copy through a buffer.
            return np.take(self._parts[0], indices, axis=0, out=out, mode="clip")
        owner = indices // self._part_rows
        for part in np.unique(owner):
            mine = owner == part
            out[mine] = self._parts[part][indices[mine] - part * self._part_rows]
        return out

    def passes(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield all rows in order, a stretch at a time, without copying.  # slice of n, (r, t, f)"""
        for number, part in enumerate(self._parts):
            first = number * self._part_rows
            step = max(1, _PASS_BYTES // self.layout.row_bytes)
            for start in range(0, len(part), step):
                stop = min(len(part), start + step)
                if self._to_check:
                    self._check(np.arange(first + start, first + stop))
                yield slice(first + start, first + stop), part[start:stop]

    def pooled(self) -> np.ndarray:
        """Return the mean over tokens of every image.  # (n, f) float32"""
        found = np.empty((self.layout.n, self.layout.f), np.float32)
        for rows, features in self.passes():
            found[rows] = as_float(features, self.layout).mean(1)
        return found

    def as_tensor(self, device: "torch.device | str" = "cpu") -> "torch.Tensor":
        """Return all rows as a tensor of the storage type; every block is checked.  # (n, t, f)

        Raises:
            CacheError: they do not fit into the device's free memory, or a block is bad.
        """
        import torch

        if not self.fits(device):
            raise CacheError(
                f"{self.nbytes / 2**30:.1f} GB of features do not fit into the free memory of '{device}'. "
                "Read them by rows (take), export them as .npy, or extract pooled features."
            )
        whole = torch.empty((self.layout.n, *self.row_shape), dtype=getattr(torch, self.layout.dtype), device=device)
        for rows, features in self.passes():
            whole[rows] = torch.from_numpy(features.copy()).view(whole.dtype).to(device)
        return whole

    def fits(self, device: "torch.device | str" = "cpu") -> bool:
        """Say whether all rows fit into half of the device's free memory."""
        return self.nbytes <= free_memory(device) // 2

    def check_all(self) -> list[str]:
        """Check every block; return what is wrong, one text for each bad block."""
        return list(filter(None, map(self._problem, range(self.blocks))))

    def _check(self, indices: np.ndarray) -> None:
        """Check the blocks of rows about to be read that were not checked before, and that the rows have features."""
        if not self._all_ok and (self.status[indices] != OK).any():
            bad = indices[self.status[indices] != OK]
            raise CacheError(f"{len(bad)} of the rows read have no features, first: image '{self.ids[bad[0]]}'.")
        blocks = np.unique(indices // self.layout.block_rows)
        for block in blocks[self._unchecked[blocks]]:
            if problem := self._problem(int(block)):
                raise CacheError(problem)
            self._unchecked[block] = False
        self._to_check = not self._all_ok or bool(self._unchecked.any())

    def _problem(self, block: int) -> str | None:
        """Say how a block that is read differs from its digest; None where it does not."""
        rows = slice(block * self.layout.block_rows, min(self.layout.n, (block + 1) * self.layout.block_rows))
        part, first = divmod(rows.start, self._part_rows)
        data, status = self._parts[part][first : first + rows.stop - rows.start], self.status[rows]
        digest = block_digest(self._key_digest, block, data.data.cast("B"), status.data)
        if digest == self._digests[block]:
            return None
        path = self._paths[rows.start // self.layout.shard_rows]
        return (
            f"The shard '{path}', block {block} (rows {rows.start} to {rows.stop - 1}) does not match its digest: its "
            f"bytes were altered. {mend(path)}"
        )


def open_table(folder: Path, manifest: Manifest) -> FeatureTable | None:
    """Return the table of an entry's folder, or None while shards are missing.

    Raises:
        CacheError: a shard is broken or belongs to another entry.
    """
    layout = manifest.layout
    paths = [shard_path(folder, shard) for shard in range(layout.shards)]
    if not all(path.is_file() for path in paths):
        return None
    shards = [open_shard(path) for path in paths]
    for number, shard in enumerate(shards):
        if (shard.header.key, shard.header.shard) != (manifest.key, number):
            raise CacheError(
                f"The shard '{shard.path}' belongs to another place: entry {shard.header.key.digest}, shard "
                f"{shard.header.shard}. {mend(shard.path)}"
            )
        if shard.header.layout != layout:
            manifest_path = folder / "manifest.json"
            raise CacheError(
                f"The shard '{shard.path}' has another layout than '{manifest_path}' says. {mend(shard.path)}"
            )
    return FeatureTable(manifest, shards)


def as_float(rows: np.ndarray, layout: Layout) -> np.ndarray:
    """Return stored rows as float32."""
    if layout.dtype == "bfloat16":
        return (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float32)


def free_memory(device: "torch.device | str" = "cpu") -> int:
    """Return the bytes of a device's memory that are free."""
    import torch

    kind = torch.device(device)
    return int(torch.cuda.mem_get_info(kind)[0]) if kind.type == "cuda" else _available_memory()


def _available_memory() -> int:
    """Return the bytes that can be had without swapping; where the system does not say, half of all memory."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE // 2
