"""Where rows lie: every writer agrees, pages are filled, and plain h5py finds everything."""

import math
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from taxbench.features.store.layout import (
    PAGE,
    Skeleton,
    TokenShape,
    block_digest,
    blocks_of,
    make_skeleton,
    plan_layout,
    seal_digest,
)
from taxbench.specs.feature_key import Layout
from tests.features.store.making import PAGED, RAGGED, key_of, names_of, skeleton_of

SHAPES = st.builds(TokenShape, t=st.integers(1, 1024), f=st.integers(1, 5000))


def _page_filling_rows(shapes: list[TokenShape]) -> int:
    """Return the fewest rows, in whole blocks, that fill pages for every shape."""
    return math.lcm(64, *(PAGE // math.gcd(PAGE, each.t * each.f * 2) for each in shapes))


@given(n=st.integers(1, 2_000_000), shapes=st.lists(SHAPES, min_size=1, max_size=4))
def test_shards_cover_the_rows_once_and_fill_whole_blocks_and_pages(n: int, shapes: list[TokenShape]) -> None:
    for shape in shapes:
        layout = plan_layout(n, shape, "float16", beside=shapes)
        ranges = [layout.rows_of(shard) for shard in range(layout.shards)]
        assert ranges[0].start == 0 and ranges[-1].stop == n
        assert all(one.stop == two.start for one, two in pairwise(ranges))
        assert all(len(rows) == layout.shard_rows for rows in ranges[:-1]) and len(ranges[-1]) > 0
        assert layout.shard_rows % layout.block_rows == 0
        size = layout.shard_rows * layout.row_bytes
        assert size % PAGE == 0 or _page_filling_rows(shapes) * max(each.t * each.f * 2 for each in shapes) > 1 << 30
        assert size <= max(1.5 * (1 << 30), 64 * layout.row_bytes)
        assert sum(blocks_of(layout, shard) for shard in range(layout.shards)) == math.ceil(n / layout.block_rows)
        assert layout.possible


@given(n=st.integers(1, 2_000_000), shapes=st.lists(SHAPES, min_size=1, max_size=4), order=st.randoms())
def test_all_features_of_a_pass_share_one_geometry_however_they_are_ordered(
    n: int, shapes: list[TokenShape], order: random.Random
) -> None:
    shuffled = list(shapes)
    order.shuffle(shuffled)
    plans = [plan_layout(n, shape, "float16", beside=shapes) for shape in shapes]
    plans += [plan_layout(n, shape, "bfloat16", beside=shuffled) for shape in shuffled]
    assert len({(plan.block_rows, plan.shard_rows) for plan in plans}) == 1


@given(n=st.integers(1, 2_000_000), shape=SHAPES)
def test_blocks_are_powers_of_two_up_to_64_rows_and_512_kb(n: int, shape: TokenShape) -> None:
    layout = plan_layout(n, shape, "float16")
    assert layout.block_rows in (1, 2, 4, 8, 16, 32, 64)
    assert layout.block_rows == 1 or layout.block_rows * layout.row_bytes <= 512 * 1024
    assert layout.block_rows == 64 or 2 * layout.block_rows * layout.row_bytes > 512 * 1024


@given(n=st.integers(1, 2_000_000), tokens=st.integers(1, 1024), width=st.sampled_from([384, 768, 1024, 1152, 2048]))
def test_shards_of_real_encoders_are_at_most_256_mb_or_64_rows(n: int, tokens: int, width: int) -> None:
    layout = plan_layout(n, TokenShape(tokens, width), "float16")
    assert layout.shard_rows * layout.row_bytes <= max(1.5 * (256 << 20), 64 * layout.row_bytes)
    assert layout.shards <= 24 or layout.shard_rows * layout.row_bytes >= (256 << 20) / 2


def file_of(skeleton: Skeleton, folder: Path) -> Path:
    path = folder / "empty.h5"
    with path.open("wb") as file:
        file.truncate(skeleton.size)
        for offset, data in skeleton.parts:
            file.seek(offset)
            file.write(data)
    return path


@pytest.mark.parametrize("layout", [PAGED, RAGGED], ids=["paged", "ragged"])
def test_plain_h5py_reads_an_empty_shard_contiguous_and_page_aligned(tmp_path: Path, layout: Layout) -> None:
    skeleton = skeleton_of(key_of(layout), layout, 4)
    with h5py.File(file_of(skeleton, tmp_path)) as file:
        assert sorted(file) == ["block_digests", "contents", "features", "ids", "seal", "status"]
        assert file["features"].shape == (12, layout.t, layout.f) and file["features"].dtype == np.float16
        assert file["status"].shape == (12,) and file["block_digests"].shape == (2,) and file["seal"].shape == (16,)
        assert [tuple(pair) for pair in zip(file["ids"].asstr()[:], file["contents"].asstr()[:], strict=True)] == (
            names_of(layout, 4)
        )
        assert file.attrs["header"] == skeleton.header
        for name, dataset in file.items():
            assert dataset.chunks is None and dataset.id.get_offset() % PAGE == 0, name
            assert skeleton.offsets.get(name, dataset.id.get_offset()) == dataset.id.get_offset()
        assert skeleton.size >= skeleton.offsets["features"] + 12 * layout.row_bytes
        assert not any(file[name][...].any() for name in ("features", "status", "block_digests", "seal"))


def test_bfloat16_is_kept_as_16_bits(tmp_path: Path) -> None:
    layout = PAGED.model_copy(update={"dtype": "bfloat16"})
    with h5py.File(file_of(skeleton_of(key_of(layout), layout, 0), tmp_path)) as file:
        assert file["features"].dtype == np.uint16


def test_the_same_shard_has_the_same_fixed_bytes_in_every_process() -> None:
    code = (
        "import hashlib; from tests.features.store.making import *;"
        "print(hashlib.sha256(repr(skeleton_of(key_of(PAGED), PAGED, 1)).encode()).hexdigest())"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_what_is_fixed_differs_with_key_layout_shard_and_names() -> None:
    key = key_of(PAGED)
    names = names_of(PAGED, 0)
    others = [
        make_skeleton(key, PAGED, 0, names),
        make_skeleton(key, PAGED, 1, names),
        make_skeleton(key_of(PAGED, "x"), PAGED, 0, names),
        make_skeleton(key, PAGED.model_copy(update={"block_rows": 16}), 0, names),
        make_skeleton(key, PAGED, 0, [("crow/other.png", names[0][1]), *names[1:]]),
        make_skeleton(key, PAGED, 0, [(names[0][0], "f" * 32), *names[1:]]),
    ]
    assert len({skeleton.parts for skeleton in others}) == len(others)


def test_a_block_digest_is_what_the_format_says() -> None:
    rows, status = bytes(range(256)), bytes([1, 2, 1])
    seed = xxhash.xxh3_64_intdigest(b"4e0c/17")
    assert block_digest("4e0c", 17, memoryview(rows), memoryview(status)) == xxhash.xxh3_64_intdigest(
        rows + status, seed=seed
    )


@given(rows=st.binary(max_size=64), status=st.binary(max_size=4), block=st.integers(0, 1000))
def test_a_block_digest_tells_entry_place_rows_and_status_apart_and_is_never_zero(
    rows: bytes, status: bytes, block: int
) -> None:
    one = block_digest("a", block, memoryview(rows), memoryview(status))
    others = {
        block_digest("b", block, memoryview(rows), memoryview(status)),
        block_digest("a", block + 1, memoryview(rows), memoryview(status)),
        block_digest("a", block, memoryview(rows + b"x"), memoryview(status)),
        block_digest("a", block, memoryview(rows), memoryview(status + b"x")),
    }
    assert one not in others and one != 0


def test_a_seal_is_what_the_format_says_and_covers_every_array() -> None:
    arrays = [np.array([b"one", b"three"]), np.array([b"c1", b"c2"]), np.ones(2, np.uint8), np.arange(2, dtype="<u8")]
    joined = b"head" + b"".join(array.tobytes() for array in arrays)
    assert seal_digest("head", arrays).tobytes() == xxhash.xxh3_128_digest(joined)
    for i, array in enumerate(arrays):
        changed = [*arrays[:i], array[::-1].copy() if i != 2 else array + np.uint8(1), *arrays[i + 1 :]]
        assert seal_digest("head", changed).tobytes() != seal_digest("head", arrays).tobytes()
