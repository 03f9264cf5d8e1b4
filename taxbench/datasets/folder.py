"""An image folder on disk: one folder per class, with or without `train/` and `test/` (and `val/`) above.

All pictures from files are decoded here, to 8-bit RGB; greyscale of 16 bits keeps its upper 8. DECODER does not tell of
that: features of such pictures that were made before, when they came out white, must be made again.
"""

import io
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL
import xxhash
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord, Split
from taxbench.taxonomy.choice import taxonomy_of
from taxbench.taxonomy.tables import normal, unwritable
from taxbench.taxonomy.taxonomy import TaxonomyFile, keep_leaves
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few

DECODER = f"pillow {PIL.__version__}"
# How folders and the hub name splits, and what they are here.
SPLITS: dict[str, Split] = {
    "train": "train", "training": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
# What Pillow raises at a file that it cannot decode.
_UNDECODABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Pillow warns of large pictures, and raises at those twice as large.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder whose pictures show one leaf; their ids are `prefix` and the path inside the folder."""

    path: Path
    prefix: str
    leaf: str
    split: Split | None = None


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
        raise UsageError(f"No such folder: '{root}'. Expected PATH/CLASS/*.jpg or PATH/train/CLASS/*.jpg.")
    classes = _classes(root)
    names = {normal(folder.name) for _, folder in classes}
    listed = taxonomy_of(names, taxonomy)
    unlisted = sorted(names - set(listed.leaf_of_folder))
    if unlisted:
        raise DataError(
            f"{len(unlisted)} of {len(names)} class folders of '{root}' are not in the taxonomy: "
            f"{first_few(unlisted, 10)}."
            f"{did_you_mean(unlisted[0], listed.leaf_of_folder)} Add a line for each, or move the folders away."
        )
    images = scan(
        ClassFolder(folder, folder.relative_to(root).as_posix(), listed.leaf_of_folder[normal(folder.name)], split)
        for split, folder in classes
    )
    if not images:
        raise DataError(f"The folder '{root}' holds no image ({', '.join(_SUFFIXES)}) in a class folder.")
    _check_classes(root, taxonomy, listed, images)
    notes = [*listed.notes]
    if unused := list(_unused(root, [folder for _, folder in classes])):
        notes.append(f"Pictures of '{root}' that are in no class folder are not used: {first_few(unused)}.")
    kept = keep_leaves(listed.taxonomy, {image.leaf for image in images})
    return Dataset(f"folder:{root.name}", tuple(images), kept, DECODER, partial(_read, root), notes=tuple(notes))


def class_names(root: Path) -> list[str]:
    """Return the names of the class folders, with or without splits above them, sorted.

    Raises:
        DataError: a name cannot stand in a taxonomy.
    """
    return sorted({normal(folder.name) for _, folder in _classes(root)})


def scan(folders: Iterable[ClassFolder]) -> list[ImageRecord]:
    """Return a record of every image in some folders and below, sorted by id.

    Raises:
        DataError: images are links to files that are not there, cannot be read, or have a name that is not UTF-8.
    """
    images, dangling = [], []
    for folder in folders:
        for path in _pictures(folder.path):
            image_id = f"{folder.prefix}/{Path(path).relative_to(folder.path).as_posix()}"
            if not os.path.isfile(path):
                dangling.append(path)
                continue
            try:
                image_id.encode()
                with open(path, "rb") as file:
                    digest = xxhash.xxh3_128_hexdigest(file.read())
            except UnicodeEncodeError:
                raise DataError(f"The name of the image {path!r} is not UTF-8. Rename it and run again.") from None
            except OSError as error:
                _refuse(error)
            images.append(ImageRecord(image_id, folder.leaf, digest, folder.split))
    if dangling:
        raise DataError(
            f"{len(dangling)} images are links to files that are not there, first '{min(dangling)}'. Fetch them (for "
            "instance 'git annex get' or 'dvc pull'), or remove the links, and run again."
        )
    return sorted(images, key=lambda image: image.id)


def read_image(path: Path) -> Image.Image:
    """Decode an image file to RGB; raise DataError where it cannot be decoded."""
    return decode(path, f"The image '{path}'")


def decode(source: Path | io.BytesIO, what: str) -> Image.Image:
    """Decode an image to 8-bit RGB.

    Args:
        what: How an error begins.

    Raises:
        DataError: it cannot be decoded, or holds numbers of 32 bits.
    """
    try:
        with Image.open(source) as picture:
            if picture.mode.startswith("I;16"):  # convert() would cut all values off at 255
                return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
            if picture.mode not in ("I", "F"):
                return picture.convert("RGB")
            mode = picture.mode
    except _UNDECODABLE as error:
        raise DataError(f"{what} cannot be decoded ({error}). Repair or remove it and run again.") from None
    raise DataError(f"{what} has pixels of 32 bits (mode {mode}), whose white is unknown. Convert it to 8 bits.")


def _classes(root: Path) -> list[tuple[Split | None, Path]]:
    """List the class folders with their splits. A folder named like a split is one only if it holds folders."""
    splits = [(split, root / name) for name, split in SPLITS.items() if (root / name).is_dir()]
    above: list[tuple[Split | None, Path]] = [(split, folder) for split, folder in splits if _folders(folder)]
    found = [(split, folder) for split, parent in above or [(None, root)] for folder in _folders(parent)]
    for _, folder in found:
        if problem := unwritable(normal(folder.name)):
            raise DataError(
                f"The name of the class folder {str(folder)!r} {problem}, which no taxonomy file can hold. Rename it."
            )
    return found


def _folders(parent: Path) -> list[Path]:
    """List the folders in a folder, without what programs keep there, such as `.git`."""
    return [path for path in sorted(parent.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _pictures(folder: Path) -> Iterator[str]:
    """Yield the paths of all pictures in a folder and below.

    Links to folders come last. None leads up to what holds the folder, such as other classes, and none in a circle.
    """
    waiting, seen = deque([str(folder)]), set(map(str, Path(os.path.realpath(folder)).parents))
    while waiting:
        for base, inside, names in os.walk(waiting.popleft(), onerror=_refuse):
            real = os.path.realpath(base)
            if real in seen:
                inside.clear()
                continue
            seen.add(real)
            waiting += [path for name in sorted(inside) if os.path.islink(path := os.path.join(base, name))]
            yield from (os.path.join(base, name) for name in sorted(names) if name.lower().endswith(_SUFFIXES))


def _refuse(error: OSError) -> NoReturn:
    """Raise DataError for a file or folder of an image folder that cannot be read."""
    raise DataError(f"'{error.filename}' cannot be read ({error.strerror}).") from None


def _unused(root: Path, classes: Sequence[Path]) -> Iterator[str]:
    """Name the folders with pictures and the pictures that stand beside class folders or above them."""
    above = {root, *(folder.parent for folder in classes)}
    for path in sorted(path for parent in above for path in parent.iterdir()):
        if path in above or path in classes:
            continue
        if path.name.lower().endswith(_SUFFIXES) if path.is_file() else next(_pictures(path), None):
            yield path.relative_to(root).as_posix() + "/" * path.is_dir()


def _check_classes(root: Path, taxonomy: Path | None, listed: TaxonomyFile, images: list[ImageRecord]) -> None:
    """Raise DataError where the taxonomy names class folders that hold no image."""
    present = {image.leaf for image in images}
    missing = sorted(folder for folder, leaf in listed.leaf_of_folder.items() if leaf not in present)
    if missing:
        raise DataError(
            f"The taxonomy '{taxonomy}' names {len(missing)} class folders without an image in '{root}': "
            f"{first_few(missing)}. Remove those lines or add the images."
        )


def _read(root: Path, image: ImageRecord) -> Image.Image:
    """Return the decoded picture of an image record from its file in the image folder."""
    return read_image(root / image.id)
