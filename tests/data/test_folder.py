"""An image folder: layouts, and every way it can be wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxbench.data.dataset import load_dataset
from taxbench.data.folder import class_names
from taxbench.errors import DataError, TaxbenchError, UsageError

TSV = "folder\tleaf\thypernyms\nn1\tcrow\tbird|animal\nn2\tgull\tbird|animal\nn3\thammer\ttool\n"


def make(root: Path, layout: str = "{split}/{name}", names: tuple[str, ...] = ("n1", "n2", "n3")) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in names:
            for index in range(4):
                path = root / layout.format(split=split, name=name) / f"{split}{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    taxonomy = root.parent / "taxonomy.tsv"
    taxonomy.write_text(TSV)
    return root, taxonomy


@pytest.mark.parametrize("layout", ["{split}/{name}", "{name}"])
def test_both_layouts_load(tmp_path: Path, layout: str) -> None:
    root, taxonomy = make(tmp_path / "photos", layout)
    dataset = load_dataset(f"folder:{root}", taxonomy)
    assert len(dataset.images) == 24
    assert dataset.taxonomy.leaves == ("crow", "gull", "hammer")
    assert {image.split for image in dataset.images} == ({"train", "test"} if "split" in layout else {None})
    assert dataset.read(dataset.images[0]).mode == "RGB"


def test_the_fingerprint_follows_pixels_not_place(tmp_path: Path) -> None:
    one = load_dataset(*spec(make(tmp_path / "a" / "photos")))
    two = load_dataset(*spec(make(tmp_path / "b" / "photos")))
    assert one.fingerprint == two.fingerprint
    Image.new("RGB", (16, 16)).save(tmp_path / "b" / "photos" / one.images[0].id)
    assert load_dataset(f"folder:{tmp_path}/b/photos", tmp_path / "b" / "taxonomy.tsv").fingerprint != one.fingerprint


def spec(made: tuple[Path, Path]) -> tuple[str, Path]:
    return f"folder:{made[0]}", made[1]


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (root / "train" / "n1" / "train0.png").write_bytes(b"\x89PNG no picture")
    dataset = load_dataset(f"folder:{root}", taxonomy)
    broken = next(image for image in dataset.images if image.id == "train/n1/train0.png")
    with pytest.raises(DataError, match=r"train0\.png' cannot be decoded"):
        dataset.read(broken)


@pytest.mark.parametrize(
    ("tsv", "words"),
    [
        (TSV + "n4\towl\tbird\n", "names 1 class folders without an image.*n4"),
        (TSV.replace("n1\t", "n9\t"), "1 of 3 class folders of '.*' are not in the taxonomy: n1"),
        (TSV + "n1\tcrow\tbird|animal\n", "listed twice"),
        (TSV.replace("n2\tgull\tbird|animal", "n2\tcrow\tbird"), "different hypernyms"),
        (TSV.replace("leaf\thypernyms", "leaf\tparents"), "expected a tab-separated header"),
        ("", "expected a tab-separated header"),
        ("folder\tleaf\thypernyms\n", "lists no leaf"),
    ],
)
def test_a_taxonomy_that_does_not_fit_is_refused(tmp_path: Path, tsv: str, words: str) -> None:
    root, taxonomy = make(tmp_path / "photos")
    taxonomy.write_text(tsv)
    with pytest.raises(DataError, match=words):
        load_dataset(f"folder:{root}", taxonomy)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty" / "n1").mkdir(parents=True)
    taxonomy = tmp_path / "t.tsv"
    taxonomy.write_text(TSV)
    cases: list[tuple[str, Path | None, type[TaxbenchError], str]] = [
        (f"folder:{tmp_path}/empty", taxonomy, DataError, "holds no image"),
        (f"folder:{tmp_path}/nowhere", taxonomy, UsageError, "There is no folder"),
        (f"folder:{tmp_path}/empty", None, UsageError, "--taxonomy"),
        ("folder:", taxonomy, UsageError, "Say which folder"),
        (f"folder:{tmp_path}/empty", tmp_path / "no.tsv", UsageError, "no taxonomy file"),
        ("pockett", None, UsageError, "Did you mean 'pocket'"),
    ]
    for name, path, kind, words in cases:
        with pytest.raises(kind, match=words):
            load_dataset(name, path)


@pytest.mark.parametrize("names", [("crow", "gull", "hammer"), ("crow.n.01", "gull.n.02", "hammer.n.02")])
def test_the_taxonomy_can_come_from_wordnet(tmp_path: Path, names: tuple[str, ...]) -> None:
    root, _ = make(tmp_path / "photos", names=(*names, "robin", "thrush", "finch", "wren"))
    dataset = load_dataset(f"folder:{root}", Path("wordnet"))
    assert len(dataset.taxonomy.leaves) == 7
    assert dataset.taxonomy.leaves_of["animal"] == ("crow", "finch", "gull", "robin", "thrush", "wren")
    assert {image.leaf for image in dataset.images} == set(dataset.taxonomy.leaves)


def test_both_layouts_name_the_same_classes(tmp_path: Path) -> None:
    for layout in ("{split}/{name}", "{name}"):
        root, _ = make(tmp_path / layout.replace("/", "_") / "photos", layout)
        assert class_names(root) == ["n1", "n2", "n3"]
