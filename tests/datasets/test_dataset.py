"""Splits and fingerprints of a dataset, whatever it was loaded from."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord, Split, assign_splits
from taxbench.taxonomy.taxonomy import Taxonomy


def blank(image: ImageRecord) -> Image.Image:
    return Image.new("RGB", (2, 2))


def dataset(counts: dict[str, int], split: Split | None = None) -> Dataset:
    images = [ImageRecord(f"{leaf}/{i:02d}", leaf, f"{leaf}{i}", split) for leaf in counts for i in range(counts[leaf])]
    return Dataset("toy", tuple(images), Taxonomy({leaf: ("thing",) for leaf in counts}), "none", blank)


@pytest.mark.parametrize(("images", "expected"), [
    (12, (8, 1, 3)), (13, (8, 1, 4)), (16, (11, 1, 4)), (17, (11, 1, 5)), (20, (14, 1, 5)),  # those published
    (1, (0, 0, 1)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (10, (6, 1, 3)),  # a few are enough for every part
])  # fmt: skip
def test_parts_are_those_published(images: int, expected: tuple[int, int, int]) -> None:
    found = assign_splits(dataset({"crow": images}), 42)
    assert tuple(Counter(found.tolist())[part] for part in ("train", "val", "test")) == expected
    assert images < 3 or (found != assign_splits(dataset({"crow": images}), 43)).any()


def test_validation_never_takes_the_only_training_picture() -> None:
    assert Counter(assign_splits(dataset({"crow": 1, "owl": 2}, "train"), 42).tolist()) == {"train": 2, "val": 1}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 3))
def test_every_image_is_in_one_part_and_every_leaf_is_tested(counts: list[int], seed: int) -> None:
    toy = dataset({f"leaf{i}": count for i, count in enumerate(counts)})
    splits = assign_splits(toy, seed).tolist()
    assert set(splits) <= {"train", "val", "test"}
    tested = Counter(image.leaf for image, split in zip(toy.images, splits, strict=True) if split == "test")
    assert tested == {f"leaf{i}": -(-count // 4) for i, count in enumerate(counts)}
    assert splits == assign_splits(toy, seed).tolist()


def test_own_splits_stand_and_validation_comes_from_training() -> None:
    toy = dataset({"crow": 20}, "train")
    splits = Counter(assign_splits(toy, 42).tolist())
    assert splits == {"train": 18, "val": 2}


def test_the_fingerprint_follows_names_and_forms_but_the_features_do_not() -> None:
    plain = dataset({"baton2": 4})
    named = replace(plain, taxonomy=Taxonomy(plain.taxonomy.hypernyms_of, {"baton2": "baton"}))
    formed = replace(plain, forms={"baton": "a baton"})
    noted = replace(plain, notes=("one folder is not used",))
    assert len({plain.fingerprint, named.fingerprint, formed.fingerprint}) == 3
    assert noted.fingerprint == plain.fingerprint
    assert {each.images_digest for each in (named, formed)} == {plain.images_digest}


def test_a_dataset_without_names_keeps_the_fingerprint_of_old() -> None:
    assert dataset({"crow": 2, "owl": 3}).fingerprint == "d22c532b13ebda66"
