"""The feature cache: right rows or an error, never wrong rows."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from taxbench.errors import CacheError
from taxbench.features.store import entry_path, nearest_difference, read_table, write_table
from taxbench.specs.features import FeatureKey, Preprocessing

KEY = FeatureKey(
    encoder_digest="abc",
    tower="whole",
    prefix_tokens=1,
    pooled="mean",
    pool="pooled",
    preprocessing=Preprocessing(
        height=224, width=224, resample="bicubic", rescale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    ),
    decoder="pillow 11",
    compute_dtype="float32",
    images_digest="def",
    n_images=7,
)
IDS = tuple(f"image{i}" for i in range(7))


def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, 2, 5)).astype(np.float16)


def test_what_is_written_is_read_and_plain_h5py_reads_it_too(tmp_path: Path) -> None:
    write_table(tmp_path, KEY, rows(), IDS)
    table = read_table(tmp_path, KEY)
    assert table is not None
    assert (table.array == rows()).all() and table.ids == IDS and table.shape == (2, 5)
    with h5py.File(entry_path(tmp_path, KEY)) as file:
        assert (file["features"][:] == rows()).all()
        assert file["features"].chunks is None  # contiguous


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, KEY, rows(), IDS)
    assert entry_path(tmp_path / "a", KEY).read_bytes() == entry_path(tmp_path / "b", KEY).read_bytes()


def test_a_truncated_or_altered_file_is_refused_with_the_command_to_type(tmp_path: Path) -> None:
    write_table(tmp_path, KEY, rows(), IDS)
    path = entry_path(tmp_path, KEY)
    whole = path.read_bytes()
    for cut in range(0, len(whole), len(whole) // 9):
        path.write_bytes(whole[:cut])
        with pytest.raises(CacheError, match=f"rm '{path}'"):
            read_table(tmp_path, KEY)
    with h5py.File(entry_path(tmp_path, KEY), "w") as file:
        file["other"] = 1
    with pytest.raises(CacheError, match="broken"):
        read_table(tmp_path, KEY)
    start = whole.find(rows().tobytes())
    assert start > 0
    for offset in range(start, start + rows().nbytes, 13):
        flipped = bytearray(whole)
        flipped[offset] ^= 4
        path.write_bytes(bytes(flipped))
        with pytest.raises(CacheError, match="altered"):
            read_table(tmp_path, KEY)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = rows()
    bad[3, 0, 0] = np.inf
    with pytest.raises(CacheError, match=r"1 images are not finite.*image3"):
        write_table(tmp_path, KEY, bad, IDS)
    assert not list(tmp_path.rglob("*.h5"))
    with pytest.raises(CacheError, match="announces 7"):
        write_table(tmp_path, KEY, rows()[:6], IDS)


CHANGES: dict[str, object] = {
    "schema_version": 2, "encoder_digest": "x", "tower": "vision_model", "prefix_tokens": 5, "pooled": "cls",
    "layer": -2,
    "pool": "tokens", "decoder": "pillow 12", "compute_dtype": "bfloat16", "images_digest": "x", "n_images": 8,
}  # fmt: skip
SIZES: dict[str, object] = {
    "height": 256, "width": 256, "resample": "bilinear", "rescale": 1.0, "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
}  # fmt: skip


def test_every_field_that_changes_a_feature_changes_the_key() -> None:
    fixed = {"preprocessing", "storage_dtype"}  # the first is taken apart below, the second has one value
    assert set(CHANGES) | fixed == set(FeatureKey.model_fields)
    assert set(SIZES) == set(Preprocessing.model_fields)
    others = [KEY.model_copy(update={name: value}) for name, value in CHANGES.items()]
    for name, value in SIZES.items():
        others.append(KEY.model_copy(update={"preprocessing": KEY.preprocessing.model_copy(update={name: value})}))
    assert len({key.digest for key in (KEY, *others)}) == 1 + len(others)


def test_a_miss_names_the_field_that_differs(tmp_path: Path) -> None:
    assert nearest_difference(tmp_path, KEY) == []
    write_table(tmp_path, KEY, rows(), IDS)
    wanted = KEY.model_copy(update={"preprocessing": KEY.preprocessing.model_copy(update={"height": 256})})
    assert read_table(tmp_path, wanted) is None
    assert nearest_difference(tmp_path, wanted) == ["preprocessing.height 224 → 256"]
