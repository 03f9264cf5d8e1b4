"""Datasets through the datasets library: real files in every layout, without network."""

import io
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxbench.datasets.dataset import Dataset, assign_splits, load_dataset
from taxbench.util.errors import DataError, UsageError

datasets = pytest.importorskip("datasets")
TSV = "folder\tleaf\thypernyms\ncrow\tcrow\tbird|animal\nsea_gull\tgull\tbird|animal\nhammer\thammer\ttool\n"
LABELS = ["crow", "sea_gull", "hammer"]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub-cache")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def png(number: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def first_few(tmp_path: Path, text: str = TSV) -> Path:
    path = tmp_path / "taxonomy.tsv"
    path.write_text(text)
    return path


def parquet(root: Path, splits: dict[str, int], unlabelled: tuple[str, ...] = (), column: str = "animal") -> Path:
    """Write splits of `count` images a label as parquet files; a column named "label" holds strings."""
    root.mkdir(parents=True)
    kind = datasets.Value("string") if column == "label" else datasets.ClassLabel(names=LABELS)
    for split, count in splits.items():
        names = [name for name in LABELS for _ in range(count)]
        values = [name if column == "label" else LABELS.index(name) for name in names]
        table = datasets.Dataset.from_dict(
            {
                "note": ["x"] * len(names),
                "picture": [{"bytes": png(1000 * len(split) + i), "path": None} for i in range(len(names))],
                column: [-1] * len(names) if split in unlabelled else values,
            },
            datasets.Features({"note": datasets.Value("string"), "picture": datasets.Image(), column: kind}),
        )
        table.to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root


def splits_of(dataset: Dataset) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for image in dataset.images:
        found.setdefault(image.id.partition("/")[0], set()).add(image.split)
    return found


@pytest.mark.parametrize("column", ["animal", "label"])
def test_parquet_files_load_with_their_splits(tmp_path: Path, column: str) -> None:
    root = parquet(tmp_path / "birds", {"train": 4, "validation": 1, "test": 2}, column=column)
    dataset = load_dataset(f"hf:{root}", first_few(tmp_path))
    assert dataset.name == "hf:birds"
    assert dataset.taxonomy.leaves == ("crow", "gull", "hammer")
    assert Counter(image.leaf for image in dataset.images) == {"crow": 7, "gull": 7, "hammer": 7}
    assert splits_of(dataset) == {"train": {"train"}, "validation": {"val"}, "test": {"test"}}
    assert len({image.digest for image in dataset.images}) == 21
    assert Counter(assign_splits(dataset, 42).tolist()) == {"train": 12, "val": 3, "test": 6}


def test_the_image_is_taken_from_the_column_that_is_called_so(tmp_path: Path) -> None:
    kinds = datasets.Features({"mask": datasets.Image(), "image": datasets.Image(), "label": datasets.Value("string")})
    rows = [{"mask": {"bytes": png(0), "path": None}, "image": {"bytes": png(1 + i), "path": None}, "label": LABELS[i]}
            for i in range(len(LABELS))]  # fmt: skip
    (tmp_path / "d").mkdir()
    datasets.Dataset.from_list(rows, kinds).to_parquet(tmp_path / "d" / "train-00000-of-00001.parquet")
    dataset = load_dataset(f"hf:{tmp_path / 'd'}", first_few(tmp_path))
    assert len({image.digest for image in dataset.images}) == len(dataset.images) > 1


@pytest.mark.parametrize(("columns", "said"), [
    (("left", "right", "label"), "2 columns of images, none called image; found left (Image), right (Image), label (C"),
    (("image", "fine", "coarse"), "2 columns of labels, none called label; found image (Image), fine (ClassLabel), c"),
    (("image",), "no column of labels, such as label; found image (Image)"),
])  # fmt: skip
def test_of_several_columns_none_is_taken_silently(tmp_path: Path, columns: tuple[str, ...], said: str) -> None:
    images = ("image", "left", "right")
    classes = datasets.ClassLabel(names=LABELS)
    kinds = datasets.Features({name: datasets.Image() if name in images else classes for name in columns})
    rows = [{name: {"bytes": png(i), "path": None} if name in images else i for name in columns} for i in range(3)]
    datasets.Dataset.from_list(rows, kinds).save_to_disk(tmp_path / "d")
    with pytest.raises(DataError, match=re.escape(said) + r".*rename_column\(NAME, '\w+'\)\.save_to_disk\(FOLDER\)"):
        load_dataset(f"hf:{tmp_path / 'd'}", first_few(tmp_path))


def test_of_several_columns_of_labels_the_one_of_a_usual_name_is_taken(tmp_path: Path) -> None:
    kinds = {"image": datasets.Image(), "coarse_label": datasets.ClassLabel(names=["a"])}
    kinds |= {"fine_label": datasets.ClassLabel(names=LABELS)}
    rows = [{"image": {"bytes": png(i), "path": None}, "coarse_label": 0, "fine_label": i % 3} for i in range(9)]
    datasets.Dataset.from_list(rows, datasets.Features(kinds)).save_to_disk(tmp_path / "d")
    dataset = load_dataset(f"hf:{tmp_path / 'd'}", first_few(tmp_path))
    assert [image.leaf for image in dataset.images] == ["crow", "gull", "hammer"] * 3


def test_place_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    one, two = (parquet(tmp_path / place / "birds", {"train": 4, "test": 2}) for place in ("a", "b"))
    assert len({load_dataset(f"hf:{root}", first_few(tmp_path)).fingerprint for root in (one, two)}) == 1


@pytest.mark.parametrize(
    ("splits", "unlabelled", "expected"),
    [
        (("train",), (), {"train": {None}}),
        (("train", "validation"), (), {"train": {"train"}, "validation": {"test"}}),
        (("train", "validation", "test"), ("test",), {"train": {"train"}, "validation": {"test"}}),
        (("test",), (), {"test": {None}}),
    ],
)
def test_a_test_split_without_labels_is_replaced(
    tmp_path: Path, splits: tuple[str, ...], unlabelled: tuple[str, ...], expected: dict[str, set[str | None]]
) -> None:
    root = parquet(tmp_path / "birds", dict.fromkeys(splits, 4), unlabelled)
    dataset = load_dataset(f"hf:{root}", first_few(tmp_path))
    assert splits_of(dataset) == expected
    assert {"train", "test"} <= set(assign_splits(dataset, 42).tolist())


def test_an_image_folder_loads_and_other_processes_read_it(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for i, (split, name) in enumerate((split, name) for split in ("train", "test") for name in LABELS for _ in "ab"):
        (root / split / name).mkdir(parents=True, exist_ok=True)
        (root / split / name / f"{i}.png").write_bytes(png(i))
    dataset = load_dataset(f"hf:{root}", first_few(tmp_path))
    assert len(dataset.images) == 12
    code = (
        "import pickle, sys; read, image = pickle.load(sys.stdin.buffer);sys.stdout.buffer.write(read(image).tobytes())"
    )
    setup = pickle.dumps((dataset.read, dataset.images[3]))
    done = subprocess.run([sys.executable, "-c", code], input=setup, capture_output=True, check=True)
    assert done.stdout == dataset.read(dataset.images[3]).tobytes()


def test_a_saved_dataset_loads(tmp_path: Path) -> None:
    parts = datasets.load_dataset(str(parquet(tmp_path / "birds", {"train": 4, "test": 2})))
    parts.save_to_disk(tmp_path / "saved")
    dataset = load_dataset(f"hf:{tmp_path / 'saved'}", first_few(tmp_path))
    assert len(dataset.images) == 18 and dataset.read(dataset.images[-1]).size == (8, 8)


@pytest.mark.parametrize(
    "files",
    [{"state.json": '{"_data_files": []}', "dataset_info.json": "{}"}, {"dataset_dict.json": '{"splits": [1]}'},
     {"dataset_dict.json": "[]"}, {"state.json": "5", "dataset_info.json": "5"}],
)  # fmt: skip
def test_a_broken_saved_dataset_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "saved").mkdir()
    for name, text in files.items():
        (tmp_path / "saved" / name).write_text(text)
    with pytest.raises(DataError, match=r"saved' cannot be loaded .*save_to_disk"):
        load_dataset(f"hf:{tmp_path / 'saved'}", first_few(tmp_path))


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in LABELS:
        (root / name).mkdir(parents=True)
        (root / name / "0.png").write_bytes(png(0) if name != "crow" else b"\x89PNG no picture")
    dataset = load_dataset(f"hf:{root}", first_few(tmp_path))
    broken = next(image for image in dataset.images if image.leaf == "crow")
    with pytest.raises(DataError, match=f"image '{broken.id}' of .*photos' cannot be decoded"):
        dataset.read(broken)


def test_labels_outside_the_taxonomy_are_left_out_and_said(tmp_path: Path) -> None:
    root = parquet(tmp_path / "birds", {"train": 4, "test": 2, "extra": 1})
    dataset = load_dataset(f"hf:{root}", first_few(tmp_path, TSV[: TSV.index("hammer")]))
    assert {image.leaf for image in dataset.images} == {"crow", "gull"} == set(dataset.taxonomy.leaves)
    assert "1 of 3 labels" in dataset.notes[0]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    root = parquet(tmp_path / "birds", {"train": 2})
    with pytest.raises(DataError, match=r"without an image in .*: crowd.*Did you mean 'crow'"):
        load_dataset(f"hf:{root}", first_few(tmp_path, TSV.replace("crow\tcrow", "crowd\tcrow")))
    with pytest.raises(UsageError, match="--taxonomy wordnet"):
        load_dataset(f"hf:{root}")
    with pytest.raises(UsageError, match="Say which dataset"):
        load_dataset("hf:")
    with pytest.raises(DataError, match="hf download nobody/nothing --repo-type dataset"):
        load_dataset("hf:nobody/nothing", first_few(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"Expected what datasets\.load_dataset understands"):
        load_dataset(f"hf:{tmp_path / 'empty'}", first_few(tmp_path))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.csv").write_text("label,words\n1,2\n")
    with pytest.raises(DataError, match="no column of images"):
        load_dataset(f"hf:{tmp_path / 'text'}", first_few(tmp_path))
    unlabelled = parquet(tmp_path / "unlabelled", {"test": 2}, ("test",))
    with pytest.raises(DataError, match="no labelled image"):
        load_dataset(f"hf:{unlabelled}", first_few(tmp_path))
