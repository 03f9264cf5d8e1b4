"""The entries of a cache folder: one folder for each key, with a manifest and its shards; and rows that others have."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from taxbench.features.store.layout import NOT_FINITE, OK, UNDECODABLE
from taxbench.features.store.reader import FeatureTable, open_shard, open_table
from taxbench.features.store.writer import EntryLock, partial_path, shard_path
from taxbench.specs.feature_key import IMPORTED, EntryInfo, FeatureKey, Layout, Manifest, Origin
from taxbench.util.errors import CacheError, UsageError
from taxbench.util.paths import replacing

_FOLDER = "features"


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What stands in one entry's folder."""

    folder: Path
    manifest: Manifest

    @property
    def sealed(self) -> int:
        """Return the number of shards that are whole."""
        return sum(shard_path(self.folder, shard).is_file() for shard in range(self.manifest.layout.shards))

    @property
    def size(self) -> int:
        """Return the bytes that the entry takes on disk."""
        return _size(self.folder)

    @property
    def name(self) -> str:
        """Return what made the entry's features, in a word."""
        source = self.manifest.key.source
        return f"{IMPORTED}{source.name}" if source.kind == "imported" else self.manifest.origin.encoder

    @property
    def complete(self) -> bool:
        """Say whether every shard of the entry is sealed."""
        return self.sealed == self.manifest.layout.shards


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something in the cache that no run can use, and why."""

    path: Path
    reason: str
    size: int


def entry_folder(cache: Path, key: FeatureKey) -> Path:
    """Return the folder that holds, or would hold, the features of a key."""
    return cache / _FOLDER / key.digest


def read_manifest(folder: Path) -> Manifest | None:
    """Return an entry's manifest, or None where there is no entry.

    Raises:
        CacheError: the manifest is broken, or of another key than the folder's name says.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    mend_manifest = f"Remove it and run again; the shards are kept: rm '{path}'"
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise CacheError(f"'{path}' is broken ({first}). {mend_manifest}") from None
    if manifest.key.digest != folder.name:
        raise CacheError(f"'{path}' describes the entry {manifest.key.digest}. Remove this one: rm -r '{folder}'")
    layout, key = manifest.layout, manifest.key
    if (layout.n, layout.dtype) != (key.n_images, key.storage_dtype) or not layout.possible:
        raise CacheError(f"'{path}' is broken (its layout cannot be). {mend_manifest}")
    return manifest


def begin_entry(cache: Path, key: FeatureKey, layout: Layout, origin: Origin) -> Manifest:
    """Return the entry's manifest, writing it if no process has done so before; the layout there wins.

    Raises:
        CacheError: the folder cannot be written.
    """
    folder = entry_folder(cache, key)
    with closing(EntryLock(folder)) as lock, lock.manifest():
        manifest = read_manifest(folder)
        if manifest is None:
            manifest = Manifest(key=key, layout=layout, origin=origin)
            with replacing(folder / "manifest.json") as partial:
                partial.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return manifest


def read_table(cache: Path, key: FeatureKey) -> FeatureTable | None:
    """Return the features of a key, or None when they are not, or not wholly, there.

    Raises:
        CacheError: the entry is damaged.
    """
    folder = entry_folder(cache, key)
    manifest = read_manifest(folder)
    return open_table(folder, manifest) if manifest else None


def open_entry(entry: StoredEntry) -> FeatureTable:
    """Return the features of an entry.

    Raises:
        CacheError: the entry is damaged or not complete.
    """
    table = open_table(entry.folder, entry.manifest)
    if table is None:
        raise CacheError(
            f"The entry {entry.folder.name} is not complete: {entry.sealed} of {entry.manifest.layout.shards} shards "
            "are sealed. Run the command that began it again; it goes on where it stopped."
        )
    return table


def entries(cache: Path) -> Iterator[StoredEntry]:
    """Yield the entries whose manifest can be read, sorted by name."""
    for folder in sorted(path for path in (cache / _FOLDER).glob("*") if path.is_dir()):
        try:
            manifest = read_manifest(folder)
        except CacheError:
            continue  # `orphans` names it; opening it by key reports it
        if manifest:
            yield StoredEntry(folder, manifest)


def describe(entry: StoredEntry) -> EntryInfo:
    """Describe an entry; the status of every image is read from its shards.

    Raises:
        CacheError: a shard is broken.
    """
    source, layout, complete = entry.manifest.key.source, entry.manifest.layout, entry.complete
    without: dict[int, list[str]] = {UNDECODABLE: [], NOT_FINITE: []}
    for number in range(layout.shards if complete else 0):
        shard = open_shard(shard_path(entry.folder, number))
        for row in np.flatnonzero(shard.status != OK):
            without[int(shard.status[row])].append(shard.ids[row].decode())
    return EntryInfo(
        key=entry.folder.name,
        encoder=entry.name,
        dataset=entry.manifest.origin.dataset,
        reading=f"layer {source.reading.layer} {source.reading.pool}" if source.kind == "encoded" else "as imported",
        n=layout.n,
        t=layout.t,
        f=layout.f,
        storage=layout.dtype,
        shards=layout.shards,
        sealed=entry.sealed,
        size=entry.size,
        folder=str(entry.folder),
        undecodable=tuple(without[UNDECODABLE]) if complete else None,
        not_finite=tuple(without[NOT_FINITE]) if complete else None,
    )


def find_entry(cache: Path, name: str) -> StoredEntry:
    """Return the entry that the beginning of a key names, or the imported one of that name.

    Raises:
        UsageError: none or several are meant.
    """
    found = list(entries(cache))
    label = IMPORTED + name.removeprefix(IMPORTED)
    hits = [entry for entry in found if entry.folder.name.startswith(name) or entry.name == label]
    if len(hits) == 1:
        return hits[0]
    keys = ", ".join(entry.folder.name for entry in hits or found) or "none"
    problem = "no entry begins with" if not hits else "several entries begin with"
    raise UsageError(f"In the cache '{cache}' {problem} '{name}': {keys}. Type 'taxbench cache ls' to see them.")


def dataset_of(cache: Path, key: str) -> tuple[str | None, Path | None]:
    """Return what the dataset and the taxonomy were called when the features of a key were extracted, where known."""
    try:
        origin = find_entry(cache, key).manifest.origin
    except UsageError:
        return None, None
    return origin.dataset or None, Path(origin.taxonomy) if origin.taxonomy else None


def orphans(cache: Path) -> Iterator[Orphan]:
    """Yield what no run can use: entries without a readable manifest, leftovers of a kill, files of older versions."""
    for path in sorted((cache / _FOLDER).glob("*")):
        if path.is_file():
            yield Orphan(path, "not of this format", path.stat().st_size)
            continue
        try:
            manifest = read_manifest(path)
        except CacheError as error:
            yield Orphan(path, str(error), _size(path))
            continue
        if manifest is None:
            yield Orphan(path, "no manifest", _size(path))
            continue
        with closing(EntryLock(path)) as lock:
            for shard in range(manifest.layout.shards):
                partial = partial_path(path, shard)
                if shard_path(path, shard).is_file() and partial.is_file() and lock.try_shard(shard):
                    yield Orphan(partial, "its shard is sealed", partial.stat().st_size)
        for leftover in sorted(path.glob(".*.partial")):
            yield Orphan(leftover, "left by a process that was stopped", leftover.stat().st_size)


def remove(path: Path) -> None:
    """Remove an entry or a stray; an entry that is being written is left alone.

    Raises:
        CacheError: a process is writing to it, or the disk refuses.
    """
    try:
        if path.is_file():
            path.unlink()
            return
        if (path / "lock").is_file():
            with closing(EntryLock(path)) as lock:
                for shard in (int(partial.name[6:11]) for partial in sorted(path.glob("shard-*.h5.partial"))):
                    if not lock.try_shard(shard):
                        raise CacheError(f"'{path}' is being written by another process (shard {shard}): left alone.")
        shutil.rmtree(path)
    except OSError as error:
        raise CacheError(f"'{path}' cannot be removed ({error.strerror or error}).") from None


def collect(cache: Path, names: Sequence[str], incomplete: bool, dry_run: bool) -> list[Orphan]:
    """Remove what no run can use and the entries named; return what was, or would be, removed.

    Args:
        names: Beginnings of keys, or `imported:NAME`.
        incomplete: Remove unfinished extractions too, though they could be resumed.

    Raises:
        UsageError: a name means no entry, or several.
        CacheError: an entry is being written, or the disk refuses.
    """
    found = [Orphan(entry.folder, "named", entry.size) for entry in (find_entry(cache, name) for name in names)]
    if not names:
        found += orphans(cache)
        if incomplete:
            unfinished = [entry for entry in entries(cache) if not entry.complete]
            found += [Orphan(entry.folder, "not complete", entry.size) for entry in unfinished]
    for stray in found if not dry_run else ():
        remove(stray.path)
    return found


def nearest_difference(cache: Path, key: FeatureKey) -> list[str]:
    """Say how the key differs from the most similar cached one of the same pictures or the same encoder, if any."""

    def related(other: FeatureKey) -> bool:
        return other.images_digest == key.images_digest or other.source.digest == key.source.digest

    keys = [entry.manifest.key for entry in entries(cache)]
    differences = [key.difference(other) for other in keys if related(other)]
    return min(differences, key=len, default=[])


def _size(folder: Path) -> int:
    """Return the bytes that a folder takes on disk."""
    return sum(os.stat(path).st_blocks * 512 for path in folder.rglob("*") if path.is_file())


class ReusableEntry:
    """A complete entry of the same encoder and reading, whose rows are found by the contents of their images.

    Args:
        contents: Content digests of the images that are wanted.
    """

    def __init__(self, table: FeatureTable, contents: list[str]) -> None:
        self.table = table
        self._order = np.argsort(table.contents, kind="stable")
        self._sorted = table.contents[self._order]
        self.held = int((self.rows(contents) >= 0).sum())

    def rows(self, contents: list[str]) -> np.ndarray:
        """Return the entry's row of each image, −1 where it has none.  # (b,)"""
        wanted = np.array([content.encode() for content in contents], dtype=bytes)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        rows = self._order[place]
        return np.where((self._sorted[place] == wanted) & (self.table.status[rows] == OK), rows, -1)


def find_reusable(cache: Path, key: FeatureKey, contents: list[str]) -> ReusableEntry | None:
    """Return the entry that holds most of the images under the same encoder and reading, if one holds any."""
    best: ReusableEntry | None = None
    for entry in entries(cache):
        other = entry.manifest.key
        alike = other.model_copy(update={"images_digest": key.images_digest, "n_images": key.n_images})
        if alike != key or other == key or not entry.complete:
            continue
        try:
            reusable = ReusableEntry(open_entry(entry), contents)
        except CacheError:
            continue  # a damaged entry gives nothing; whoever opens it by its own key is told
        if reusable.held > (best.held if best else 0):
            best = reusable
    return best
