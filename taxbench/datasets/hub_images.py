"""Labelled images through the `datasets` library: a dataset of the Hugging Face hub, or a local directory it can load.

The library converts every dataset to Arrow files in its cache. Processes that decode get its tables as they are: they
pickle as paths, which are mapped into memory and need no network.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import xxhash
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.datasets.folder import DECODER, SPLITS, decode, own_splits
from taxbench.taxonomy.from_wordnet import taxonomy_of
from taxbench.taxonomy.tables import normal
from taxbench.taxonomy.taxonomy import TaxonomyFile, keep_leaves
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few, first_line, with_network
from taxbench.util.hub import lfs_pointer

_IMAGES = ("image", "img", "jpg", "picture", "photo")
_LABELS = ("label", "labels", "class", "category", "fine_label")
_BATCH = 64


@dataclass(frozen=True, slots=True)
class HubImages:
    """A dataset as the hub has it, by the hub's names of the splits."""

    source: str
    tables: Mapping[str, Any]
    """The library's tables of one column, `image`, whose images stay encoded."""
    labels: Mapping[str, tuple[str | None, ...]]
    """The label of every image, None where there is none."""
    ignored: tuple[str, ...]

    @property
    def known(self) -> set[str]:
        """Return all labels that occur."""
        return {label for labels in self.labels.values() for label in labels if label is not None}


def load(argument: str, taxonomy: Path | None) -> Dataset:
    """Load `hf:NAME` with a taxonomy of its labels.

    The column `folder` of the taxonomy holds labels. Labels that it does not list are left out. The dataset's splits
    are kept; where its test split has no labels, the validation split takes its place, and where only one split has
    labels, images are split as in an image folder.

    Raises:
        UsageError: no name or no taxonomy is given, or the `datasets` library is not installed.
        DataError: the dataset is not to be had, has no images or labels, or does not fit the taxonomy.
    """
    if not argument:
        raise UsageError("Say which dataset: --dataset hf:NAME, a hub id or a local directory.")
    found = open_images(argument)
    name = Path(argument).name if Path(argument).expanduser().is_dir() else argument
    return as_dataset(f"hf:{name}", found, taxonomy_of(found.known, taxonomy))


def open_images(source: str) -> HubImages:
    """Open a dataset of the hub or of a local directory, download it if need be.

    Raises:
        UsageError: the `datasets` library is not installed.
        DataError: it is not to be had, or has no column of images or of labels.
    """
    import datasets

    parts, tables, labels = _load(source), {}, {}
    for name, part in sorted((name, part) for name, part in parts.items() if name.lower() in SPLITS):
        image, label = _columns(source, part)
        table = part.select_columns([image]).cast_column(image, datasets.Image(decode=False))
        tables[name] = table if image == "image" else table.rename_column(image, "image")
        labels[name] = tuple(_labels(part, label))
    found = HubImages(source, tables, labels, tuple(sorted(parts.keys() - tables.keys())))
    if not found.known:
        raise DataError(
            f"The dataset '{source}' has no labelled image. Expected splits named {', '.join(SPLITS)}, found "
            f"{', '.join(sorted(parts))}."
        )
    return found


def as_dataset(name: str, found: HubImages, listed: TaxonomyFile) -> Dataset:
    """Make the dataset of the images whose label the taxonomy lists.

    Raises:
        DataError: the taxonomy lists labels that the dataset does not have, or an image cannot be read.
    """
    lacking = sorted(set(listed.leaf_of_folder) - found.known)
    if lacking:
        raise DataError(
            f"The taxonomy lists {len(lacking)} labels without an image in '{found.source}': {first_few(lacking)}."
            f"{did_you_mean(lacking[0], found.known)} Its labels: "
            f"{first_few(sorted(found.known))}. Remove or correct those lines."
        )
    split_of = own_splits({name for name, labels in found.labels.items() if any(labels)})
    images = []
    for split, labels in found.labels.items():
        leaf_of = dict[str | None, str](listed.leaf_of_folder)
        leaves = {row: leaf_of[label] for row, label in enumerate(labels) if label in leaf_of}
        rows = list(leaves)
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            for row, stored in zip(batch, found.tables[split][batch]["image"], strict=True):
                image_id = f"{split}/{row:07d}"
                digest = xxhash.xxh3_128_hexdigest(_encoded(image_id, stored))
                images.append(ImageRecord(image_id, leaves[row], digest, split_of.get(split)))
    notes, unlisted = [*listed.notes], len(found.known - set(listed.leaf_of_folder))
    if unlisted:
        notes.append(f"{unlisted} of {len(found.known)} labels of '{found.source}' are not in the taxonomy: left out.")
    if found.ignored:
        notes.append(f"Splits of '{found.source}' that are not used: {', '.join(found.ignored)}.")
    images.sort(key=lambda image: image.id)
    kept, read = keep_leaves(listed.taxonomy, {image.leaf for image in images}), partial(_read, found)
    return Dataset(name, tuple(images), kept, DECODER, read, notes=tuple(notes))


def _load(source: str) -> Mapping[str, Any]:
    """Load a dataset of the hub or of a local directory; return its splits by name."""
    try:
        import datasets
    except ImportError:
        raise UsageError(
            f"The dataset '{source}' needs the datasets library: type 'pip install \"taxbench[hub]\"'."
        ) from None
    local = Path(source).expanduser()
    if not local.is_dir() and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise UsageError(f"No such folder: '{source}'. Expected a directory, or a hub id such as owner/name.")
    path = str(local.resolve()) if local.is_dir() else source
    saved = local.is_dir() and any((local / name).is_file() for name in ("dataset_dict.json", "state.json"))
    files = [file for kind in ("*.arrow", "*.parquet") for file in local.rglob(kind)] if local.is_dir() else []
    if pointer := next(filter(None, map(lfs_pointer, sorted(files))), None):
        raise DataError(pointer)
    try:
        opened = datasets.load_from_disk(path) if saved else datasets.load_dataset(path)
    except Exception as error:  # the library raises whatever it meets in files and on the network
        where = (
            "Expected what datasets.load_dataset understands: CLASS/*.jpg, train/CLASS/*.jpg, parquet files, or "
            "a folder of save_to_disk."
            if local.is_dir()
            else f"{with_network()}type 'hf download {source} --repo-type dataset' (after 'hf auth login' if it is "
            "gated) and run again, or give a local directory."
        )
        raise DataError(f"The dataset '{source}' cannot be loaded ({first_line(error)}). {where}") from None
    return opened if isinstance(opened, dict) else {"train": opened}


def _columns(source: str, part: Any) -> tuple[str, str]:
    """Return the names of the column of images and of the column of labels."""
    import datasets

    features: dict[str, Any] = part.features
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    strings = [name for name, kind in features.items() if getattr(kind, "dtype", "") in ("string", "large_string")]
    columns: list[str] = []
    for kind, found, usual in (("images", images, _IMAGES), ("labels", classes or strings, _LABELS)):
        chosen = next((name for name in usual if name in found), None) or (found[0] if len(found) == 1 else None)
        if chosen is None:
            there = f"{len(found)} columns of {kind}, none called" if found else f"no column of {kind}, such as"
            raise DataError(
                f"The dataset '{source}' has {there} {usual[0]}; found "
                f"{', '.join(f'{name} ({type(of).__name__})' for name, of in features.items())}. In Python, rename or "
                f"convert one: dataset.rename_column(NAME, '{usual[0]}').save_to_disk(FOLDER); then --dataset hf:FOLDER"
            )
        columns.append(chosen)
    return columns[0], columns[1]


def _labels(part: Any, column: str) -> Iterator[str | None]:
    """Yield the label of every row of a hub dataset's split as text, None where it has none."""
    import datasets

    kind = part.features[column]
    values = part.select_columns([column])[column]
    if isinstance(kind, datasets.ClassLabel):
        names = list(map(normal, kind.names))
        yield from (None if value is None or value < 0 else names[value] for value in values)
    else:
        yield from (normal(str(value)).strip() or None if value is not None else None for value in values)


def _encoded(name: str, stored: Mapping[str, Any] | None) -> bytes:
    """Return an image's bytes, which the table holds or only names the file of."""
    if stored is None:
        return b""
    if stored["bytes"] is not None:
        return bytes(stored["bytes"])
    try:
        return Path(stored["path"]).read_bytes()
    except OSError as error:
        raise DataError(f"The image '{name}' cannot be read: '{stored['path']}' ({error.strerror}).") from None


def _read(found: HubImages, image: ImageRecord) -> Image.Image:
    """Return the decoded picture of an image record from the table of its hub split."""
    split, _, number = image.id.partition("/")
    encoded = _encoded(image.id, found.tables[split][int(number)]["image"])
    return decode(io.BytesIO(encoded), f"The image '{image.id}' of '{found.source}'")
