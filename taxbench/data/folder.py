"""An image folder on disk: one folder per class, with or without `train/` and `test/` (and `val/`) above."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import PIL
import xxhash
from PIL import Image

from taxbench.data.dataset import Dataset, ImageRecord, Split
from taxbench.data.taxonomy import TaxonomyFile, keep_leaves, taxonomy_of
from taxbench.errors import DataError, UsageError, did_you_mean, some

DECODER = f"pillow {PIL.__version__}"
# What Pillow raises at a file that it cannot decode.
UNDECODABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_SPLITS: tuple[Split, ...] = ("train", "val", "test")


def load(argument: str, taxonomy: Path | None) -> Dataset:
    """Load `folder:PATH` with the taxonomy of its class folders.

    Raises:
        UsageError: the path or the taxonomy is not given or not there.
        DataError: the folder holds no image, or the taxonomy and the folder do not fit.
    """
    if not argument:
        raise UsageError("Say which folder: --dataset folder:PATH")
    root = Path(argument).expanduser()
    if not root.is_dir():
        raise UsageError(f"There is no folder '{root}'. Expected PATH/CLASS/*.jpg or PATH/train/CLASS/*.jpg.")
    classes = _classes(root)
    names = {folder.name for _, folder in classes}
    listed = taxonomy_of(names, taxonomy)
    unlisted = sorted(names - set(listed.leaf_of_folder))
    if unlisted:
        raise DataError(
            f"{len(unlisted)} of {len(names)} class folders of '{root}' are not in the taxonomy: {some(unlisted, 10)}."
            f"{did_you_mean(unlisted[0], listed.leaf_of_folder)} Add a line for each, or move the folders away."
        )
    images: list[ImageRecord] = []
    for split, folder in classes:
        leaf = listed.leaf_of_folder[folder.name]
        images += scan(folder, folder.relative_to(root).as_posix(), leaf, split)
    if not images:
        raise DataError(f"The folder '{root}' holds no image ({', '.join(_SUFFIXES)}) in a class folder.")
    _check_classes(root, taxonomy, listed, images)
    images.sort(key=lambda image: image.id)
    kept = keep_leaves(listed.taxonomy, {image.leaf for image in images})
    return Dataset(f"folder:{root.name}", tuple(images), kept, DECODER, partial(_read, root), notes=listed.notes)


def class_names(root: Path) -> list[str]:
    """Return the names of the class folders, with or without splits above them, sorted."""
    return sorted({folder.name for _, folder in _classes(root)})


def scan(folder: Path, prefix: str, leaf: str, split: Split | None = None) -> Iterator[ImageRecord]:
    """Yield a record of every image below a folder; ids are `prefix` and the path inside the folder."""
    for base, folders, names in os.walk(folder):
        folders.sort()
        inside = Path(base).relative_to(folder).as_posix()
        above = prefix if inside == "." else f"{prefix}/{inside}"
        for name in sorted(names):
            path = os.path.join(base, name)
            if name.lower().endswith(_SUFFIXES) and os.path.isfile(path):
                with open(path, "rb") as file:
                    digest = xxhash.xxh3_128_hexdigest(file.read())
                yield ImageRecord(f"{above}/{name}", leaf, digest, split)


def read_image(path: Path) -> Image.Image:
    """Decode an image file to RGB.

    Raises:
        DataError: it cannot be decoded.
    """
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except UNDECODABLE as error:
        raise DataError(f"The image '{path}' cannot be decoded ({error}). Repair or remove it and run again.") from None


def _classes(root: Path) -> list[tuple[Split | None, Path]]:
    """List the class folders with their splits, sorted."""
    splits: list[Split | None] = [split for split in _SPLITS if (root / split).is_dir()]
    return [
        (split, folder)
        for split in splits or [None]
        for folder in sorted((root / split if split else root).iterdir())
        if folder.is_dir()
    ]


def _check_classes(root: Path, taxonomy: Path | None, listed: TaxonomyFile, images: list[ImageRecord]) -> None:
    present = {image.leaf for image in images}
    missing = sorted(folder for folder, leaf in listed.leaf_of_folder.items() if leaf not in present)
    if missing:
        raise DataError(
            f"The taxonomy '{taxonomy}' names {len(missing)} class folders without an image in '{root}': "
            f"{some(missing)}. Remove those lines or add the images."
        )


def _read(root: Path, image: ImageRecord) -> Image.Image:
    return read_image(root / image.id)
