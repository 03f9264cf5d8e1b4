"""Keys, layouts and entries for the store's tests, written by the store's own writer."""

from pathlib import Path

import numpy as np

from taxbench.features.store.index import begin_entry, entry_folder, read_table
from taxbench.features.store.layout import OK, Skeleton, make_skeleton
from taxbench.features.store.reader import FeatureTable
from taxbench.features.store.writer import ShardWriter
from taxbench.specs.feature_key import Encoded, FeatureKey, FeatureReadout, Layout, Origin, Preprocessing, StorageDtype

PREPROCESSING = Preprocessing(
    height=224, width=224, resample="bicubic", rescale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)
SOURCE = Encoded(
    encoder_digest="abc",
    reading=FeatureReadout(tower="", pool="tokens", pooled=None, prefix_tokens=1),
    preprocessing=PREPROCESSING,
    decoder="pillow 11",
    compute_dtype="float32",
)
# Rows of one page, so that shards can be stitched; five shards, the last one short, as is its last block.
PAGED = Layout(n=140, t=2, f=1024, dtype="float16", block_rows=8, shard_rows=32)
# Rows of 30 bytes: shards end in the middle of a page.
RAGGED = Layout(n=140, t=3, f=5, dtype="float16", block_rows=8, shard_rows=32)


def key_of(layout: Layout, images_digest: str = "def") -> FeatureKey:
    """Return a key that fits a layout."""
    return FeatureKey(source=SOURCE, storage_dtype=layout.dtype, images_digest=images_digest, n_images=layout.n)


def as_type(layout: Layout, dtype: StorageDtype) -> Layout:
    """Return the layout with another storage type."""
    return layout.model_copy(update={"dtype": dtype})


def make_rows(layout: Layout, seed: int = 0) -> np.ndarray:
    """Return finite random rows in the storage type.  # (n, t, f)"""
    values = np.random.default_rng(seed).normal(size=(layout.n, layout.t, layout.f)).astype(np.float32)
    return values.astype(np.float16) if layout.dtype == "float16" else (values.view(np.uint32) >> 16).astype(np.uint16)


def names_of(layout: Layout, shard: int) -> list[tuple[str, str]]:
    """Return image ids and content digests of a shard; not all ids are ASCII."""
    return [(f"crow/bïrd{row}.png", f"{row:032x}") for row in layout.rows_of(shard)]


def skeleton_of(key: FeatureKey, layout: Layout, shard: int) -> Skeleton:
    """Return the fixed part of a shard."""
    return make_skeleton(key, layout, shard, names_of(layout, shard))


def writer_of(folder: Path, layout: Layout, shard: int, key: FeatureKey | None = None) -> ShardWriter:
    """Take up a shard in a folder, as a process that holds its lock byte does."""
    key = key or key_of(layout)
    return ShardWriter(folder, key, layout, shard, skeleton_of(key, layout, shard))


def fill(writer: ShardWriter, layout: Layout, shard: int, rows: np.ndarray, status: np.ndarray | None = None) -> None:
    """Write all blocks of a shard, one by one."""
    status = np.full(layout.n, OK, np.uint8) if status is None else status
    mine = layout.rows_of(shard)
    for first in range(mine.start, mine.stop, layout.block_rows):
        block = slice(first, min(mine.stop, first + layout.block_rows))
        writer.write(first - mine.start, rows[block], status[block])


def write_entry(
    cache: Path,
    layout: Layout,
    key: FeatureKey | None = None,
    rows: np.ndarray | None = None,
    status: np.ndarray | None = None,
) -> Path:
    """Write a whole entry and return its folder."""
    key = key or key_of(layout)
    begin_entry(cache, key, layout, Origin(dataset="folder:photos", encoder="dinov3"))
    folder = entry_folder(cache, key)
    for shard in range(layout.shards):
        writer = writer_of(folder, layout, shard, key)
        fill(writer, layout, shard, make_rows(layout) if rows is None else rows, status)
        writer.seal()
    return folder


def open_made(cache: Path, layout: Layout, key: FeatureKey | None = None) -> FeatureTable:
    """Return the table of an entry that `write_entry` wrote."""
    table = read_table(cache, key or key_of(layout))
    assert table is not None
    return table
