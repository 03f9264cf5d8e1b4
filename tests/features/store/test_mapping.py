"""Mapping: one array over all files where pages allow it, one for each file elsewhere, and always the same rows."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.features.store.reader import Extent, map_extents

F2 = np.dtype("<f2")
PAGE_ROW = (2, 1024)  # 4,096 bytes
SHORT_ROW = (3, 5)


def make_files(folder: Path, counts: list[int], row: tuple[int, ...], offset: int) -> tuple[list[Extent], np.ndarray]:
    rows = np.random.default_rng(len(counts)).normal(size=(sum(counts), *row)).astype(F2)
    extents, first = [], 0
    for i, count in enumerate(counts):
        path = folder / f"rows-{i}"
        path.write_bytes(b"\xff" * offset + rows[first : first + count].tobytes() + b"\xff" * 100)
        extents.append(Extent(path, offset, count))
        first += count
    return extents, rows


def mapped_files(folder: Path) -> set[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split("/")[-1] for line in lines if str(folder) in line}


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="stitching needs mmap with fixed addresses")
def test_files_that_fill_pages_become_one_array(tmp_path: Path) -> None:
    extents, rows = make_files(tmp_path, [3, 5, 2], PAGE_ROW, 8192)
    (whole,) = map_extents(extents, PAGE_ROW, F2)
    assert np.array_equal(whole, rows)


def test_files_that_do_not_fill_pages_become_an_array_each(tmp_path: Path) -> None:
    extents, rows = make_files(tmp_path, [3, 5, 2], SHORT_ROW, 4096)
    parts = map_extents(extents, SHORT_ROW, F2)
    assert [len(part) for part in parts] == [3, 5, 2] and np.array_equal(np.concatenate(parts), rows)


def test_an_offset_within_a_page_is_honoured(tmp_path: Path) -> None:
    extents, rows = make_files(tmp_path, [3, 5], PAGE_ROW, 4096 + 10)
    assert np.array_equal(np.concatenate(map_extents(extents, PAGE_ROW, F2)), rows)


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    width=st.sampled_from([1, 7, 512, 2048, 4096]),
    pages=st.integers(0, 3),
    skip=st.sampled_from([0, 2, 1000]),
)
def test_whatever_the_sizes_the_rows_are_those_of_the_files(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], width: int, pages: int, skip: int
) -> None:
    extents, rows = make_files(tmp_path_factory.mktemp("map"), counts, (width,), pages * 4096 + skip)
    assert np.array_equal(np.concatenate(map_extents(extents, (width,), F2)), rows)


@pytest.mark.parametrize("row", [PAGE_ROW, SHORT_ROW], ids=["stitched", "apart"])
def test_arrays_cannot_be_written(tmp_path: Path, row: tuple[int, ...]) -> None:
    extents, _ = make_files(tmp_path, [3, 5], row, 4096)
    for part in map_extents(extents, row, F2):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            part.setflags(write=True)


@linux
@pytest.mark.parametrize("row", [PAGE_ROW, SHORT_ROW], ids=["stitched", "apart"])
def test_memory_is_given_back_when_the_last_array_is(tmp_path: Path, row: tuple[int, ...]) -> None:
    extents, rows = make_files(tmp_path, [3, 5], row, 4096)
    parts = map_extents(extents, row, F2)
    assert mapped_files(tmp_path) == {"rows-0", "rows-1"}
    last = parts[-1][-1:, 0]  # of the second file, where there are two arrays
    del parts
    gc.collect()
    assert "rows-1" in mapped_files(tmp_path)
    assert np.array_equal(last, rows[-1:, 0])
    del last
    gc.collect()
    assert not mapped_files(tmp_path)


@linux
def test_no_file_stays_open(tmp_path: Path) -> None:
    extents, _ = make_files(tmp_path, [3, 5], PAGE_ROW, 4096)
    parts = map_extents(extents, PAGE_ROW, F2)
    opened = {str(path.resolve()) for path in Path("/proc/self/fd").iterdir() if path.exists()}
    assert not any(str(tmp_path) in path for path in opened) and len(parts) == 1


@linux
def test_a_file_that_cannot_be_mapped_leaves_nothing_mapped(tmp_path: Path) -> None:
    extents, _ = make_files(tmp_path, [3, 5], PAGE_ROW, 4096)
    with pytest.raises(FileNotFoundError):
        map_extents([extents[0], Extent(tmp_path / "gone", 4096, 5)], PAGE_ROW, F2)
    gc.collect()
    assert not mapped_files(tmp_path)
