"""An image folder on disk: one folder per class, with or without `train/` and `test/` (and `val/`) above."""

from functools import partial
from pathlib import Path

import PIL
import xxhash
from PIL import Image

from taxbench.data.dataset import Dataset, ImageRecord, Split
from taxbench.data.taxonomy import Taxonomy, TaxonomyFile, read_taxonomy
from taxbench.errors import DataError, UsageError, did_you_mean

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
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
    if taxonomy is None:
        raise UsageError(
            "An image folder needs a taxonomy: --taxonomy FILE.tsv with the columns folder, leaf, hypernyms "
            "(hypernyms separated by '|')."
        )
    listed = read_taxonomy(taxonomy)
    split_dirs: list[Split | None] = [split for split in _SPLITS if (root / split).is_dir()]
    images: list[ImageRecord] = []
    for split in split_dirs or [None]:
        images += _scan(root / split if split else root, root, split, listed)
    if not images:
        raise DataError(f"The folder '{root}' holds no image ({', '.join(sorted(_SUFFIXES))}) in a class folder.")
    _check_classes(root, taxonomy, listed, images)
    images.sort(key=lambda image: image.id)
    present = {image.leaf for image in images}
    kept = Taxonomy({leaf: group for leaf, group in listed.taxonomy.hypernyms_of.items() if leaf in present})
    return Dataset(f"folder:{root.name}", tuple(images), kept, f"pillow {PIL.__version__}", partial(_read, root))


def _scan(base: Path, root: Path, split: Split | None, listed: TaxonomyFile) -> list[ImageRecord]:
    """List the images of the class folders in `base` that the taxonomy knows."""
    records = []
    for folder in sorted(path for path in base.iterdir() if path.is_dir()):
        leaf = listed.leaf_of_folder.get(folder.name)
        if leaf is None:
            raise DataError(
                f"The class folder '{folder}' is not in the taxonomy."
                f"{did_you_mean(folder.name, listed.leaf_of_folder)} Add a line for it, or move the folder away."
            )
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                digest = xxhash.xxh3_128_hexdigest(path.read_bytes())
                records.append(ImageRecord(path.relative_to(root).as_posix(), leaf, digest, split))
    return records


def _check_classes(root: Path, taxonomy: Path, listed: TaxonomyFile, images: list[ImageRecord]) -> None:
    present = {image.leaf for image in images}
    missing = sorted(folder for folder, leaf in listed.leaf_of_folder.items() if leaf not in present)
    if missing:
        raise DataError(
            f"The taxonomy '{taxonomy}' names {len(missing)} class folders without an image in '{root}': "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}. Remove those lines or add the images."
        )


def _read(root: Path, image: ImageRecord) -> Image.Image:
    path = root / image.id
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"The image '{path}' cannot be decoded ({error}). Repair or remove it and run again.") from None
