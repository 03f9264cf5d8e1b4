"""Features from elsewhere: read from every format, put in the dataset's order, refused when they do not fit."""

import json
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from taxbench.features.formats import FeatureFile, write_features
from taxbench.features.imported import ImportAs, import_features, imported_table
from taxbench.features.store.index import open_entry
from taxbench.specs.feature_key import Origin, StorageDtype
from taxbench.util.errors import DataError, UsageError
from taxbench.util.progress import Reporter
from tests.features.test_extract import features, numbered

QUIET = Reporter(quiet=True)
DATASET = numbered(130)
IDS = [image.id for image in DATASET.images]
ROWS = np.random.default_rng(0).normal(size=(130, 7)).astype(np.float16)
# The file holds other images too, in another order than the dataset.
ORDER = np.random.default_rng(1).permutation(130)
FILE_IDS = [*(IDS[i] for i in ORDER), "another"]
FILE_ROWS = np.vstack([ROWS[ORDER], np.zeros((1, 7), np.float16)])


def save(path: Path) -> Path:
    rows, ids = torch.from_numpy(FILE_ROWS.copy()), FILE_IDS
    match path.suffix:
        case ".npy":
            np.save(path, FILE_ROWS)
            path.with_suffix(".txt").write_text("\n".join(ids) + "\n")
        case ".npz":
            np.savez(path, features=FILE_ROWS, ids=np.array(ids))
        case ".pt":
            torch.save({"features": rows.bfloat16() if "bf16" in path.stem else rows, "ids": ids}, path)
        case ".safetensors":
            save_file({"features": rows}, path, {"ids": json.dumps(ids)})
        case _:
            with h5py.File(path, "w") as file:
                file.create_dataset("features", data=FILE_ROWS, chunks=(8, 7), compression="gzip")
                file.create_dataset("ids", data=[name.encode() for name in ids])
    return path


def named(name: str, storage: StorageDtype = "float16") -> ImportAs:
    return ImportAs(name, storage, Origin(dataset="made"))


def load(path: Path) -> FeatureFile:
    return FeatureFile(path, path.with_suffix(".txt") if path.suffix == ".npy" else None)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors", ".h5"])
def test_every_format_gives_the_rows_in_the_datasets_order(tmp_path: Path, suffix: str) -> None:
    entry = import_features(load(save(tmp_path / f"x{suffix}")), named("mine"), DATASET, tmp_path / "cache", QUIET)
    assert entry.name == "imported:mine" and entry.complete
    table = imported_table(tmp_path / "cache", "mine", DATASET)
    assert table.ids == tuple(IDS) and (table.take(np.arange(130))[:, 0] == ROWS).all()


def test_token_grids_and_bfloat16_keep_their_values(tmp_path: Path) -> None:
    grid = np.random.default_rng(2).normal(size=(130, 5, 3)).astype(np.float32) * 1e6  # too large for float16
    np.savez(tmp_path / "x.npz", features=grid, ids=np.array(IDS))
    with pytest.raises(DataError, match=r"image00000.*too large for float16: type --storage bfloat16"):
        import_features(load(tmp_path / "x.npz"), named("half"), DATASET, tmp_path, QUIET)
    import_features(load(tmp_path / "x.npz"), named("brain", "bfloat16"), DATASET, tmp_path, QUIET)
    values = imported_table(tmp_path, "brain", DATASET).as_tensor()
    assert torch.equal(values, torch.from_numpy(grid).bfloat16())


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_what_is_exported_can_be_imported_again(tmp_path: Path, suffix: str) -> None:
    table = features(DATASET, tmp_path / "a", pool="grid2")
    written = write_features(table, tmp_path / f"out{suffix}")
    file = FeatureFile(written[0], written[1] if len(written) > 1 else None)
    again = open_entry(import_features(file, named("again"), DATASET, tmp_path / "b", QUIET))
    assert (again.take(np.arange(130)) == table.take(np.arange(130))).all() and again.row_shape == (4, 48)
    if suffix == ".safetensors":
        assert torch.equal(load_file(written[0])["features"], table.as_tensor())


def test_importing_twice_is_one_entry_and_another_file_wants_another_name(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz")
    first = import_features(load(path), named("mine"), DATASET, tmp_path, QUIET)
    assert import_features(load(path), named("mine"), DATASET, tmp_path, QUIET).folder == first.folder
    np.savez(path, features=FILE_ROWS + 1, ids=np.array(FILE_IDS))
    with pytest.raises(UsageError, match=rf"other features 'imported:mine'.*cache gc {first.folder.name}"):
        import_features(load(path), named("mine"), DATASET, tmp_path, QUIET)


def test_features_that_cannot_be_used_leave_nothing_behind(tmp_path: Path) -> None:
    for rows, words in (
        (FILE_ROWS * np.nan, "are not all finite numbers"),
        (FILE_ROWS.astype(np.float32) * 1e-9, "float16 loses what tells the images of .* apart"),
        (FILE_ROWS.astype(np.float32) + 3e4, "float16 loses what tells the images of .* apart"),
    ):
        np.savez(tmp_path / "x.npz", features=rows, ids=np.array(FILE_IDS))
        with pytest.raises(DataError, match=words):
            import_features(load(tmp_path / "x.npz"), named("mine"), DATASET, tmp_path, QUIET)
    import_features(load(save(tmp_path / "x.npz")), named("mine"), DATASET, tmp_path, QUIET)  # the name is free
    for name in ("", "a b", "a,b", "a/b"):
        with pytest.raises(UsageError, match="Invalid name"):
            import_features(load(tmp_path / "x.npz"), named(name), DATASET, tmp_path, QUIET)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors", ".h5"])
@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04cut", b"\x93NUMPY\x01"])
def test_what_is_no_file_of_features_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    with pytest.raises(
        DataError, match=rf"x\{suffix}' cannot be read as features \({'it is empty' if not content else '.+'}\)"
    ):
        FeatureFile(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("rows", [
    np.zeros((2, 3), complex), np.zeros((2, 3), "datetime64[s]"), np.full((2, 3), "a"), np.zeros((2, 0)),
    np.zeros((2, 1, 0)), np.zeros((0, 3)),
])  # fmt: skip
def test_what_are_no_real_numbers_are_no_features(tmp_path: Path, rows: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", features=rows, ids=np.array(["a", "b"]))
    with pytest.raises(DataError, match=r"expected real numbers|expected \(n, f\) or"):
        FeatureFile(tmp_path / "x.npz")
    torch.save(torch.zeros(2, 3, dtype=torch.complex64), tmp_path / "x.pt")
    with pytest.raises(DataError, match="complex"):
        FeatureFile(tmp_path / "x.pt")


def test_ids_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    for name in ("nope.txt", "."):
        with pytest.raises(DataError, match=r"cannot be read \("):
            FeatureFile(tmp_path / "x.npy", tmp_path / name)
    (tmp_path / "ids.txt").write_text("\na.jpg \nb.jpg\t\n")
    assert FeatureFile(tmp_path / "x.npy", tmp_path / "ids.txt").ids == ("a.jpg", "b.jpg")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_objects_in_a_file_are_not_loaded_and_nothing_advises_to(tmp_path: Path, suffix: str) -> None:
    objects = np.array([{}, 1], dtype=object)
    ways = {
        ".npy": [lambda path: np.save(path, objects), lambda path: path.write_bytes(pickle.dumps({"a": 1}))],
        ".npz": [lambda path: np.savez(path, features=objects, ids=np.array(["a", "b"])),
                 lambda path: np.savez(path, features=np.zeros((2, 2)), ids=objects)],
        ".pt": [lambda path: torch.save({"features": np.zeros((2, 2)), "ids": ["a", "b"]}, path),
                lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)],
    }  # fmt: skip
    for save_objects in ways[suffix]:
        save_objects(path := tmp_path / f"x{suffix}")  # type: ignore[no-untyped-call]
        with pytest.raises(DataError, match=r"it holds Python objects besides numbers, or is damaged.*code") as raised:
            FeatureFile(path)
        assert not re.search("weights_only|allow_pickle|unsafe", str(raised.value))


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("pwned"),))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"features": np.zeros((3, 2)), "ids": np.array(["a", "b"])}, "2 ids for 3 rows"),
        ({"features": np.zeros((3, 2))}, "holds no 'ids'.*--ids FILE"),
        ({"features": np.zeros((2, 2)), "ids": np.array(["a", "a"])}, "'a' is duplicated"),
        ({"features": np.zeros(2), "ids": np.array(["a", "b"])}, r"shape \(2,\); expected \(n, f\)"),
        ({"image": np.zeros((2, 2)), "names": np.zeros(2)}, "expected 'features' and 'ids', found 'image', 'names'"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(
    tmp_path: Path, content: dict[str, np.ndarray], words: str
) -> None:
    np.savez(tmp_path / "x.npz", **content)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=words):
        FeatureFile(tmp_path / "x.npz")


def test_the_only_array_of_a_file_is_its_features(tmp_path: Path) -> None:
    rows, ids = np.ones((2, 3), np.float32), tmp_path / "ids.txt"
    ids.write_text("a.jpg\nb.jpg\n\n", encoding="utf-16")  # as editors leave it: a mark in front, a line behind
    np.savez(tmp_path / "x.npz", rows)
    torch.save({"image_features": torch.from_numpy(rows)}, tmp_path / "x.pt")
    save_file({"embeddings": torch.from_numpy(rows)}, tmp_path / "x.safetensors")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("clip", data=rows)
    for suffix in ("npz", "pt", "safetensors", "h5"):
        found = FeatureFile(tmp_path / f"x.{suffix}", ids)
        assert found.ids == ("a.jpg", "b.jpg") and (found.take(np.arange(2))[:, 0] == rows).all()


def test_a_pointer_of_git_lfs_is_no_file_of_features(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(DataError, match="is a git-lfs pointer"):
        FeatureFile(tmp_path / "x.npy")


def test_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Hostile(), tmp_path / "x.pt")
    with pytest.raises(DataError, match="could run code"):
        FeatureFile(tmp_path / "x.pt")
    assert not (tmp_path / "pwned").exists()
    np.save(tmp_path / "x.npy", np.array([Hostile()]), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        FeatureFile(tmp_path / "x.npy")


def test_images_without_features_and_names_that_are_not_there_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", features=np.zeros((1, 2)), ids=np.array(["image00001.jpg"]))
    with pytest.raises(DataError, match=r"130 of 130 images of made.*Did you mean 'image00001\.jpg'.*look like"):
        import_features(load(tmp_path / "x.npz"), named("mine"), DATASET, tmp_path, QUIET)
    import_features(load(save(tmp_path / "x.npz")), named("mine"), DATASET, tmp_path, QUIET)
    with pytest.raises(UsageError, match="Did you mean 'imported:mine'"):
        imported_table(tmp_path, "mien", DATASET)
    with pytest.raises(DataError, match=r"images of made \(130\), not of made \(131\)"):
        imported_table(tmp_path, "mine", numbered(131))
