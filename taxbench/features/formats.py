"""Files of features in other formats: npy, npz, pt, safetensors and HDF5 are read, npy and safetensors are written."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

from taxbench.datasets.dataset import first_twice
from taxbench.features.store.reader import FeatureTable, as_float
from taxbench.util.errors import DataError, UsageError, first_few, first_line
from taxbench.util.hub import lfs_pointer
from taxbench.util.paths import read_text, replacing

READS = (".npy", ".npz", ".pt", ".pth", ".safetensors", ".h5", ".hdf5")
WRITES = (".npy", ".safetensors")


class FeatureFile:
    """A file of features, of which rows are read as they are needed where the format allows it.

    Raises:
        UsageError: it is not there, or of no known kind.
        DataError: it cannot be read, or holds no array `features` of numbers, one row an image.
    """

    def __init__(self, path: Path, ids: Path | None = None) -> None:
        self.path = path
        if not path.is_file():
            raise UsageError(f"No such file: '{path}'.")
        if path.suffix not in READS:
            raise UsageError(f"'{path}' is of no kind that can be imported. Expected one of {', '.join(READS)}.")
        if pointer := lfs_pointer(path):
            raise DataError(pointer)
        try:
            self._rows, stored = _READERS[path.suffix](path)
            shape = tuple(self._rows.shape)
        except MemoryError:
            raise
        except Exception as error:  # five libraries, which raise whatever they happen to meet
            said = "it is empty" if path.stat().st_size == 0 else first_line(error)
            raise DataError(f"'{path}' cannot be read as features ({said}).") from None
        if len(shape) not in (2, 3) or 0 in shape:
            raise DataError(f"The features in '{path}' have the shape {shape}; expected (n, f) or (n, t, f).")
        if (kind := np.dtype(self._rows.dtype)).kind not in "fiub":
            raise DataError(f"The features in '{path}' are of the type {kind}; expected real numbers.")
        self.tokens, self.width = (1, shape[1]) if len(shape) == 2 else shape[1:]
        names = tuple(line.rstrip() for line in read_text(ids).strip().splitlines()) if ids else stored
        if names is None:
            raise DataError(f"'{path}' holds no 'ids': give them with --ids FILE, one image id a line.")
        self.ids = names
        if len(names) != shape[0]:
            raise DataError(f"There are {len(names)} ids for {shape[0]} rows of features in '{path}'.")
        if twice := first_twice(names):
            raise DataError(f"The id '{twice}' is duplicated beside the features in '{path}'.")

    def __len__(self) -> int:
        return int(self._rows.shape[0])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as float32.  # (b,) → (b, t, f)"""
        order = np.argsort(rows, kind="stable")  # HDF5 picks rows in rising order only
        picked = np.asarray(self._rows[rows[order]], dtype=np.float32).reshape(len(rows), self.tokens, self.width)
        found = np.empty_like(picked)
        found[order] = picked
        return found

    def digest(self) -> str:
        """Digest the file's bytes, and the ids, wherever they came from."""
        state = xxhash.xxh3_128("\n".join(self.ids).encode())
        with self.path.open("rb") as file:
            while block := file.read(1 << 24):
                state.update(block)
        return state.hexdigest()


def write_features(table: FeatureTable, path: Path) -> list[Path]:
    """Write a table to a file; returns what was written.

    npy holds float16, or float32 where the cache holds bfloat16, which numpy lacks; the ids go to a text file beside
    it. safetensors holds the stored type, with ids and key in its metadata.

    Raises:
        UsageError: no such kind of file is written.
        CacheError: a block is bad, an image has no features, or the disk refuses.
    """
    if path.suffix not in WRITES:
        raise UsageError(f"'{path}': features are exported as one of {', '.join(WRITES)}.")
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        metadata = {"ids": json.dumps(table.ids), "key": table.key.model_dump_json()}
        with replacing(path) as partial:
            save_file({"features": table.as_tensor()}, partial, metadata)
        return [path]
    narrow = table.layout.dtype == "float16"
    with replacing(path) as partial:
        kind = np.float16 if narrow else np.float32
        out = np.lib.format.open_memmap(partial, mode="w+", dtype=kind, shape=(len(table), *table.row_shape))
        for rows, features in table.passes():
            out[rows] = features if narrow else as_float(features, table.layout)
        out.flush()
    names = path.with_suffix(".ids.txt")
    with replacing(names) as partial:
        partial.write_text("".join(f"{name}\n" for name in table.ids), encoding="utf-8")
    return [path, names]


Stored = tuple[Any, tuple[str, ...] | None]


def _npy(path: Path) -> Stored:
    """Map a .npy file's features into memory; the format holds no ids."""
    return np.load(path, mmap_mode="r", allow_pickle=False), None


def _npz(path: Path) -> Stored:
    """Load `features`, and `ids` if there are any, from a .npz file."""
    with np.load(path, allow_pickle=False) as file:
        return file[_key(file.files)], _names(file["ids"]) if "ids" in file else None


def _hdf5(path: Path) -> Stored:
    """Open the dataset `features` of an HDF5 file, and read `ids` if there are any."""
    file = h5py.File(path, "r")
    return file[_key(file.keys())], _names(file["ids"][...]) if "ids" in file else None


def _safetensors(path: Path) -> Stored:
    """Load the tensor `features` of a safetensors file, and the ids in its metadata if there are any."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        ids = (file.metadata() or {}).get("ids")
        return _real(file.get_tensor(_key(file.keys()))), _names(json.loads(ids)) if ids else None


def _torch(path: Path) -> Stored:
    """Load a tensor, or a dictionary of `features` and `ids`; weights only, so that no code in the file can run."""
    import torch

    found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, torch.Tensor):
        return _real(found), None
    return _real(found[_key(found)]), _names(found["ids"]) if "ids" in found else None


def _real(features: Any) -> np.ndarray:
    """Return a tensor as an array, in float32 where it holds parts of numbers: numpy knows no bfloat16."""
    return np.asarray((features.float() if features.is_floating_point() else features).numpy())


def _key(keys: Iterable[Any]) -> Any:
    """Return what the features are called in a file: `features`, or the only thing there is beside the ids."""
    given = [key for key in keys if key != "ids"]
    if "features" in given:
        return "features"
    if len(given) == 1:
        return given[0]
    raise ValueError(f"expected 'features' and 'ids', found {first_few(map(repr, given)) or 'nothing'}")


def _names(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the ids in a file of features as text, which some formats hold as bytes."""
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in values)


_READERS = {".npy": _npy, ".npz": _npz, ".pt": _torch, ".pth": _torch, ".safetensors": _safetensors, ".h5": _hdf5,
            ".hdf5": _hdf5}  # fmt: skip
