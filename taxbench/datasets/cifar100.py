"""CIFAR-100: the standard Python archive, packed or unpacked, or the same images from the hub."""

import io
import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy._core.multiarray import _reconstruct
from numpy._core.numeric import _frombuffer  # type: ignore[attr-defined]
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord, Split
from taxbench.datasets.home import data_home
from taxbench.datasets.hub_images import HubImages, as_dataset, open_images
from taxbench.taxonomy.choice import taxonomy_of
from taxbench.taxonomy.taxonomy import TaxonomyFile, keep_leaves, read_taxonomy
from taxbench.util.errors import DataError, UsageError, first_line

TAXONOMY = Path(__file__).with_name("files") / "cifar100.tsv"
HUB_ID = "uoft-cs/cifar100"
_FOLDER = "cifar-100-python"
_PACKED = f"{_FOLDER}.tar.gz"
_SIDE = 32
_CHUNK = 1 << 20
_SPLITS: tuple[Split, ...] = ("train", "test")
# The hub misspells one class.
_HUB_NAMES = {"cra": "crab"}
# All that the archive's pickles need; a pickle may name any function of any module otherwise.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def load(argument: str, taxonomy: Path | None) -> Dataset:
    """Load `cifar100:PATH`, or `cifar100` from the data folder, else through the hub.

    The hypernyms are the superclasses, or those of --taxonomy, whose column `folder` holds class names.

    Raises:
        UsageError: it is not there and cannot be fetched; says how to get it.
        DataError: the archive is broken, or the taxonomy does not fit.
    """
    path = Path(argument).expanduser() if argument else data_home("cifar100")
    archive = _find_archive(path)
    if archive is None and argument:
        raise UsageError(f"There is no CIFAR-100 at '{path}'. {_how_to_get(path)}")
    if archive is None:
        try:
            found = _renamed(open_images(HUB_ID))
        except (UsageError, DataError) as error:
            raise UsageError(
                f"There is no CIFAR-100 in '{path}', nor through the hub. {_how_to_get(path)}\n{error}"
            ) from None
        return as_dataset("cifar100", found, _listed(found.labels, taxonomy))
    names = _class_names(archive)
    listed = _listed(names, taxonomy)
    unknown = sorted(set(listed.leaf_of_folder) - set(names))
    if unknown:
        raise DataError(f"The taxonomy lists classes that CIFAR-100 does not have: {', '.join(unknown[:5])}.")
    images = [image for split in _SPLITS for image in _records(archive, split, names, listed)]
    images.sort(key=lambda image: image.id)
    kept = keep_leaves(listed.taxonomy, {image.leaf for image in images})
    return Dataset("cifar100", tuple(images), kept, "cifar100 python", partial(_read, archive), notes=listed.notes)


def _listed(names: Any, taxonomy: Path | None) -> TaxonomyFile:
    """Return the taxonomy of CIFAR-100's classes: its superclasses, or what --taxonomy gives."""
    return taxonomy_of(names, taxonomy) if taxonomy else read_taxonomy(TAXONOMY)


def _renamed(found: HubImages) -> HubImages:
    """Return the CIFAR-100 images of the hub with the class name that it misspells put right."""
    splits = {
        name: replace(split, labels=tuple(_HUB_NAMES.get(label or "", label) for label in split.labels))
        for name, split in found.splits.items()
    }
    return replace(found, splits=splits)


def _find_archive(path: Path) -> Path | None:
    """Return CIFAR-100's folder with train, test and meta, or its packed archive, at a path or in it."""
    for folder in (path, path / _FOLDER):
        if all((folder / name).is_file() for name in (*_SPLITS, "meta")):
            return folder
    return next((file for file in (path, path / _PACKED) if file.is_file()), None)


def _class_names(archive: Path) -> list[str]:
    """Return the class names of a CIFAR-100 archive from its table `meta`, in the order of the labels."""
    with _saying_what_is_broken(archive, "meta"):
        names = _unpickle(archive, "meta").get("fine_label_names")
        if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
            raise ValueError("no list of class names, fine_label_names")
        if len(set(names)) < len(names):
            raise ValueError("class names come twice")
        return list(map(_text, names))


def _records(archive: Path, split: Split, names: list[str], listed: TaxonomyFile) -> list[ImageRecord]:
    """Return the image records of a CIFAR-100 split, for the classes that the taxonomy lists."""
    pixels, labels = _pixels(archive, split)
    if labels.size and not 0 <= labels.min() <= labels.max() < len(names):
        raise DataError(
            f"The labels of '{split}' in '{archive}' do not fit its {len(names)} class names. Download it again."
        )
    return [
        ImageRecord(f"{split}/{index:05d}", leaf, xxhash.xxh3_128_hexdigest(pixels[index].tobytes()), split)
        for index, label in enumerate(labels.tolist())
        if (leaf := listed.leaf_of_folder.get(names[label])) is not None
    ]


@lru_cache(maxsize=4)
def _pixels(archive: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a split's pixels (n, 3072), the channels one after the other, and labels (n,)."""
    with _saying_what_is_broken(archive, split):
        table = _unpickle(archive, split)
        pixels, labels = table.get("data"), np.asarray(table.get("fine_labels", ()))
        if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8):
            raise ValueError("no array of pixels")
        if labels.dtype.kind != "i" or labels.ndim != 1 or pixels.shape != (len(labels), 3 * _SIDE * _SIDE):
            raise ValueError("its pixels and labels do not fit")
        return pixels, labels


class _Unpickler(pickle.Unpickler):
    """Read containers, bytes and numpy arrays, and refuse everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few functions that CIFAR-100's pickles of arrays need; refuse any other."""
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in the archive's protocol
            return _encode_latin1
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it calls {module}.{name}")
        return _ALLOWED[module, name]


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Encode text as CIFAR-100's pickles of bytes ask for; refuse any other encoding."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it encodes as {encoding}")
    return text.encode("latin1")


def _unpickle(archive: Path, name: str) -> dict[str, Any]:
    """Return one of the archive's tables, its keys as text."""
    table = _Unpickler(io.BytesIO(_bytes(archive, name)), encoding="bytes").load()
    if not isinstance(table, dict):
        raise ValueError(f"a {type(table).__name__}, not a table")
    return {_text(key): value for key, value in table.items()}


@contextmanager
def _saying_what_is_broken(archive: Path, name: str) -> Iterator[None]:
    """Raise DataError that names the broken file of the CIFAR-100 archive read in the block."""
    try:
        yield
    except Exception as error:  # unpacking and unpickling raise whatever they are led into by damage
        raise DataError(
            f"'{name}' in '{archive}' is not what CIFAR-100 holds there ({first_line(error)}). Download the archive "
            "again."
        ) from None


def _bytes(archive: Path, name: str) -> bytes:
    """Return a file of the archive, which is read to its end: only there does gzip tell whether a byte was changed."""
    if archive.is_dir():
        return (archive / name).read_bytes()
    content = None
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.name == f"{_FOLDER}/{name}" and (file := packed.extractfile(member)):
                content = file.read()
        while packed.fileobj and packed.fileobj.read(_CHUNK):
            pass
    if content is None:
        raise ValueError("it is not there")
    return content


def _text(value: object) -> str:
    """Return a class name of CIFAR-100 as text, which its pickles hold as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _read(archive: Path, image: ImageRecord) -> Image.Image:
    """Return an image of CIFAR-100 from the pixels of the archive."""
    split, _, number = image.id.partition("/")
    row = _pixels(archive, split)[0][int(number)]
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
