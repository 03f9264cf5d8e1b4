"""An image folder on disk: one folder per class, with or without `train/` and `test/` (and `val/`) above.

All pictures from files are decoded here, to 8-bit RGB as a viewer shows them. DECODER tells of it in the key of
features, and is raised where a picture would come out otherwise.
"""

import io
import os
import warnings
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL
import xxhash
from PIL import ExifTags, Image

from taxbench.datasets.dataset import Dataset, ImageRecord, Split
from taxbench.taxonomy.from_wordnet import taxonomy_of
from taxbench.taxonomy.tables import normal, unwritable
from taxbench.taxonomy.taxonomy import keep_leaves
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few, first_line

DECODER = f"pillow {PIL.__version__}, upright on white"
# How folders and the hub name splits, and what they are here.
SPLITS: dict[str, Split] = {
    "train": "train", "training": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".bmp", ".dib",
             ".gif", ".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"}  # fmt: skip
# What makes a picture upright, by EXIF's number for how it lies.
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# Folders that programs make beside pictures, with copies of them.
_MADE = ("__MACOSX", "@eaDir", "__pycache__")
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
            f"{did_you_mean(unlisted[0], listed.leaf_of_folder)}{_unsorted(classes)} Add a line for each, or move the "
            "folders away."
        )
    others: Counter[str] = Counter()
    folders = (
        ClassFolder(folder, folder.relative_to(root).as_posix(), listed.leaf_of_folder[normal(folder.name)], split)
        for split, folder in classes
    )
    images = scan(folders, others)
    if not images:
        raise DataError(f"The folder '{root}' holds no image ({', '.join(sorted(suffixes()))}) in a class folder.")
    present = {image.leaf for image in images}
    if missing := sorted(folder for folder, leaf in listed.leaf_of_folder.items() if leaf not in present):
        raise DataError(
            f"The taxonomy '{taxonomy}' names {len(missing)} class folders without an image in '{root}': "
            f"{first_few(missing)}. Remove those lines or add the images."
        )
    notes = [*listed.notes]
    inside = [path for _, folder in classes for path in folders_in(folder) if path.name.lower() in SPLITS]
    if inside:
        notes.append(f"'{inside[0]}' is not taken for a split: splits stand above the classes, as in train/CLASS.")
    if unused := list(_unused(root, [folder for _, folder in classes])):
        notes.append(f"Pictures of '{root}' that are in no class folder are not used: {first_few(unused)}.")
    if others:
        kinds = first_few(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common())
        notes.append(
            f"Files in class folders of '{root}' that are no pictures, or not ones that Pillow opens: {kinds}."
        )
    kept = keep_leaves(listed.taxonomy, present)
    files = ImageFiles((root,))
    return Dataset(f"folder:{root.name}", tuple(images), kept, DECODER, files.read, notes=tuple(notes), file=files.path)


def _unsorted(classes: Sequence[tuple[Split | None, Path]]) -> str:
    """Say what a folder is that is no class: it holds the classes, or all pictures of a split (Tiny ImageNet)."""
    deeper = next((folder for _, folder in classes if folders_in(folder)), None)
    if deeper is not None:
        return f" '{deeper}' holds {len(folders_in(deeper))} folders: if they are the classes, give folder:{deeper}."
    loose = [folder for _, folder in classes if folder.name == "images" and folders_in(folder.parent) == [folder]]
    return (
        f" The pictures of '{loose[0]}' are in no class folders: move '{loose[0].parent.name}' away." if loose else ""
    )


def class_names(root: Path) -> list[str]:
    """Return the names of the class folders, with or without splits above them, sorted.

    Raises:
        DataError: a name cannot stand in a taxonomy.
    """
    return sorted({normal(folder.name) for _, folder in _classes(root)})


@cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of pictures that the installed Pillow opens."""
    return frozenset(_SUFFIXES & Image.registered_extensions().keys())


def scan(folders: Iterable[ClassFolder], others: Counter[str] | None = None) -> list[ImageRecord]:
    """Return a record of every image in some folders and below, sorted by id; `others` counts other files by suffix.

    Raises:
        DataError: images are links to files that are not there, or have a name that no list of names can hold.
        OSError: a file or folder cannot be read.
    """
    images, dangling = [], []
    for folder in folders:
        for path in _files(folder.path):
            if not _is_picture(path):
                if others is not None:
                    others[Path(path).suffix.lower()] += 1
                continue
            image_id = f"{folder.prefix}/{Path(path).relative_to(folder.path).as_posix()}"
            if problem := unwritable(image_id):
                raise DataError(f"The name of the image {path!r} {problem}. Rename it and run again.")
            if os.path.lexists(path) and not os.path.isfile(path):
                dangling.append(path)
                continue
            with open(path, "rb") as file:
                digest = xxhash.xxh3_128_hexdigest(file.read())
            images.append(ImageRecord(image_id, folder.leaf, digest, folder.split))
    if dangling:
        raise DataError(
            f"{len(dangling)} images are links to files that are not there, first '{min(dangling)}'. Fetch them (for "
            "instance 'git annex get' or 'dvc pull'), or remove the links, and run again."
        )
    return sorted(images, key=lambda image: image.id)


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The pictures of a dataset as files below some folders, each in the first that has it."""

    folders: tuple[Path, ...]

    def path(self, image: ImageRecord) -> Path:
        """Return where a picture lies."""
        paths = [folder / image.id for folder in self.folders]
        return next((path for path in paths if path.is_file()), paths[0])

    def read(self, image: ImageRecord) -> Image.Image:
        """Decode a picture to RGB; raise DataError where it cannot be decoded."""
        return read_image(self.path(image))


def read_image(path: Path) -> Image.Image:
    """Decode an image file to RGB; raise DataError where it cannot be decoded."""
    return decode(path, f"The image '{path}'")


def decode(source: Path | io.BytesIO, what: str) -> Image.Image:
    """Decode an image, which errors call `what`, to 8-bit RGB as viewers show it: upright, on white where transparent.

    Raises:
        DataError: it cannot be decoded, or holds numbers of 32 bits.
    """
    try:
        with Image.open(source) as picture:
            mode = picture.mode
            if mode not in ("I", "F") or (mode, picture.format) == ("I", "PPM"):  # whose white Pillow makes 65,535
                return _upright(picture, _eight_bits(picture))
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever they happen to meet
        raise DataError(f"{what} cannot be decoded ({first_line(error)}). Repair or remove it and run again.") from None
    raise DataError(f"{what} has pixels of 32 bits (mode {mode}), whose white is unknown. Convert it to 8 bits.")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture in 8-bit RGB, on white where it is transparent."""
    if picture.mode.startswith("I"):  # 16 bits; convert() would cut all values off at 255
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return picture.convert("RGB")


def _upright(picture: Image.Image, shown: Image.Image) -> Image.Image:
    """Turn what is shown as the camera was held; TIFF is turned by Pillow itself."""
    if picture.format == "TIFF":
        return shown
    orientation = None
    with suppress(Exception):  # cameras and programs write broken EXIF, and Pillow raises whatever it meets there
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    return shown.transpose(_TURNED[orientation]) if orientation in _TURNED else shown


def own_splits(names: Collection[str]) -> dict[str, Split]:
    """Say what a dataset's splits are here; nothing where they cannot both train and test.

    Without a test split, the one for validation takes its place.
    """
    ours = {name: SPLITS[name.lower()] for name in names}
    kinds = set(ours.values())
    if kinds == {"train", "val"}:
        return {name: "test" if kind == "val" else kind for name, kind in ours.items()}
    return ours if kinds >= {"train", "test"} else {}


def _classes(root: Path) -> list[tuple[Split | None, Path]]:
    """List the class folders with their splits. A folder named like a split is one only if it holds folders."""
    above = [path for path in folders_in(root) if path.name.lower() in SPLITS and folders_in(path)]
    split_of = own_splits([path.name for path in above])
    found = [(split_of.get(parent.name), folder) for parent in above or [root] for folder in folders_in(parent)]
    for _, folder in found:
        if problem := unwritable(normal(folder.name)):
            raise DataError(
                f"The name of the class folder {str(folder)!r} {problem}, which no taxonomy file can hold. Rename it."
            )
    return found


def folders_in(parent: Path) -> list[Path]:
    """List the folders in a folder, without what programs keep there, such as `.git`."""
    return sorted(parent / entry.name for entry in os.scandir(parent) if entry.is_dir() and not _is_hidden(entry.name))


def _is_hidden(name: str) -> bool:
    """Say whether a file or folder is hidden or made by a program, such as `.ipynb_checkpoints` or `._crow.jpg`."""
    return name.startswith(".") or name in _MADE


def _is_picture(name: str) -> bool:
    """Say whether a file is a picture by its suffix."""
    return os.path.splitext(name)[1].lower() in suffixes()


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all files in a folder and below, but hidden ones.

    Links to folders come last. None leads up to what holds the folder, such as other classes, and none in a circle.
    """
    waiting, seen = deque([str(folder)]), set(map(str, Path(os.path.realpath(folder)).parents))
    while waiting:
        for base, inside, names in os.walk(waiting.popleft(), onerror=_fail):
            real = os.path.realpath(base)
            if real in seen:
                inside.clear()
                continue
            seen.add(real)
            inside[:] = [name for name in inside if not _is_hidden(name)]
            waiting += [path for name in sorted(inside) if os.path.islink(path := os.path.join(base, name))]
            yield from (os.path.join(base, name) for name in sorted(names) if not _is_hidden(name))


def _fail(error: OSError) -> NoReturn:
    """Raise what os.walk would pass over."""
    raise error


def _unused(root: Path, classes: Sequence[Path]) -> Iterator[str]:
    """Name the folders with pictures and the pictures that stand beside class folders or above them."""
    above = {root, *(folder.parent for folder in classes)}
    for path in sorted(path for parent in above for path in parent.iterdir()):
        if path in above or path in classes:
            continue
        if _is_picture(path.name) if path.is_file() else any(map(_is_picture, _files(path))):
            yield path.relative_to(root).as_posix() + "/" * path.is_dir()
