"""Where rows lie: the geometry of an entry, the digests of its parts, and the empty shard that a writer fills.

The format is specified in cache/README.md; this file and `reader.py` implement it.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import xxhash

from taxbench.specs.feature_key import FeatureKey, Layout, ShardHeader, StorageDtype
from taxbench.specs.spec import canonical_json, identity_of

# What a row's byte in `status` says.
ABSENT, OK, UNDECODABLE, NOT_FINITE = 0, 1, 2, 3

PAGE = 4096
HUGE_PAGE = 2 << 20
_HUGE_FROM = 64 << 20  # rows of this size or more start on a huge page, so that the system can map them by such
_BLOCK_BYTES = 1 << 19  # the most that is hashed when one row is read for the first time
_BLOCK_ROWS = 64  # a batch of the encoder covers whole blocks
_SHARD_BYTES = 256 << 20
_MOST_SHARD_BYTES = (
    1 << 30
)  # rows of odd sizes whose shards would have to be larger to fill pages are mapped one by one
_SHARD_ROWS = 1024
_SHARDS = 16  # enough for several processes to share the work, few enough to open quickly


@dataclass(frozen=True, slots=True)
class TokenShape:
    """Tokens an image, and their width."""

    t: int
    f: int


def plan_layout(n: int, shape: TokenShape, dtype: StorageDtype, beside: Sequence[TokenShape] = ()) -> Layout:
    """Return the geometry of an entry.

    Blocks are powers of two up to 64 rows and 512 KB. Shards hold a sixteenth of the rows, at least 1,024 and at most
    256 MB, and fill whole pages where they can, so that shards can be mapped one behind the other.

    Args:
        n: Images.
        shape: Of one image's features.
        beside: Shapes of features that are extracted in the same pass and share the geometry.
    """
    sizes = [each.t * each.f * 2 for each in (shape, *beside)]
    largest = max(sizes)
    block_rows = _BLOCK_ROWS
    while block_rows > 1 and block_rows * largest > _BLOCK_BYTES:
        block_rows //= 2
    unit = math.lcm(_BLOCK_ROWS, *(PAGE // math.gcd(PAGE, size) for size in sizes))
    if unit * largest > _MOST_SHARD_BYTES:
        unit = _BLOCK_ROWS
    wanted = min(max(_SHARD_ROWS, -(-n // _SHARDS)), max(1, _SHARD_BYTES // largest))
    shard_rows = max(1, round(wanted / unit)) * unit
    return Layout(n=n, t=shape.t, f=shape.f, dtype=dtype, block_rows=block_rows, shard_rows=shard_rows)


def blocks_of(layout: Layout, shard: int) -> int:
    """Return the number of blocks in a shard."""
    return -(-len(layout.rows_of(shard)) // layout.block_rows)


def storage_numpy(dtype: StorageDtype) -> np.dtype[np.generic]:
    """Return the type on disk; bfloat16, which numpy lacks, is kept as the 16 bits it is."""
    return np.dtype("<f2" if dtype == "float16" else "<u2")


def block_digest(key_digest: str, block: int, features: memoryview, status: memoryview) -> int:
    """Digest a block: XXH3-64 over features and status, seeded with the entry and the block's number in it.

    The seed makes a block that was swapped with another, or came from another entry, fail. Zero means absent.
    """
    state = xxhash.xxh3_64(features, seed=xxhash.xxh3_64_intdigest(f"{key_digest}/{block}".encode()))
    state.update(status)
    return state.intdigest() or 1


def seal_digest(header: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Digest header, ids, contents, status and block digests, in this order: XXH3-128, big-endian.  # (16,) uint8"""
    state = xxhash.xxh3_128(header.encode())
    for array in arrays:
        state.update(np.ascontiguousarray(array).view(np.uint8).data)
    return np.frombuffer(state.digest(), np.uint8)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """An HDF5 file without its rows: what to write where, and where the rows go."""

    header: str
    ids: np.ndarray  # (r,) S
    contents: np.ndarray  # (r,) S
    parts: tuple[tuple[int, bytes], ...]  # (offset, bytes) of everything that is fixed
    offsets: dict[str, int]  # of features, status, block_digests, seal
    size: int


def make_skeleton(key: FeatureKey, layout: Layout, shard: int, rows: Sequence[tuple[str, str]]) -> Skeleton:
    """Lay out one shard.

    HDF5 writes into memory here and never to the disk: on a full disk the library may crash or write zeros silently.
    All its metadata is written once; rows, status and digests then go to fixed offsets.

    Args:
        rows: Image id and content digest of every row of the shard.
    """
    header = canonical_json(identity_of(ShardHeader(key=key, layout=layout, shard=shard)))
    ids, contents = (np.array([row[i].encode() for row in rows], dtype=bytes) for i in (0, 1))
    n = len(rows)
    memory = _Memory()
    large = n * layout.row_bytes >= _HUGE_FROM
    # HDF5 aligns whatever is as large as the threshold: everything to a page, or the rows alone to a huge page.
    threshold, interval = (_HUGE_FROM, HUGE_PAGE) if large else (1, PAGE)
    with h5py.File(memory, "w", libver="v110", alignment_threshold=threshold, alignment_interval=interval) as file:
        file.attrs["header"] = header
        for name, texts in (("ids", ids), ("contents", contents)):
            utf8 = h5py.string_dtype("utf-8", texts.dtype.itemsize)
            file.create_dataset(name, data=texts.astype(utf8), dtype=utf8)
        offsets = {
            "status": _reserve(file, "status", (n,), np.dtype("u1")),
            "block_digests": _reserve(file, "block_digests", (blocks_of(layout, shard),), np.dtype("<u8")),
            "seal": _reserve(file, "seal", (16,), np.dtype("u1")),
            "features": _reserve(file, "features", (n, layout.t, layout.f), storage_numpy(layout.dtype)),
        }
    return Skeleton(header, ids, contents, memory.parts(), offsets, memory.size)


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Add a contiguous dataset whose bytes are allocated and not written; return where they start."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_obj_track_times(False)
    space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(dtype, logical=True)
    return int(h5py.h5d.create(file.id, name.encode(), kind, space, plist).get_offset())


class _Memory(io.RawIOBase):
    """A file that keeps what is written and has holes elsewhere: what h5py needs of a file object, and no more."""

    def __init__(self) -> None:
        self.size = 0
        self._position = 0
        self._written: list[tuple[int, bytes]] = []

    def parts(self) -> tuple[tuple[int, bytes], ...]:
        """Return what was written and not written over: HDF5 writes its superblock, 48 bytes, twice."""
        return tuple(dict(self._written).items())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start or the end."""
        self._position = offset + (self.size if whence == io.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        """Return the position in the file in memory."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Refuse: nothing was written where HDF5 could want to read."""
        raise io.UnsupportedOperation("an empty shard is only written")

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Keep bytes."""
        self._written.append((self._position, bytes(data)))
        self._position += len(data)
        self.size = max(self.size, self._position)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the size; what is beyond what was written is a hole."""
        self.size = self._position if size is None else size
        return self.size

    def flush(self) -> None:
        """Do nothing: the file that HDF5 writes is in memory, not on disk."""
