"""Bring your own features: copy a file's rows into the cache, where `--encoder imported:NAME` finds them."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from taxbench.datasets.dataset import Dataset
from taxbench.features.formats import FeatureFile
from taxbench.features.store.index import StoredEntry, begin_entry, entries, entry_folder, read_table
from taxbench.features.store.layout import OK, TokenShape, plan_layout
from taxbench.features.store.reader import FeatureTable
from taxbench.features.store.writer import EntryLock, ShardWriter, begin_shard, shard_path
from taxbench.specs.feature_key import IMPORTED, FeatureKey, Imported, Manifest, Origin, StorageDtype
from taxbench.util.devices import dtype_name
from taxbench.util.errors import CacheError, DataError, UsageError, did_you_mean
from taxbench.util.progress import Reporter

_SPAN_BLOCKS = 16
_LOST = 0.05  # of what tells images apart


@dataclass(frozen=True, slots=True)
class ImportAs:
    """How features are imported."""

    name: str
    storage: StorageDtype
    origin: Origin
    """Where the images lie."""


def import_features(file: FeatureFile, how: ImportAs, dataset: Dataset, cache: Path, report: Reporter) -> StoredEntry:
    """Copy the features of a dataset's images into the cache, in the dataset's order; rows of other images stay out.

    Raises:
        UsageError: other features of these images have the name.
        DataError: an image has no features, or they are not finite in the storage type.
        CacheError: the cache cannot be written.
    """
    if not re.fullmatch(r"[^\s,/]{1,100}", how.name):
        raise UsageError(f"Invalid name '{how.name}': expected 1 to 100 letters without blanks, commas and slashes.")
    order = _order(file, dataset)
    key = FeatureKey(
        source=Imported(name=how.name, file_digest=file.digest()),
        storage_dtype=how.storage,
        images_digest=dataset.images_digest,
        n_images=len(dataset.images),
    )
    for entry in _named(cache, how.name):
        if entry.manifest.key.images_digest == key.images_digest and entry.manifest.key != key:
            raise UsageError(
                f"There are other features 'imported:{how.name}' of these images. Choose another --name, or remove "
                f"them: taxbench cache gc {entry.folder.name}"
            )
    planned = plan_layout(key.n_images, TokenShape(file.tokens, file.width), how.storage)
    folder = entry_folder(cache, key)
    fresh = not folder.exists()
    manifest = begin_entry(cache, key, planned, how.origin.model_copy(update={"encoder": str(file.path.resolve())}))
    layout = manifest.layout
    with (
        _dropped_where_useless(folder if fresh else None),
        closing(EntryLock(folder)) as lock,
        report.bar(f"import {file.path.name}", key.n_images, "img") as advance,
    ):
        for shard in range(layout.shards):
            if not shard_path(folder, shard).is_file():
                if not lock.try_shard(shard):
                    raise CacheError(f"Another process is importing '{file.path}'. Wait for it, then run again.")
                rows = layout.rows_of(shard)
                names = [(image.id, image.digest) for image in dataset.images[rows.start : rows.stop]]
                _copy_shard(file, order, begin_shard(folder, manifest, shard, names), manifest, shard)
            advance(len(layout.rows_of(shard)))
    return StoredEntry(folder, manifest)


def imported_table(cache: Path, name: str, dataset: Dataset) -> FeatureTable:
    """Return the imported features of a dataset's images.

    Raises:
        UsageError: there are none of that name.
        DataError: those of that name are of other images.
        CacheError: they are damaged.
    """
    found = _named(cache, name)
    if not found:
        names = sorted({entry.name for entry in entries(cache) if entry.manifest.key.source.kind == "imported"})
        raise UsageError(
            f"There are no features 'imported:{name}' in the cache '{cache}'.{did_you_mean(f'imported:{name}', names)} "
            "Type 'taxbench cache import FILE --name NAME --dataset DATASET' first."
        )
    for entry in found:
        if entry.manifest.key.images_digest == dataset.images_digest:
            table = read_table(cache, entry.manifest.key)
            if table is not None:
                return table
    raise DataError(
        f"The features 'imported:{name}' are of the images of {found[0].manifest.origin.dataset} "
        f"({found[0].manifest.key.n_images}), not of {dataset.name} ({len(dataset.images)}) as it is now. "
        "Import them for this dataset."
    )


def _named(cache: Path, name: str) -> list[StoredEntry]:
    """Return the cache entries of imported features that have this name."""
    return [entry for entry in entries(cache) if entry.name == IMPORTED + name]


def _order(file: FeatureFile, dataset: Dataset) -> np.ndarray:
    """Return the file's row of every image of the dataset.  # (n,)"""
    row = {name: i for i, name in enumerate(file.ids)}
    missing = [image.id for image in dataset.images if image.id not in row]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(dataset.images)} images of {dataset.name} have no features in '{file.path}', "
            f"first: '{missing[0]}'.{did_you_mean(missing[0], file.ids)} The file's ids look like '{file.ids[0]}'."
        )
    return np.array([row[image.id] for image in dataset.images])


def _copy_shard(file: FeatureFile, order: np.ndarray, writer: ShardWriter, manifest: Manifest, shard: int) -> None:
    """Copy a shard's rows of imported features into the cache; raise where one is not finite."""
    rows = manifest.layout.rows_of(shard)
    step = _SPAN_BLOCKS * manifest.layout.block_rows
    for start in range(rows.start, rows.stop, step):
        picked = order[start : min(rows.stop, start + step)]
        given = torch.from_numpy(file.take(picked))
        features = given.to(getattr(torch, manifest.layout.dtype))
        _check_kept(given, features, [file.ids[row] for row in picked], file.path)
        writer.write(start - rows.start, features.view(torch.uint16).numpy(), np.full(len(picked), OK, np.uint8))
    writer.seal()


def _check_kept(given: torch.Tensor, kept: torch.Tensor, ids: list[str], path: Path) -> None:
    """Raise DataError where rows are not finite, or the storage type loses what tells them apart."""
    dtype = dtype_name(kept.dtype)
    wild = ~torch.isfinite(kept).flatten(1).all(1).numpy()
    if wild.any():
        row = int(wild.argmax())
        good = bool(torch.isfinite(given[row]).all())
        how = f"too large for {dtype}: type --storage bfloat16" if good else "not all finite numbers"
        raise DataError(f"The features of '{ids[row]}' in '{path}' are {how}.")
    lost, spread = float((kept.float() - given).norm()), float((given - given.mean(0)).norm())
    if len(given) > 1 and lost > _LOST * spread:
        raise DataError(
            f"{dtype} loses what tells the images of '{path}' apart (its rounding is {lost / max(spread, 1e-30):.0%} "
            "of their differences). Centre and rescale them, so that they are near 1."
        )


@contextmanager
def _dropped_where_useless(folder: Path | None) -> Iterator[None]:
    """Leave no entry behind of features that cannot be used; it would keep their name from others."""
    try:
        yield
    except DataError:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
