"""A dataset: pictures, the leaf each one shows, splits, and the taxonomy over the leaves."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from taxbench.datasets.known import dataset_loader
from taxbench.registry.package_source import MISTAKES, package_failure
from taxbench.specs.spec import content_hash
from taxbench.taxonomy.norms import load_properties
from taxbench.taxonomy.properties import PropertyTable
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError, UsageError, unreadable
from taxbench.util.seeds import rng

Split = Literal["train", "val", "test"]

# As published: 70 / 5 / 25 % of each leaf's images (arXiv 2603.07474, section 4). Rounding the test part up gives the
# published number of test images of every concept of THINGS: 3 of 12, 4 of 13 to 16.
_VAL_SHARE, _TEST_SHARE = 0.05, 0.25
# A dataset that brings train and test only gives up this share of each leaf's training images for validation.
_VAL_OF_TRAIN = 0.10


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One picture. `split` is None where the dataset brings no splits of its own."""

    id: str
    leaf: str
    digest: str
    split: Split | None = None


@dataclass(frozen=True)
class Dataset:
    """Pictures in a fixed order, sorted by id."""

    name: str
    images: tuple[ImageRecord, ...]
    taxonomy: Taxonomy
    decoder: str
    read: Callable[[ImageRecord], Image.Image]
    """Decode one picture to RGB; raises DataError naming the file when it cannot. Must pickle, for other processes."""
    forms: Mapping[str, str] = field(default_factory=dict)
    """Terms as the dataset's authors say them, with their article; for tasks that ask for the dataset's own."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it was loaded, such as folders that are not used."""
    properties: PropertyTable = field(default_factory=PropertyTable)
    """What is true of leaves besides hypernyms; no part of the fingerprint, since only property tasks ask it."""
    file: Callable[[ImageRecord], Path] | None = None
    """Where the file of one picture lies; None: pictures are drawn, or lie in no files of their own."""

    frame_share: Callable[[ImageRecord], float] | None = None
    """Returns which share of a picture its object takes, where the dataset knows."""

    @cached_property
    def fingerprint(self) -> str:
        """Digest ids, contents, leaves, splits, the taxonomy, and the names and forms of terms where there are any."""
        rows = [[image.id, image.digest, image.leaf, image.split] for image in self.images]
        groups = {leaf: list(group) for leaf, group in self.taxonomy.hypernyms_of.items()}
        wording = {"names": dict(self.taxonomy.names), "forms": dict(self.forms)}
        said = {kind: terms for kind, terms in wording.items() if terms}
        return content_hash([rows, groups, said] if said else [rows, groups])

    @cached_property
    def images_digest(self) -> str:
        """Digest the ordered ids and contents: what the features depend on."""
        return content_hash([[image.id, image.digest] for image in self.images])


def load_dataset(name: str, taxonomy: Path | None = None, properties: Path | None = None) -> Dataset:
    """Load a dataset by the name users type: `pocket`, `things`, `folder:PATH`.

    Args:
        taxonomy: The table of its hypernyms, where it brings none.
        properties: A table of properties, or the name of published ones; they stand before the dataset's own.

    Raises:
        UsageError: no dataset has that name, or the package that offers it is broken.
        DataError: its files are missing or broken.
    """
    kind, _, argument = name.partition(":")
    loader = dataset_loader(name)
    try:
        dataset = loader(argument, taxonomy)
    except MISTAKES as error:
        if isinstance(error, OSError) and error.filename:
            raise DataError(unreadable(error)) from None
        if loader.__module__.startswith("taxbench."):
            raise
        raise package_failure(f"dataset '{kind}'", error) from error
    if not isinstance(dataset, Dataset):
        raise UsageError(
            f"The dataset '{kind}', of another package, returns a {type(dataset).__name__}, not a Dataset."
        )
    if properties is not None:
        table, known = load_properties(properties, dataset.taxonomy)
        both = PropertyTable({**dataset.properties.columns, **table.columns})
        dataset = replace(dataset, properties=both, notes=(*dataset.notes, *[known] * bool(known)))
    note = _duplicates(dataset.images)
    return replace(dataset, notes=(*dataset.notes, note)) if note else dataset


def first_images(dataset: Dataset, limit: int) -> Dataset:
    """Return a dataset with the first images of every leaf, by id; where it brings splits, of each of them."""
    seen = Counter[tuple[str, str | None]]()
    kept = []
    for image in dataset.images:
        seen[image.leaf, image.split] += 1
        if seen[image.leaf, image.split] <= limit:
            kept.append(image)
    return replace(dataset, images=tuple(kept))


def _duplicates(images: Sequence[ImageRecord]) -> str:
    """Say how many pictures are the same as others, byte for byte, and what that spoils; nothing where none are."""
    first: dict[str, ImageRecord] = {}
    pairs = [(first[image.digest], image) for image in images if first.setdefault(image.digest, image) is not image]
    if not pairs:
        return ""
    apart = [(a, b) for a, b in pairs if a.split != b.split]
    other = [(a, b) for a, b in pairs if a.leaf != b.leaf]
    a, b = (apart or other or pairs)[0]
    kinds = ((apart, "of them in another split"), (other, "under another leaf"))
    where = "".join(f", {len(some)} {what}" for some, what in kinds if some)
    drawn = "" if a.split else " Splits are drawn, and may test a head on what it was trained on."
    return f"{len(pairs)} pictures are the same as others, byte for byte{where}, such as '{a.id}' and '{b.id}'.{drawn}"


def first_twice(names: Sequence[str]) -> str | None:
    """Return the first name, in sorted order, that stands there more than once."""
    ordered = sorted(names)
    return next((name for name, other in pairwise(ordered) if name == other), None)


def assign_splits(dataset: Dataset, seed: int) -> np.ndarray:
    """Return the split of every image, the dataset's own where it has them.

    A function of the dataset's fingerprint and the seed, never of directory order.

    Returns:
        Array of "train", "val" or "test".  # (n,)
    """
    splits = np.array([image.split or "" for image in dataset.images], dtype="U5")  # (n,)
    members: dict[str, list[int]] = {leaf: [] for leaf in dataset.taxonomy.leaves}
    for index, image in enumerate(dataset.images):
        members[image.leaf].append(index)
    generator = rng(seed, "splits", dataset.fingerprint)
    brings_val = "val" in splits
    for leaf in dataset.taxonomy.leaves:
        mine = np.array(members[leaf], dtype=int)
        free = generator.permutation(mine[splits[mine] == ""])
        n_test, n_val = math.ceil(_TEST_SHARE * len(free)), round(_VAL_SHARE * len(free))
        if not n_val and len(free) - n_test > 1:  # up to ten pictures: one for validation where one is left to train on
            n_val = 1
        splits[free[:n_test]] = "test"
        splits[free[n_test : n_test + n_val]] = "val"
        splits[free[n_test + n_val :]] = "train"
        own = generator.permutation(mine[splits[mine] == "train"])
        if not brings_val and not len(free):
            splits[own[: min(max(1, round(_VAL_OF_TRAIN * len(own))), len(own) - 1)]] = "val"
    return splits
