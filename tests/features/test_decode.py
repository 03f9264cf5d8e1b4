"""Decoding processes: in order, in bounded memory, and gone when the program is, however it ends."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxbench.datasets.dataset import ImageRecord
from taxbench.features.decode import DecodePool, resize
from taxbench.util.errors import DataError
from tests.features.test_extract import CARD, draw

SIZE = CARD.preprocessing


def batches(n: int, rows: int) -> list[tuple[ImageRecord, ...]]:
    return [tuple(ImageRecord(f"i{b}-{r}", "crow", str(b * rows + r)) for r in range(rows)) for b in range(n)]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_batches_come_back_decoded_and_in_order(workers: int) -> None:
    asked = batches(12, 3)
    with DecodePool(draw, SIZE, 3, workers) as pool:
        for images, found in zip(asked, pool.map(asked), strict=True):
            assert found.good.all()
            assert (found.pixels == np.stack([resize(draw(image), SIZE) for image in images])).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_cannot_be_decoded_is_marked_and_zero(workers: int) -> None:
    images = (ImageRecord("a", "crow", "1"), ImageRecord("b", "crow", "broken"))
    with DecodePool(draw, SIZE, 4, workers) as pool:
        (found,) = pool.map([images])
        assert found.good.tolist() == [True, False] and found.pixels[0].any() and not found.pixels[1].any()


def die(image: ImageRecord) -> Image.Image:
    """Stand in for a decoder that crashes."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_little_shared_memory_is_made_up_for_by_a_disk_and_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, allocate = [], os.posix_fallocate

    def full(fd: int, start: int, size: int) -> None:
        taken.append(os.readlink(f"/proc/self/fd/{fd}"))
        if len(taken) != 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(fd, start, size)

    monkeypatch.setattr(os, "posix_fallocate", full)
    with DecodePool(draw, SIZE, 3, 2) as pool:
        assert all(found.good.all() for found in pool.map(batches(4, 3)))
    assert taken[0].startswith("/dev/shm/") and not taken[1].startswith("/dev/shm/")
    with pytest.raises(DataError, match=r"no room for 0 MB .*set TMPDIR.*--workers 0"):
        DecodePool(draw, SIZE, 3, 2)


def test_a_process_that_dies_is_an_error_that_names_the_images() -> None:
    with (
        DecodePool(die, SIZE, 2, 2) as pool,
        pytest.raises(DataError, match=r"signal 9.*'i0-0' to 'i0-1'.*--workers 0"),
    ):
        list(pool.map(batches(4, 2)))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_program_leaves_no_process_and_no_memory_behind() -> None:
    code = (
        "from tests.features.test_decode import *; import time\n"
        "with DecodePool(draw, SIZE, 2, 2) as pool:\n"
        "    next(pool.map(batches(9, 2))); print('ready', flush=True); time.sleep(60)"
    )
    before = set(os.listdir("/dev/shm"))
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    helpers = children(program.pid)
    assert len(helpers) == 2
    program.kill()
    program.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in helpers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in helpers)
    assert set(os.listdir("/dev/shm")) <= before
