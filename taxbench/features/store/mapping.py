"""Map the rows of several files as one array: one behind the other in the address space where the system allows it."""

import ctypes
import mmap
import os
import sys
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxbench.features.store.layout import HUGE_PAGE

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
        joined = np.frombuffer(memoryview(_stitch(extents, sizes)).toreadonly(), dtype)
        return [_read_only(joined.reshape(-1, *row))]
    parts = [_single(extent, size, dtype) for extent, size in zip(extents, sizes, strict=True)]
    return [_read_only(part.reshape(-1, *row)) for part in parts]


def _single(extent: Extent, size: int, dtype: np.dtype[np.generic]) -> np.ndarray:
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


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
