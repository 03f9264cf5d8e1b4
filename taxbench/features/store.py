"""The feature cache: one sealed HDF5 file per key. See cache/README.md for the format."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import xxhash
from pydantic import ValidationError

from taxbench.errors import CacheError
from taxbench.paths import replacing
from taxbench.specs.base import canonical_json
from taxbench.specs.features import FeatureKey

_FOLDER = "features"


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features of a dataset's images, in the dataset's order."""

    key: FeatureKey
    array: np.ndarray  # (n, t, f) float16, read-only
    ids: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Return (t, f)."""
        return self.array.shape[1], self.array.shape[2]


def entry_path(cache: Path, key: FeatureKey) -> Path:
    """Return the file that holds, or would hold, the features of a key."""
    return cache / _FOLDER / f"{key.digest}.h5"


def write_table(cache: Path, key: FeatureKey, array: np.ndarray, ids: tuple[str, ...]) -> None:
    """Write features whole: to a partial file, synced, then renamed into place.

    Raises:
        CacheError: the features are not finite or do not fit the key, or the disk refuses.
    """
    if len(ids) != key.n_images or len(array) != key.n_images:
        raise CacheError(f"The key announces {key.n_images} images, found {len(array)} rows and {len(ids)} ids.")
    bad = ~np.isfinite(array).all(axis=(1, 2))
    if bad.any():
        raise CacheError(
            f"The features of {int(bad.sum())} images are not finite in float16, first: {ids[bad.argmax()]}"
        )
    with replacing(entry_path(cache, key)) as partial, h5py.File(partial, "w", libver="v110") as file:
        data = file.create_dataset("features", data=array)  # contiguous: chunked random reads are 30-1000x slower
        file.create_dataset("ids", data=np.array([name.encode() for name in ids], dtype=bytes))
        data.attrs["key"] = canonical_json(key)
        data.attrs["xxh3_128"] = xxhash.xxh3_128_hexdigest(np.ascontiguousarray(array).data)


def read_table(cache: Path, key: FeatureKey) -> FeatureTable | None:
    """Return the features of a key, or None when they are not cached. Every byte is checked.

    Raises:
        CacheError: the file is truncated, altered, or holds another key.
    """
    path = entry_path(cache, key)
    if not path.is_file():
        return None
    mend = f"Remove it and run again: rm '{path}'"
    try:
        with h5py.File(path, "r") as file:
            data = file["features"]
            array: np.ndarray = data[...]
            ids = tuple(name.decode() for name in file["ids"][...])
            stored, digest = str(data.attrs["key"]), str(data.attrs["xxh3_128"])
    except (OSError, KeyError, RuntimeError) as error:
        raise CacheError(f"The cache file '{path}' is broken or truncated ({error}). {mend}") from None
    if stored != canonical_json(key):
        raise CacheError(f"The cache file '{path}' holds features of another key. {mend}")
    if xxhash.xxh3_128_hexdigest(array.data) != digest:
        raise CacheError(f"The cache file '{path}' does not match its own digest: its bytes were altered. {mend}")
    array.setflags(write=False)
    return FeatureTable(key, array, ids)


def nearest_difference(cache: Path, key: FeatureKey) -> list[str]:
    """Say how the key differs from the most similar cached one; empty when the cache holds none."""
    differences = []
    for path in sorted((cache / _FOLDER).glob("*.h5")):
        try:
            with h5py.File(path, "r") as file:
                other = FeatureKey.model_validate_json(str(file["features"].attrs["key"]))
        except (OSError, KeyError, RuntimeError, ValidationError):
            continue  # broken or of another version: nothing to compare with; opening it by key reports it
        differences.append(key.difference(other))
    return min(differences, key=len, default=[])
