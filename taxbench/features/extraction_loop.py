"""Fill the shards of entries that share one geometry: claim, decode, encode, write, seal.

    decode processes ──uint8──▶ encoder ──▶ writer thread ──blocks──▶ shards

The unit of work is a span: a batch of consecutive rows of one shard. Spans lie on a fixed grid, so a resumed extraction
encodes the same batches as an uninterrupted one and gives the same bytes.
"""

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.features.decode import Decoded, DecodePool
from taxbench.features.encoders import Encoder
from taxbench.features.store.layout import NOT_FINITE, OK, UNDECODABLE
from taxbench.features.store.locks import EntryLock
from taxbench.features.store.reuse import ReusableEntry
from taxbench.features.store.writer import ShardWriter, begin_shard, shard_path
from taxbench.specs.feature_key import FeatureReadout, Manifest
from taxbench.util.errors import CacheError
from taxbench.util.progress import Advance, Reporter

_PATIENCE = 0.5  # seconds between looks at shards that other processes are filling
_MOST_WORKERS = 16
_QUEUED = 2  # spans that may wait for the disk


@dataclass(frozen=True, slots=True)
class ExtractionOutput:
    """An entry to fill, and what of the encoder's output goes into it."""

    folder: Path
    manifest: Manifest
    reading: FeatureReadout
    reusable: ReusableEntry | None
    """Another entry that has some of the rows."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A stretch of a shard on its way to the disk."""

    shard: int
    first: int  # row within the shard
    images: tuple[ImageRecord, ...]
    writers: dict[int, ShardWriter]  # of the targets whose shard is not sealed, by the target's place
    last: bool  # of its shard


class _Encoded:
    """A span's features in the host's memory, or on their way to it."""

    def __init__(self, span: _Chunk, good: np.ndarray, features: list[Tensor]) -> None:
        self.span, self.good = span, good
        finite = [torch.isfinite(rows).flatten(1).all(1) for rows in features]
        self.features, self.finite = [_to_host(rows) for rows in features], [_to_host(flags) for flags in finite]
        self._arrived = torch.cuda.Event() if features[0].is_cuda else None  # type: ignore[no-untyped-call]
        if self._arrived:
            self._arrived.record()

    def wait(self) -> None:
        """Wait until everything has arrived; work launched later goes on."""
        if self._arrived:
            self._arrived.synchronize()


@dataclass(slots=True)
class _Waits:
    """Seconds that the main loop spent waiting for each stage."""

    decode: float = 0.0
    encode: float = 0.0
    disk: float = 0.0

    def add(self, decode: float, encode: float, disk: float) -> None:
        """Count one turn of the loop."""
        self.decode += decode
        self.encode += encode
        self.disk += disk

    def __str__(self) -> str:
        total = max(1e-9, self.decode + self.encode + self.disk)
        shares = {"decode": self.decode, "encoder": self.encode, "disk": self.disk}
        return "waits: " + ", ".join(f"{name} {share / total:.0%}" for name, share in shares.items())


class ExtractionPass:
    """One reading of the pictures that fills one or several entries."""

    def __init__(
        self,
        targets: list[ExtractionOutput],
        dataset: Dataset,
        encoder: Encoder,
        batch: int,
        workers: int | None,
        report: Reporter,
    ) -> None:
        self._targets, self._dataset, self._encoder, self._report = targets, dataset, encoder, report
        self._layout = targets[0].manifest.layout  # block_rows and shard_rows are the same in all
        self._batch = batch
        self._span_rows = -(-batch // self._layout.block_rows) * self._layout.block_rows
        few = len(dataset.images) <= 2 * self._span_rows
        self._workers = workers if workers is not None else 0 if few else min(_MOST_WORKERS, os.cpu_count() or 1)
        self._locks = [EntryLock(target.folder) for target in targets]
        self._claimed = False
        self._skipped = 0  # rows of claimed shards that were there already, which the bar has yet to count

    def done(self) -> bool:
        """Say whether every shard is sealed."""
        return not any(self._unsealed(shard) for shard in range(self._layout.shards))

    def close(self) -> None:
        """Let go of files and locks."""
        for lock in self._locks:
            lock.close()

    def fill(self) -> bool:
        """Fill every shard that no other process holds; False, after a moment, if there was none.

        Raises:
            DataError: a decoding process was lost.
            CacheError: the disk refuses or is full.
        """
        claims = self._claim()
        first = next(claims, None)
        if first is None:
            time.sleep(0 if self._claimed else _PATIENCE)
            return self._claimed
        spans: deque[_Chunk] = deque()

        def pictures() -> Iterator[tuple[ImageRecord, ...]]:
            for span in chain([first], claims):
                spans.append(span)
                yield span.images

        size, on_cpu = self._encoder.card.preprocessing, self._encoder.device.type == "cpu"
        with (
            ThreadPoolExecutor(1, "write features") as writing,
            DecodePool(self._dataset.read, size, self._span_rows, self._workers, on_cpu) as pool,
            self._report.bar(f"extract {self._dataset.name}", self._rows_left(), "img") as advance,
        ):
            self._run(pool.map(pictures()), spans, writing, advance)
        return True

    def _run(
        self, decoded: Iterator[Decoded], spans: deque[_Chunk], writing: ThreadPoolExecutor, advance: Advance
    ) -> None:
        """Keep decoder, encoder and disk busy at once; at most `_QUEUED` spans wait for the disk."""
        waits = _Waits()
        queued: deque[Future[None]] = deque()
        before: _Encoded | None = None
        while True:
            start = time.perf_counter()
            batch = next(decoded, None)
            arrived = time.perf_counter()
            # An accelerator works on this span while the one before it is handed on.
            now = self._encode(spans.popleft(), batch) if batch else None
            if before:
                before.wait()
            finished = time.perf_counter()
            if before:
                queued.append(writing.submit(self._write, before))
            while len(queued) > (_QUEUED if batch else 0):
                queued.popleft().result()
            waits.add(arrived - start, finished - arrived, time.perf_counter() - finished)
            if before:
                skipped, self._skipped = self._skipped, 0
                advance(len(before.good) + skipped, str(waits))
            if batch is None and before is None:
                return
            before = now

    def _claim(self) -> Iterator[_Chunk]:
        """Take the shards that nobody holds, one after the other, and yield what is missing in them."""
        self._claimed = False
        for shard in range(self._layout.shards):
            places = self._unsealed(shard)
            if not places or not self._take(shard, places):
                continue
            places = self._unsealed(shard)  # another process may have sealed it just before
            self._claimed = True
            images = self._dataset.images[self._rows(shard)]
            names = [(image.id, image.digest) for image in images]
            targets = {place: self._targets[place] for place in places}
            writers = {
                place: begin_shard(target.folder, target.manifest, shard, names) for place, target in targets.items()
            }
            missing = np.zeros(len(images), bool)
            for writer in writers.values():
                missing |= writer.missing_rows()
            grid = range(0, len(images), self._span_rows)
            starts = [start for start in grid if missing[start : start + self._span_rows].any()]
            starts = [start for start in starts if not self._adopt(start, names, writers)]
            todo = sum(len(images[start : start + self._span_rows]) for start in starts)
            self._skipped += len(images) - todo
            for start in starts:
                yield _Chunk(shard, start, images[start : start + self._span_rows], writers, start == starts[-1])
            if not starts:
                self._seal(shard, writers)

    def _adopt(self, first: int, names: list[tuple[str, str]], writers: dict[int, ShardWriter]) -> bool:
        """Take the span that starts at a row over from other entries, if they have all of it."""
        found = {}
        contents = [content for _, content in names[first : first + self._span_rows]]
        for place in writers:
            reusable = self._targets[place].reusable
            rows = reusable.rows(contents) if reusable else np.array([-1])
            if reusable is None or (rows < 0).any():
                return False
            try:
                found[place] = reusable.table.take(rows)
            except CacheError:
                return False  # damaged: whoever opens that entry by its own key is told
        for place, writer in writers.items():
            writer.write(first, found[place], np.full(len(contents), OK, np.uint8))
        return True

    def _take(self, shard: int, places: list[int]) -> bool:
        """Lock a shard in all its entries, or in none."""
        for i, place in enumerate(places):
            if not self._locks[place].try_shard(shard):
                for taken in places[:i]:
                    self._locks[taken].release_shard(shard)
                return False
        return True

    def _encode(self, span: _Chunk, batch: Decoded) -> _Encoded:
        """Compute a span's features for every target and start their way to the host's memory."""
        pixels = torch.from_numpy(batch.pixels)
        on_cuda = self._encoder.device.type == "cuda"
        found: list[list[Tensor]] = [[] for _ in span.writers]
        targets = [self._targets[place] for place in span.writers]
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            part = part.pin_memory().to(self._encoder.device, non_blocking=True) if on_cuda else part
            outputs = self._encoder.encode(part, [target.reading for target in targets])
            for rows, output, target in zip(found, outputs, targets, strict=True):
                rows.append(output.to(getattr(torch, target.manifest.layout.dtype)))
        return _Encoded(span, batch.good, [torch.cat(rows) for rows in found])

    def _write(self, encoded: _Encoded) -> None:
        """Write a span's blocks, and seal its shard after the last."""
        span = encoded.span
        for writer, features, finite in zip(span.writers.values(), encoded.features, encoded.finite, strict=True):
            status = np.where(encoded.good, np.where(finite.numpy(), OK, NOT_FINITE), UNDECODABLE).astype(np.uint8)
            features[torch.from_numpy(status != OK)] = 0
            writer.write(span.first, features.contiguous().view(torch.uint16).numpy(), status)
        if span.last:
            self._seal(span.shard, span.writers)

    def _seal(self, shard: int, writers: dict[int, ShardWriter]) -> None:
        for place, writer in writers.items():
            writer.seal()
            self._locks[place].release_shard(shard)

    def _rows(self, shard: int) -> slice:
        rows = self._layout.rows_of(shard)
        return slice(rows.start, rows.stop)

    def _unsealed(self, shard: int) -> list[int]:
        """Return the places of the targets in which a shard is not sealed."""
        return [i for i, target in enumerate(self._targets) if not shard_path(target.folder, shard).is_file()]

    def _rows_left(self) -> int:
        """Return the rows of shards that are not sealed."""
        shards = range(self._layout.shards)
        return sum(len(self._layout.rows_of(shard)) for shard in shards if self._unsealed(shard))


def _to_host(values: Tensor) -> Tensor:
    """Start copying to the host, in pinned memory so that it happens behind the encoder's back."""
    if values.device.type != "cuda":
        return values.cpu()
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values, non_blocking=True)
