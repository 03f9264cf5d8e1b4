"""CIFAR-100: the archive packed and unpacked, and files that are not the published ones."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxbench.datasets.cifar100 import _MD5, TAXONOMY
from taxbench.datasets.dataset import load_dataset
from taxbench.taxonomy.taxonomy import read_rows
from taxbench.util.errors import DataError, UsageError

CLASSES = [row.folder for row in read_rows(TAXONOMY)]
Tables = dict[str, dict[Any, Any]]


def tables() -> Tables:
    """Make an archive of two training images and one test image a class, with the keys of the real one."""
    rng = np.random.default_rng(0)
    made: Tables = {"meta": {"fine_label_names": CLASSES}}
    for split, each in (("train", 2), ("test", 1)):
        labels = [index for index in range(100) for _ in range(each)]
        made[split] = {"data": rng.integers(0, 255, (len(labels), 3072), np.uint8), "fine_labels": labels}
    return made


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the small archive for the published one."""
    for name, table in tables().items():
        monkeypatch.setitem(_MD5, name, hashlib.md5(pickle.dumps(table, 2)).hexdigest())


def unpacked(root: Path, made: Tables) -> Path:
    (root / "cifar-100-python").mkdir(parents=True)
    for name, table in made.items():
        (root / "cifar-100-python" / name).write_bytes(pickle.dumps(table, 2))
    return root


def packed(root: Path, made: Tables) -> Path:
    root.mkdir(parents=True)
    with tarfile.open(root / "cifar-100-python.tar.gz", "w:gz") as archive:
        for name, table in made.items():
            content = pickle.dumps(table, 2)
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return root


def test_the_taxonomy_has_all_classes_under_the_superclasses() -> None:
    rows = read_rows(TAXONOMY)
    groups = {hypernym for row in rows for hypernym in row.hypernyms}
    assert len(rows) == 100 and len(groups) == 19
    sizes = sorted(sum(group in row.hypernyms for row in rows) for group in groups)
    assert sizes == [5] * 18 + [10]  # both superclasses of vehicles are one
    assert all(len(row.hypernyms) == 1 and "_" not in row.leaf + row.hypernyms[0] for row in rows)


@pytest.mark.parametrize(
    ("make", "inside"),
    [(unpacked, "."), (unpacked, "cifar-100-python"), (packed, "."), (packed, "cifar-100-python.tar.gz")],
)
def test_it_loads_wherever_the_path_points(tmp_path: Path, make: Callable[[Path, Tables], Path], inside: str) -> None:
    made = tables()
    path = make(tmp_path / "cifar100", made) / inside
    dataset = load_dataset(f"cifar100:{path}")
    assert len(dataset.taxonomy.leaves) == 100 and "aquarium fish" in dataset.taxonomy.leaves
    assert [image.split for image in dataset.images] == ["test"] * 100 + ["train"] * 200
    read = pickle.loads(pickle.dumps(dataset.read))
    image = dataset.images[107]
    assert (image.id, image.leaf) == ("train/00007", "bear")  # the fourth class
    pixels = np.asarray(read(image))
    assert pixels.shape == (32, 32, 3)
    assert (pixels.transpose(2, 0, 1).ravel() == made["train"]["data"][7]).all()


def test_packing_does_not_change_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load_dataset(f"cifar100:{packed(tmp_path / 'a' / 'cifar100', tables())}")
    monkeypatch.setenv("TAXBENCH_DATA", str(tmp_path / "b"))
    unpacked(tmp_path / "b" / "cifar100", tables())
    assert load_dataset("cifar100").fingerprint == one.fingerprint


def test_a_taxonomy_of_ones_own_takes_some_classes(tmp_path: Path) -> None:
    listed = tmp_path / "few.tsv"
    listed.write_text("class\thypernyms\nbee\tinsect\nwolf\tmammal|animal\n")
    root = unpacked(tmp_path / "cifar100", tables())
    dataset = load_dataset(f"cifar100:{root}", listed)
    assert dataset.taxonomy.hypernyms == ("animal", "insect", "mammal") and len(dataset.images) == 6
    listed.write_text("class\thypernyms\nunicorn\tanimal\n")
    with pytest.raises(DataError, match="does not have: unicorn"):
        load_dataset(f"cifar100:{root}", listed)


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("name", ["train", "meta"])
def test_a_broken_or_harmful_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    root = unpacked(tmp_path / "cifar100", tables() | {name: {"data": _Harm()}})
    with pytest.raises(DataError, match=f"'{name}' in .* is not what was published"):
        load_dataset(f"cifar100:{root}")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("damage", ["short", "pixel"])
def test_a_damaged_archive_is_named(tmp_path: Path, damage: str) -> None:
    root = packed(tmp_path / "cifar100", tables())
    archive = root / "cifar-100-python.tar.gz"
    content = bytearray(archive.read_bytes())
    if damage == "short":
        del content[5000:]
    else:  # as a copy on a bad disk: stored blocks, which unpack in any case
        raw = gzip.decompress(content)
        content = bytearray(gzip.compress(raw, 0))
        content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="Download the archive again"):
        load_dataset(f"cifar100:{root}")


def test_absence_says_what_to_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"(?s)cs\.toronto\.edu.*mkdir.*cifar100:"):
        load_dataset(f"cifar100:{tmp_path}")
    monkeypatch.setenv("TAXBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")
    with pytest.raises(UsageError, match=r"(?s)nor through the hub.*cs\.toronto\.edu.*uoft-cs/cifar100"):
        load_dataset("cifar100")
