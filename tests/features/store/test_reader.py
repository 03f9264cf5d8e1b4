"""Reading: right rows or an error, never wrong rows."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.features.store import reader
from taxbench.features.store.index import read_manifest
from taxbench.features.store.layout import NOT_FINITE, OK, UNDECODABLE
from taxbench.features.store.reader import as_float, open_shard
from taxbench.features.store.writer import shard_path
from taxbench.specs.feature_key import Layout
from taxbench.util.errors import CacheError
from tests.features.store.making import (
    PAGED,
    RAGGED,
    as_type,
    key_of,
    make_rows,
    names_of,
    open_made,
    skeleton_of,
    write_entry,
)

LAYOUTS = {
    "stitched": PAGED,
    "apart": RAGGED,
    "stitched bfloat16": as_type(PAGED, "bfloat16"),
    "apart bfloat16": as_type(RAGGED, "bfloat16"),
    "one shard": RAGGED.model_copy(update={"shard_rows": 256}),
}
EVERY = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[Layout, Path]:
    found = {}
    for name, layout in LAYOUTS.items():
        found[layout] = tmp_path_factory.mktemp(name.replace(" ", "-"))
        write_entry(found[layout], layout)
    return found


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint16)


@EVERY
def test_what_was_written_is_read(caches: dict[Layout, Path], layout: Layout) -> None:
    table, rows = open_made(caches[layout], layout), make_rows(layout)
    assert len(table) == layout.n and table.row_shape == (layout.t, layout.f) and table.nbytes == rows.nbytes
    assert table.ids == tuple(name for shard in range(layout.shards) for name, _ in names_of(layout, shard))
    assert (table.status == OK).all()
    assert np.array_equal(bits(table.take(np.arange(layout.n))), bits(rows))
    assert table.check_all() == []


@EVERY
@settings(max_examples=30, deadline=None)
@given(indices=st.lists(st.integers(0, PAGED.n - 1), max_size=40))
def test_rows_come_in_the_order_asked_for_with_repetitions(
    caches: dict[Layout, Path], layout: Layout, indices: list[int]
) -> None:
    table, rows = open_made(caches[layout], layout), make_rows(layout)
    wanted = np.array(indices, np.int64)
    assert np.array_equal(bits(table.take(wanted)), bits(rows[wanted]))
    out = np.full((len(indices), layout.t, layout.f), 7, rows.dtype)
    assert table.take(wanted, out=out) is out and np.array_equal(bits(out), bits(rows[wanted]))


@EVERY
@pytest.mark.parametrize("indices", [[-1], [140], [3, 140, 5], [0, -140], [2**40], [-(2**63)]])
def test_rows_out_of_range_are_an_error(caches: dict[Layout, Path], layout: Layout, indices: list[int]) -> None:
    table = open_made(caches[layout], layout)
    with pytest.raises(IndexError, match="Rows are 0 to 139"):
        table.take(np.array(indices))


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.int64])
def test_any_integers_are_indices(caches: dict[Layout, Path], kind: type) -> None:
    table, wanted = open_made(caches[PAGED], PAGED), np.arange(139, 0, -2).astype(kind)
    assert np.array_equal(table.take(wanted), make_rows(PAGED)[wanted])
    assert np.array_equal(table.take(wanted[::3]), make_rows(PAGED)[wanted[::3]])  # not contiguous


@EVERY
def test_passes_cover_all_rows_in_order(
    caches: dict[Layout, Path], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_PASS_BYTES", 10 * layout.row_bytes)
    table, next_row = open_made(caches[layout], layout), 0
    for rows, features in table.passes():
        assert rows.start == next_row and len(features) == rows.stop - rows.start <= 10
        assert np.array_equal(bits(features), bits(make_rows(layout)[rows]))
        next_row = rows.stop
    assert next_row == layout.n


@EVERY
def test_a_tensor_holds_the_same_bits_in_the_storage_type(caches: dict[Layout, Path], layout: Layout) -> None:
    found = open_made(caches[layout], layout).as_tensor()
    assert found.dtype == getattr(torch, layout.dtype) and found.shape == (layout.n, layout.t, layout.f)
    assert np.array_equal(found.view(torch.uint16).numpy(), bits(make_rows(layout)))


@EVERY
def test_pooled_is_the_mean_over_tokens(caches: dict[Layout, Path], layout: Layout) -> None:
    table = open_made(caches[layout], layout)
    expected = table.as_tensor().float().mean(1).numpy()
    found = table.pooled()
    assert found.dtype == np.float32 and found.shape == (layout.n, layout.f)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(values=st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_bfloat16_bits_become_the_floats_that_torch_says(values: list[float]) -> None:
    tensor = torch.tensor(values).to(torch.bfloat16).view(1, 1, -1)
    layout = Layout(n=1, t=1, f=len(values), dtype="bfloat16", block_rows=1, shard_rows=1)
    found = as_float(tensor.view(torch.uint16).numpy(), layout)
    assert np.array_equal(found, tensor.float().numpy())


def test_features_that_do_not_fit_into_memory_are_refused(
    caches: dict[Layout, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = open_made(caches[PAGED], PAGED)
    assert table.fits()
    monkeypatch.setattr(reader, "_available_memory", lambda: 2 * table.nbytes - 1)
    assert not table.fits()
    with pytest.raises(CacheError, match="do not fit into the free memory of 'cpu'"):
        table.as_tensor()


def test_stitched_and_separate_shards_serve_the_same(
    caches: dict[Layout, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stitched = open_made(caches[PAGED], PAGED)
    monkeypatch.setattr(reader.sys, "platform", "win32")
    apart = open_made(caches[PAGED], PAGED)
    assert (len(stitched._parts), len(apart._parts)) == (1, 5)
    wanted = np.random.default_rng(0).integers(0, PAGED.n, 300)
    assert np.array_equal(stitched.take(wanted), apart.take(wanted))
    assert np.array_equal(stitched.pooled(), apart.pooled())
    assert stitched.check_all() == apart.check_all() == []


def damage(path: Path, offset: int) -> None:
    with path.open("rb+") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 16]))


@pytest.mark.parametrize("layout", [PAGED, RAGGED], ids=["stitched", "apart"])
@pytest.mark.parametrize("row", [0, 37, 127, 139])
def test_a_damaged_block_is_named_and_the_others_are_served(tmp_path: Path, layout: Layout, row: int) -> None:
    folder, rows = write_entry(tmp_path, layout), make_rows(layout)
    shard, block = row // 32, row // 8
    path = shard_path(folder, shard)
    offset = skeleton_of(key_of(layout), layout, shard).offsets["features"] + row % 32 * layout.row_bytes
    damage(path, offset)
    last = min(layout.n, 8 * block + 8) - 1
    words = rf"{path}', block {block} \(rows {8 * block} to {last}\) does not match its digest.*: rm '{path}'"
    table = open_made(tmp_path, layout)
    others = np.flatnonzero(np.arange(layout.n) // 8 != block)
    assert np.array_equal(table.take(others), rows[others])
    for _ in range(2):  # it stays an error
        for wanted in (np.array([row]), np.array([8 * block]), np.arange(layout.n)):
            with pytest.raises(CacheError, match=words):
                table.take(wanted)
    for read in (table.pooled, table.as_tensor):
        with pytest.raises(CacheError, match=words):
            read()
    assert len(table.check_all()) == 1 and f"block {block} " in table.check_all()[0]


@pytest.mark.parametrize("name", ["ids", "contents", "status", "block_digests", "seal", "header"])
def test_damage_outside_the_rows_is_found_when_the_table_is_opened(tmp_path: Path, name: str) -> None:
    path = shard_path(write_entry(tmp_path, PAGED), 1)
    with h5py.File(path) as file:
        offset = path.read_bytes().find(b"abc") if name == "header" else file[name].id.get_offset()
    damage(path, offset)
    with pytest.raises(CacheError, match=f"'{path}'.*rm '{path}'"):
        open_made(tmp_path, PAGED)


@pytest.mark.parametrize("layout", [PAGED, RAGGED], ids=["stitched", "apart"])
@pytest.mark.parametrize("status", [UNDECODABLE, NOT_FINITE])
def test_rows_without_features_are_never_served(tmp_path: Path, layout: Layout, status: int) -> None:
    statuses = np.full(layout.n, OK, np.uint8)
    statuses[[10, 77]] = status
    write_entry(tmp_path, layout, status=statuses)
    table = open_made(tmp_path, layout)
    assert np.array_equal(table.status, statuses)
    good = np.flatnonzero(statuses == OK)
    assert np.array_equal(table.take(good), make_rows(layout)[good])
    for _ in range(2):
        with pytest.raises(CacheError, match=r"2 of the rows read have no features, first: image 'crow/bïrd77\.png'"):
            table.take(np.array([3, 77, 10]))
        for read in (table.pooled, table.as_tensor):
            with pytest.raises(CacheError, match=r"no features, first: image 'crow/bïrd10\.png'"):
                read()


def test_a_table_is_not_there_while_a_shard_is_missing(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, PAGED)
    path = shard_path(folder, 3)
    path.rename(f"{path}.partial")
    manifest = read_manifest(folder)
    assert manifest is not None and reader.open_table(folder, manifest) is None


def test_a_shard_of_another_place_is_named(tmp_path: Path) -> None:
    folder = write_entry(tmp_path / "a", PAGED)
    other = write_entry(tmp_path / "b", PAGED, key=key_of(PAGED, "other pictures"))
    path = shard_path(folder, 1)
    for stranger, words in ((shard_path(folder, 2), "shard 2"), (shard_path(other, 1), f"entry {other.name}")):
        path.write_bytes(stranger.read_bytes())
        with pytest.raises(CacheError, match=f"'{path}' belongs to another place: .*{words}"):
            open_made(tmp_path / "a", PAGED)


def test_a_shard_of_another_layout_is_named(tmp_path: Path) -> None:
    folder = write_entry(tmp_path / "a", PAGED)
    other = write_entry(tmp_path / "b", PAGED.model_copy(update={"block_rows": 4}))
    shard_path(folder, 0).write_bytes(shard_path(other, 0).read_bytes())
    with pytest.raises(CacheError, match=r"shard-00000\.h5' has another layout than '.*manifest\.json' says"):
        open_made(tmp_path / "a", PAGED)


def test_a_truncated_shard_is_named_at_every_length(tmp_path: Path) -> None:
    path = shard_path(write_entry(tmp_path, RAGGED), 2)
    whole = path.read_bytes()
    with h5py.File(path) as file:
        end = file["features"].id.get_offset() + 32 * RAGGED.row_bytes
    for length in [*range(0, end, 611), end - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(CacheError, match=f"rm '{path}'"):
            open_shard(path)


def test_no_hdf5_object_lives_on_and_a_fork_reads_while_its_parent_reads(caches: dict[Layout, Path]) -> None:
    table, rows = open_made(caches[PAGED], PAGED), make_rows(PAGED)
    kinds = h5py.h5f.OBJ_FILE | h5py.h5f.OBJ_DATASET | h5py.h5f.OBJ_GROUP | h5py.h5f.OBJ_ATTR
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, kinds) == 0
    child = os.fork()
    wanted = np.random.default_rng(child == 0).integers(0, PAGED.n, (50, 64))
    same = all(np.array_equal(table.take(batch), rows[batch]) for batch in wanted)
    if child == 0:
        os._exit(0 if same else 1)
    assert same and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
