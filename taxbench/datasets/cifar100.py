"""CIFAR-100: the standard Python archive, packed or unpacked, or the same images from the hub."""

import hashlib
import lzma
import pickle
import tarfile
import zlib
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord, Split
from taxbench.datasets.hub_images import as_dataset, open_images
from taxbench.datasets.known import data_home
from taxbench.taxonomy.from_wordnet import taxonomy_of
from taxbench.taxonomy.taxonomy import keep_leaves, read_taxonomy
from taxbench.util.errors import DataError, UsageError

TAXONOMY = Path(__file__).with_name("files") / "cifar100.tsv"
HUB_ID = "uoft-cs/cifar100"
_FOLDER = "cifar-100-python"
_PACKED = f"{_FOLDER}.tar.gz"
# As published with the archive and in torchvision. A pickle may run any code: only these are opened.
_MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
_SIDE = 32
_SPLITS: tuple[Split, ...] = ("train", "test")


def load(argument: str, taxonomy: Path | None) -> Dataset:
    """Load `cifar100:PATH`, or `cifar100` from the data folder, else through the hub.

    The hypernyms are the superclasses, or those of --taxonomy, whose column `folder` holds class names.

    Raises:
        UsageError: it is not there and cannot be fetched; says how to get it.
        DataError: the archive is not the published one, or the taxonomy does not fit.
    """
    path = Path(argument).expanduser() if argument else data_home("cifar100")
    archive = _find_archive(path)
    if archive is None and argument:
        raise UsageError(f"There is no CIFAR-100 at '{path}'. {_how_to_get(path)}")
    if archive is None:
        try:
            found = open_images(HUB_ID)
        except (UsageError, DataError) as error:
            raise UsageError(
                f"There is no CIFAR-100 in '{path}', nor through the hub. {_how_to_get(path)}\n{error}"
            ) from None
        labels = {name: tuple("crab" if label == "cra" else label for label in each)  # the hub misspells it
                  for name, each in found.labels.items()}  # fmt: skip
        found = replace(found, labels=labels)
        listed = taxonomy_of(found.known, taxonomy) if taxonomy else read_taxonomy(TAXONOMY)
        return as_dataset("cifar100", found, listed)
    names = [str(name) for name in _table(archive, "meta")["fine_label_names"]]
    listed = taxonomy_of(names, taxonomy) if taxonomy else read_taxonomy(TAXONOMY)
    unknown = sorted(set(listed.leaf_of_folder) - set(names))
    if unknown:
        raise DataError(f"The taxonomy lists classes that CIFAR-100 does not have: {', '.join(unknown[:5])}.")
    images = [
        ImageRecord(f"{split}/{index:05d}", leaf, xxhash.xxh3_128_hexdigest(table["data"][index].tobytes()), split)
        for split, table in ((split, _table(archive, split)) for split in _SPLITS)
        for index, label in enumerate(table["fine_labels"])
        if (leaf := listed.leaf_of_folder.get(names[label])) is not None
    ]
    images.sort(key=lambda image: image.id)
    kept = keep_leaves(listed.taxonomy, {image.leaf for image in images})
    return Dataset("cifar100", tuple(images), kept, "cifar100 python", partial(_read, archive), notes=listed.notes)


def _find_archive(path: Path) -> Path | None:
    """Return CIFAR-100's folder with train, test and meta, or its packed archive, at a path or in it."""
    for folder in (path, path / _FOLDER):
        if all((folder / name).is_file() for name in _MD5):
            return folder
    return next((file for file in (path, path / _PACKED) if file.is_file()), None)


@lru_cache(maxsize=6)
def _table(archive: Path, name: str) -> dict[str, Any]:
    """Return a table of the archive.

    Returns:
        Of `meta`, `fine_label_names`; of a split, `data`, the channels one after the other  # (n, 3072) uint8
        and `fine_labels`.  # (n,)
    """
    try:
        if archive.is_dir():
            content = (archive / name).read_bytes()
        else:
            with tarfile.open(archive) as packed:
                file = packed.extractfile(f"{_FOLDER}/{name}")
                content = file.read() if file else b""
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"'{name}' cannot be read from '{archive}' ({error}). Download the archive again.") from None
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != _MD5[name]:
        raise DataError(f"'{name}' in '{archive}' is not what was published (its MD5). Download the archive again.")
    table: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return table


def _read(archive: Path, image: ImageRecord) -> Image.Image:
    """Return an image of CIFAR-100 from the pixels of the archive."""
    split, _, number = image.id.partition("/")
    row = _table(archive, split)["data"][int(number)]
    return Image.fromarray(np.ascontiguousarray(row.reshape(3, _SIDE, _SIDE).transpose(1, 2, 0)))


def _how_to_get(path: Path) -> str:
    """Return the instructions to download CIFAR-100 and run on it."""
    return (
        "Download https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz (161 MB), then type\n"
        f"  mkdir -p '{path}' && mv {_PACKED} '{path}'\n"
        f"  taxbench run --dataset cifar100:{path}\n"
        "With the archive in $TAXBENCH_DATA/cifar100, '--dataset cifar100' finds it; with network and "
        "'pip install \"taxbench[hub]\"' it is fetched from the hub."
    )
