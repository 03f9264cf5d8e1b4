"""What an uninterrupted extraction gives, and comparing what lies in another cache with it, bit for bit."""

from pathlib import Path

import h5py
import numpy as np

from taxbench.features.store.index import read_table
from taxbench.features.store.layout import ABSENT, OK, block_digest, blocks_of
from taxbench.features.store.reader import FeatureTable, open_shard
from taxbench.features.store.writer import partial_path, shard_path
from taxbench.specs.feature_key import FeatureKey, Layout
from taxbench.util.errors import CacheError
from tests.faults.writer import Job, extract


class Truth:
    """A job's features, extracted without any fault into a cache of their own."""

    def __init__(self, job: Job, cache: Path) -> None:
        whole = job.elsewhere(cache)
        whole.begin()
        self.tables = extract(whole)
        self.ids = tuple(image.id for image in job.images)
        self.rows = [np.concatenate([part for _, part in _all_rows(table)]).view(np.uint16) for table in self.tables]
        self.status = [table.status for table in self.tables]
        self.files = [
            [shard_path(folder, shard).read_bytes() for shard in range(table.layout.shards)]
            for folder, table in zip(whole.folders, self.tables, strict=True)
        ]

    def wrong_rows(self, place: int, table: FeatureTable) -> int:
        """Count the rows that a table serves and that are not the true ones.

        Raises:
            CacheError: a block is damaged, and the table says so.
        """
        served = np.flatnonzero(table.status == OK)
        rows = table.take(served).view(np.uint16)
        if not np.array_equal(table.status, self.status[place]) or table.ids != self.ids:
            return len(table)
        return _differing(rows, self.rows[place][served])


def _all_rows(table: FeatureTable) -> list[tuple[slice, np.ndarray]]:
    """Read every row with plain h5py, those without features too."""
    found = []
    for shard, path in enumerate(table._paths):
        rows = table.layout.rows_of(shard)
        with h5py.File(path) as file:
            found.append((slice(rows.start, rows.stop), file["features"][...]))
    return found


def _differing(found: np.ndarray, true: np.ndarray) -> int:
    return int((found != true).reshape(len(true), -1).any(1).sum())


class Survey:
    """What lies in a job's cache: sealed shards, whole blocks of partial ones, and how it compares with the truth."""

    def __init__(self, job: Job, truth: Truth) -> None:
        self.job, self.truth = job, truth
        self.keys, self.folders, self.layouts = job.keys, job.folders, job.layouts
        size = self.layouts[0].block_rows
        self.span_rows = -(-job.batch // size) * size

    def tables(self) -> list[FeatureTable | None]:
        """Open every entry, as a reader would."""
        return [read_table(self.job.cache, key) for key in self.keys]

    def span_of(self, row: int) -> int:
        """Return the first row of the span that a row belongs to."""
        start = row // self.layouts[0].shard_rows * self.layouts[0].shard_rows
        return start + (row - start) // self.span_rows * self.span_rows

    def missing_spans(self) -> set[int]:
        """Return the first rows of the spans of which a block is missing in an entry, all of their shards' blocks."""
        found: set[int] = set()
        for key, folder, layout in zip(self.keys, self.folders, self.layouts, strict=True):
            for shard in range(layout.shards):
                if shard_path(folder, shard).is_file():
                    continue
                first = layout.rows_of(shard).start
                absent = np.flatnonzero(~whole_blocks(partial_path(folder, shard), key, layout, shard))
                found |= {self.span_of(first + int(block) * layout.block_rows) for block in absent}
        return found

    def wrong(self) -> tuple[int, int, list[str]]:
        """Compare sealed shards byte for byte, and whole blocks of partial ones row for row.

        Returns:
            Rows compared, rows that are wrong, and in words what is wrong.
        """
        compared, wrong = 0, 0
        problems: list[str] = []
        for place, (key, folder, layout) in enumerate(zip(self.keys, self.folders, self.layouts, strict=True)):
            for shard in range(layout.shards):
                rows = layout.rows_of(shard)
                true = self.truth.rows[place][rows.start : rows.stop]
                path = shard_path(folder, shard)
                if path.is_file():
                    n, bad, words = self._sealed(path, true, self.truth.files[place][shard])
                else:
                    n, bad, words = self._partial(partial_path(folder, shard), (key, layout, shard), true)
                compared, wrong, problems = compared + n, wrong + bad, problems + words
        return compared, wrong, problems

    def _sealed(self, path: Path, true: np.ndarray, true_bytes: bytes) -> tuple[int, int, list[str]]:
        try:
            open_shard(path)
        except CacheError as error:
            return 0, 0, [str(error)]
        with h5py.File(path) as file:
            bad = _differing(file["features"][...].view(np.uint16), true)
        differs = path.read_bytes() != true_bytes
        return len(true), bad, [f"'{path}' differs from an uninterrupted one"] if differs else []

    def _partial(
        self, path: Path, where: tuple[FeatureKey, Layout, int], true: np.ndarray
    ) -> tuple[int, int, list[str]]:
        key, layout, shard = where
        whole = np.repeat(whole_blocks(path, key, layout, shard), layout.block_rows)[: len(true)]
        if not whole.any():
            return 0, 0, []
        with h5py.File(path) as file:
            bad = _differing(file["features"][...].view(np.uint16)[whole], true[whole])
        return int(whole.sum()), bad, [f"'{path}' keeps {bad} wrong rows"] if bad else []


def whole_blocks(path: Path, key: FeatureKey, layout: Layout, shard: int) -> np.ndarray:
    """Say which blocks of a shard that is being filled are whole, read with plain h5py.  # (blocks,) bool"""
    whole = np.zeros(blocks_of(layout, shard), bool)
    try:
        with h5py.File(path) as file:
            features, status, digests = (file[name][...] for name in ("features", "status", "block_digests"))
            file.attrs["header"]
    except (OSError, KeyError):
        return whole  # stopped before the file was begun
    first = layout.rows_of(shard).start // layout.block_rows
    for block in range(len(whole)):
        rows = slice(block * layout.block_rows, (block + 1) * layout.block_rows)
        if digests[block] and (status[rows] != ABSENT).all():
            found = block_digest(key.digest, first + block, features[rows].data.cast("B"), status[rows].data)
            whole[block] = found == digests[block]
    return whole
