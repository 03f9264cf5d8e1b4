"""Writing a shard: the same bytes however often it was stopped, and only what is broken is written again."""

import multiprocessing
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.features.store.layout import OK, UNDECODABLE
from taxbench.features.store.writer import partial_path, shard_path
from taxbench.specs.feature_key import Layout
from taxbench.util.errors import CacheError
from tests.features.store.making import (
    PAGED,
    RAGGED,
    as_type,
    fill,
    key_of,
    make_rows,
    skeleton_of,
    write_entry,
    writer_of,
)

BOTH = pytest.mark.parametrize("layout", [PAGED, RAGGED], ids=["paged", "ragged"])


def missing_blocks(folder: Path, layout: Layout, shard: int) -> list[int]:
    """Take a shard up and say which blocks a writer would write."""
    writer = writer_of(folder, layout, shard)
    missing = writer.missing_rows()
    writer.close()
    assert len(missing) == len(layout.rows_of(shard))
    return [i for i, start in enumerate(range(0, len(missing), layout.block_rows)) if missing[start]]


def written(folder: Path, layout: Layout, shard: int = 0) -> Path:
    """Write every block of a shard and do not seal it."""
    writer = writer_of(folder, layout, shard)
    fill(writer, layout, shard, make_rows(layout))
    writer.close()
    return partial_path(folder, shard)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("rb+") as file:
        file.seek(offset)
        file.write(data)


def flip(path: Path, offset: int) -> None:
    overwrite(path, offset, bytes([path.read_bytes()[offset] ^ 4]))


@BOTH
def test_the_same_rows_give_the_same_bytes_of_every_shard(tmp_path: Path, layout: Layout) -> None:
    one, two = write_entry(tmp_path / "a", layout), write_entry(tmp_path / "b", layout)
    for shard in range(layout.shards):
        assert shard_path(one, shard).read_bytes() == shard_path(two, shard).read_bytes()
    assert len({shard_path(one, shard).read_bytes() for shard in range(layout.shards)}) == layout.shards


@BOTH
@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(4)), stops=st.sets(st.integers(0, 3)))
def test_the_bytes_do_not_depend_on_the_order_of_blocks_nor_on_stops(
    tmp_path_factory: pytest.TempPathFactory, layout: Layout, order: list[int], stops: set[int]
) -> None:
    folder, rows = tmp_path_factory.mktemp("stopped"), make_rows(layout)
    writer = writer_of(folder, layout, 1)
    for done, block in enumerate(order):
        first = 32 + 8 * block
        writer.write(8 * block, rows[first : first + 8], np.full(8, OK, np.uint8))
        if done in stops:
            writer.close()
            assert missing_blocks(folder, layout, 1) == sorted(order[done + 1 :])
            writer = writer_of(folder, layout, 1)
    writer.seal()
    whole = write_entry(folder / "whole", layout)
    assert shard_path(folder, 1).read_bytes() == shard_path(whole, 1).read_bytes()


def test_several_blocks_at_once_are_the_same_as_one_by_one(tmp_path: Path) -> None:
    writer = writer_of(tmp_path, PAGED, 4)
    writer.write(0, make_rows(PAGED)[128:], np.full(12, OK, np.uint8))
    writer.seal()
    assert shard_path(tmp_path, 4).read_bytes() == shard_path(write_entry(tmp_path / "b", PAGED), 4).read_bytes()


@BOTH
def test_plain_h5py_reads_a_sealed_shard(tmp_path: Path, layout: Layout) -> None:
    folder = write_entry(tmp_path, layout)
    found = []
    for shard in range(layout.shards):
        with h5py.File(shard_path(folder, shard)) as file:
            found.append(file["features"][:])
    assert np.array_equal(np.concatenate(found), make_rows(layout))


def test_a_new_shard_takes_its_whole_space_at_once(tmp_path: Path) -> None:
    writer_of(tmp_path, PAGED, 0).close()
    stat = partial_path(tmp_path, 0).stat()
    assert stat.st_size == skeleton_of(key_of(PAGED), PAGED, 0).size
    assert stat.st_blocks * 512 >= stat.st_size


def test_a_resumed_shard_keeps_whole_blocks(tmp_path: Path) -> None:
    rows, ok = make_rows(PAGED), np.full(8, OK, np.uint8)
    writer = writer_of(tmp_path, PAGED, 0)
    writer.write(8, rows[8:16], ok)
    writer.close()
    assert missing_blocks(tmp_path, PAGED, 0) == [0, 2, 3]


def test_a_torn_block_is_written_again_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, PAGED)
    features = skeleton_of(key_of(PAGED), PAGED, 0).offsets["features"]
    overwrite(path, features + 10 * PAGED.row_bytes, bytes(PAGED.row_bytes))
    assert missing_blocks(tmp_path, PAGED, 0) == [1]


@pytest.mark.parametrize("layout", [PAGED, RAGGED, as_type(PAGED, "bfloat16")], ids=["paged", "ragged", "bfloat16"])
def test_a_flipped_bit_in_any_block_is_found_in_that_block(tmp_path: Path, layout: Layout) -> None:
    whole = written(tmp_path, layout).read_bytes()
    features = skeleton_of(key_of(layout), layout, 0).offsets["features"]
    for row in (0, 7, 8, 31):
        flip(partial_path(tmp_path, 0), features + row * layout.row_bytes + 3)
        assert missing_blocks(tmp_path, layout, 0) == [row // 8]
        partial_path(tmp_path, 0).write_bytes(whole)


@pytest.mark.parametrize("name", ["status", "block_digests"])
def test_status_and_digest_never_written_make_a_block_absent(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, PAGED)
    offset = skeleton_of(key_of(PAGED), PAGED, 0).offsets[name]
    overwrite(path, offset + (8 * 2 if name == "block_digests" else 17), bytes(1 if name == "status" else 8))
    assert missing_blocks(tmp_path, PAGED, 0) == [2]


def test_rows_of_zeros_without_a_digest_are_no_rows(tmp_path: Path) -> None:
    writer_of(tmp_path, PAGED, 0).close()
    assert missing_blocks(tmp_path, PAGED, 0) == [0, 1, 2, 3]


def test_a_partial_file_whose_fixed_bytes_changed_is_begun_anew(tmp_path: Path) -> None:
    whole = written(tmp_path, PAGED).read_bytes()
    for offset, data in skeleton_of(key_of(PAGED), PAGED, 0).parts:
        for place in (offset, offset + len(data) // 2, offset + len(data) - 1):
            flip(partial_path(tmp_path, 0), place)
            assert missing_blocks(tmp_path, PAGED, 0) == [0, 1, 2, 3]
            partial_path(tmp_path, 0).write_bytes(whole)


@pytest.mark.parametrize("change", ["short", "long", "empty"])
def test_a_partial_file_of_another_length_is_begun_anew(tmp_path: Path, change: str) -> None:
    path = written(tmp_path, PAGED)
    whole = path.read_bytes()
    path.write_bytes({"short": whole[:-1], "long": whole + b"x", "empty": b""}[change])
    assert missing_blocks(tmp_path, PAGED, 0) == [0, 1, 2, 3]
    assert path.stat().st_size == len(whole)


def test_a_partial_file_of_another_key_layout_or_shard_is_begun_anew(tmp_path: Path) -> None:
    whole = written(tmp_path / "cache", PAGED).read_bytes() if (tmp_path / "cache").mkdir() is None else b""
    for name, layout, shard, key in (
        ("key", PAGED, 0, key_of(PAGED, "other pictures")),
        ("layout", PAGED.model_copy(update={"block_rows": 4}), 0, key_of(PAGED)),
        ("shard", PAGED, 1, key_of(PAGED)),
    ):
        folder = tmp_path / name
        folder.mkdir()
        partial_path(folder, shard).write_bytes(whole)
        writer = writer_of(folder, layout, shard, key)
        assert writer.missing_rows().all()
        writer.close()


def test_a_seal_moves_the_shard_to_its_name_and_leaves_nothing_else(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, PAGED)
    names = {path.name for path in folder.iterdir()}
    assert names == {"lock", "manifest.json"} | {f"shard-{shard:05d}.h5" for shard in range(5)}
    with h5py.File(shard_path(folder, 0)) as file:
        assert file["seal"][...].any()


def test_an_unfinished_or_altered_shard_is_not_sealed_and_the_block_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, PAGED)
    writer = writer_of(tmp_path, PAGED, 0)
    flip(path, skeleton_of(key_of(PAGED), PAGED, 0).offsets["features"] + 17 * PAGED.row_bytes)
    with pytest.raises(CacheError, match=r"shard-00000\.h5\.partial', block 2: what was read back"):
        writer.seal()
    writer.close()
    assert path.is_file() and not shard_path(tmp_path, 0).is_file()
    assert missing_blocks(tmp_path, PAGED, 0) == [2]


def test_rows_without_features_count_as_written(tmp_path: Path) -> None:
    status = np.full(PAGED.n, OK, np.uint8)
    status[8:16] = UNDECODABLE
    writer = writer_of(tmp_path, PAGED, 0)
    fill(writer, PAGED, 0, make_rows(PAGED), status)
    assert not writer.missing_rows().any()
    writer.seal()
    with h5py.File(shard_path(tmp_path, 0)) as file:
        assert np.array_equal(file["status"][:], status[:32])


def _refused(folder: Path) -> str:
    try:
        writer_of(folder, PAGED, 0)
    except CacheError as error:
        return str(error)
    return ""


def test_a_folder_that_is_gone_is_reported_with_what_to_do(tmp_path: Path) -> None:
    told = _refused(tmp_path / "gone")
    assert "shard-00000.h5.partial' cannot be written (No such file or directory" in told
    assert "--cache DIR" in told and "run the same command again" in told


def _write_with_a_size_limit(folder: Path, limit: int, answers: "multiprocessing.SimpleQueue[str]") -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    answers.put(_refused(folder))


def test_a_file_size_limit_is_reported_before_anything_is_computed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_write_with_a_size_limit, args=(tmp_path, 50_000, answers))
    process.start()
    told = answers.get()
    process.join()
    assert "cannot be written (File too large" in told
    assert missing_blocks(tmp_path, PAGED, 0) == [0, 1, 2, 3]
