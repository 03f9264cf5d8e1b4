"""Decode and resize pictures in processes of their own, into memory that the encoder reads without a copy.

Run as a program (`python -m taxbench.features.decode FD FD`), this file is one such process. They are started as
programs, not forked: a fork would inherit torch's threads and the accelerator's state, and would need the user's
script to be importable. So nothing heavy is imported here.
"""

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import Pipe as pipe
from types import TracebackType
from typing import IO, Self

import numpy as np
from PIL import Image

from taxbench.datasets.dataset import ImageRecord
from taxbench.specs.feature_key import Preprocessing
from taxbench.util.errors import DataError


def resize(picture: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """Resize a picture to the input size, straight or to cut out its centre: the one path of the suite.

    Returns:
        Pixels, contiguous.  # (3, height, width) uint8
    """
    size = (preprocessing.width, preprocessing.height)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    whole = _before_crop(picture.size, preprocessing.resize) if preprocessing.resize else size
    if picture.size != whole:
        picture = picture.resize(whole, Image.Resampling[preprocessing.resample.upper()])
    if whole != size:
        left, top = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
        picture = picture.crop((left, top, left + size[0], top + size[1]))
    return np.ascontiguousarray(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1))


def _before_crop(size: tuple[int, int], resize: tuple[int, ...]) -> tuple[int, int]:
    """Return the width and height to which a picture is resized before its centre is cut out."""
    if len(resize) == 2:
        return resize[1], resize[0]
    short, (width, height) = resize[0], size
    return (short, int(short * height / width)) if width <= height else (int(short * width / height), short)


def _shared_file(size: int) -> IO[bytes]:
    """Return an unlinked file with room for so many bytes: in memory, else (containers give 64 MB of it) on a disk.

    Room is taken at once: a file that only says how long it is kills whoever writes beyond what there is, by SIGBUS.

    Raises:
        DataError: there is room nowhere.
    """
    places = [folder for folder in ("/dev/shm", tempfile.gettempdir()) if os.path.isdir(folder)]
    for folder in places:
        with suppress(OSError), ExitStack() as unless_returned:
            file = unless_returned.enter_context(tempfile.TemporaryFile(dir=folder))
            os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
            unless_returned.pop_all()  # the caller closes it
            return file
    raise DataError(
        f"There is no room for {size >> 20} MB of decoded pictures in {' or '.join(places)}. Make some, set TMPDIR to "
        "another disk, or extract the features without processes first: taxbench extract --workers 0."
    )


Read = Callable[[ImageRecord], Image.Image]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch of pictures. `pixels` is overwritten soon after the next batch is asked for."""

    pixels: np.ndarray  # (b, 3, height, width) uint8, zero where a picture could not be decoded
    good: np.ndarray  # (b,) bool


@dataclass(frozen=True, slots=True)
class _Setup:
    """What a process is told first."""

    path: list[str]
    shape: tuple[int, ...]  # (slots, b, 3, height, width)
    read: Read
    preprocessing: Preprocessing
    yielding: bool


class DecodePool:
    """Processes that decode batches ahead of the encoder; with no workers, decoding happens here.

    Memory is `workers + 2` batches, however many pictures there are. It belongs to an unlinked file, and the processes
    end when their pipe does, so nothing is left behind even by a kill.

    Args:
        yielding: The encoder computes on the same cores and comes first: decode while it waits for pictures.
    """

    def __init__(
        self, read: Read, preprocessing: Preprocessing, batch: int, workers: int, yielding: bool = False
    ) -> None:
        self._read, self._preprocessing = read, preprocessing
        shape = (workers + 2, batch, 3, preprocessing.height, preprocessing.width)
        self._workers: list[tuple[subprocess.Popen[bytes], Connection]] = []
        if not workers:
            self._slots = np.empty(shape, np.uint8)
            return
        with _shared_file(int(np.prod(shape))) as file:
            self._slots = np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8).reshape(shape)
            setup = pickle.dumps(_Setup(sys.path, shape, read, preprocessing, yielding))
            for _ in range(workers):
                self._workers.append(_start(file.fileno(), setup))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for process, connection in self._workers:
            connection.close()
            process.terminate()
            process.wait()

    def map(self, batches: Iterable[tuple[ImageRecord, ...]]) -> Iterator[Decoded]:
        """Yield each batch decoded, in order.

        Raises:
            DataError: a process ended on its own.
        """
        waiting: deque[tuple[int, int, tuple[ImageRecord, ...]]] = deque()  # (worker, slot, images)
        for number, images in enumerate(batches):
            slot = number % len(self._slots)
            if not self._workers:
                yield self._decoded(slot, _decode_into(self._slots[slot], images, self._read, self._preprocessing))
                continue
            worker = number % len(self._workers)
            self._send(worker, slot, images)
            waiting.append((worker, slot, images))
            # One slot is with the consumer, the one before may still be on its way to the device, the rest are ahead.
            if len(waiting) > len(self._workers):
                yield self._receive(*waiting.popleft())
        while waiting:
            yield self._receive(*waiting.popleft())

    def _send(self, worker: int, slot: int, images: tuple[ImageRecord, ...]) -> None:
        """Send a decoding process a batch of images and the slot of shared memory for its pixels."""
        try:
            self._workers[worker][1].send((slot, images))
        except OSError:
            raise self._lost(worker, images) from None

    def _receive(self, worker: int, slot: int, images: tuple[ImageRecord, ...]) -> Decoded:
        """Return the batch that a decoding process has finished, waiting for it."""
        try:
            return self._decoded(slot, self._workers[worker][1].recv())
        except (EOFError, OSError):
            raise self._lost(worker, images) from None

    def _decoded(self, slot: int, good: np.ndarray) -> Decoded:
        """Return the decoded pixels of a slot with the mask of pictures that could be decoded."""
        return Decoded(self._slots[slot, : len(good)], good)

    def _lost(self, worker: int, images: tuple[ImageRecord, ...]) -> DataError:
        """Return the error that a decoding process ended on its own, with how and at which images."""
        code = self._workers[worker][0].wait()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return DataError(
            f"A decoding process ended {how} at the images '{images[0].id}' to '{images[-1].id}'. If memory ran "
            "out, 'taxbench extract --workers 0' decodes without processes. The same command goes on from there."
        )


def _start(memory: int, setup: bytes) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start one process; it reads jobs from its pipe and writes pixels to the shared memory."""
    ours, theirs = pipe()
    command = [sys.executable, "-m", "taxbench.features.decode", str(theirs.fileno()), str(memory)]
    path = os.pathsep.join(part for part in sys.path if part)
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, pass_fds=(theirs.fileno(), memory), env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )  # a session of its own: Ctrl-C is for the program, which then ends its helpers
    theirs.close()
    ours.send_bytes(setup)
    return process, ours


def _decode_into(slot: np.ndarray, images: tuple[ImageRecord, ...], read: Read, size: Preprocessing) -> np.ndarray:
    """Decode a batch; return which pictures could be.  # (b,) bool"""
    good = np.ones(len(images), bool)
    for i, image in enumerate(images):
        try:
            slot[i] = resize(read(image), size)
        except DataError:
            slot[i], good[i] = 0, False
    return good


def _work(connection: Connection, memory: int) -> None:
    """Serve jobs until the pipe closes, which it does however the program ends."""
    with suppress(EOFError, OSError):
        setup: _Setup = pickle.loads(connection.recv_bytes())
        sys.path[:] = setup.path
        os.nice(19 if setup.yielding else 0)
        slots = np.frombuffer(mmap.mmap(memory, 0), np.uint8).reshape(setup.shape)
        while True:
            slot, images = connection.recv()
            connection.send(_decode_into(slots[slot], images, setup.read, setup.preprocessing))


if __name__ == "__main__":
    _work(Connection(int(sys.argv[1])), int(sys.argv[2]))
