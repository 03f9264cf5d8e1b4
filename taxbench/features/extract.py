"""From a dataset and an encoder to a table of features: from the cache, or extracted in one pass over the images.

    decode processes ──uint8──▶ encoder ──▶ writer thread ──blocks──▶ shards

The unit of work is a chunk: a batch of consecutive rows of one shard. Chunks lie on a fixed grid, so a resumed
extraction encodes the same batches as an uninterrupted one and gives the same bytes.
"""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from taxbench._version import __version__
from taxbench.datasets.dataset import Dataset, ImageRecord, first_twice
from taxbench.features.decode import Decoded, DecodePool
from taxbench.features.encoders import Encoder, EncoderCard, load_encoder
from taxbench.features.store import index
from taxbench.features.store.layout import NOT_FINITE, OK, UNDECODABLE, TokenShape, plan_layout
from taxbench.features.store.reader import FeatureTable
from taxbench.features.store.writer import EntryLock, ShardWriter, begin_shard, shard_path
from taxbench.specs.feature_key import Encoded, FeatureKey, FeatureReadout, Manifest, Origin, StorageDtype
from taxbench.util.devices import dtype_name
from taxbench.util.errors import CacheError, DataError, first_few
from taxbench.util.progress import Reporter

_PATIENCE = 0.5  # seconds between looks at shards that other processes are filling
_MOST_WORKERS = 16
_QUEUED = 2  # chunks that may wait for the disk
_STAGES = ("decode", "encoder", "disk")


@dataclass(frozen=True, slots=True)
class ExtractionOutput:
    """An entry to fill, and what of the encoder's output goes into it."""

    folder: Path
    manifest: Manifest
    reading: FeatureReadout
    reusable: index.ReusableEntry | None
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
    """A chunk's features in the host's memory, or on their way to it."""

    def __init__(self, chunk: _Chunk, good: np.ndarray, features: list[Tensor]) -> None:
        self.chunk, self.good = chunk, good
        finite = [torch.isfinite(rows).flatten(1).all(1) for rows in features]
        self.features, self.finite = [_to_host(rows) for rows in features], [_to_host(flags) for flags in finite]
        self._arrived = torch.cuda.Event() if features[0].is_cuda else None  # type: ignore[no-untyped-call]
        if self._arrived:
            self._arrived.record()

    def wait(self) -> None:
        """Wait until all of a chunk's features have arrived in the host's memory; work launched later goes on."""
        if self._arrived:
            self._arrived.synchronize()


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
        self._chunk_rows = -(-batch // self._layout.block_rows) * self._layout.block_rows
        few = len(dataset.images) <= 2 * self._chunk_rows
        self._workers = workers if workers is not None else 0 if few else min(_MOST_WORKERS, os.cpu_count() or 1)
        self._locks = [EntryLock(target.folder) for target in targets]
        self._claimed = False
        self._skipped = 0  # rows of claimed shards that were there already, which the bar has yet to count

    def done(self) -> bool:
        """Say whether every shard that the extraction fills is sealed."""
        return not any(self._unsealed(shard) for shard in range(self._layout.shards))

    def close(self) -> None:
        """Let go of the files and locks of the entries that are extracted."""
        for lock in self._locks:
            lock.close()

    def fill(self) -> bool:
        """Fill every shard that no other process holds; False, after a moment, if there was none.

        Decoder, encoder and disk are kept busy at once; at most `_QUEUED` chunks wait for the disk.

        Raises:
            DataError: a decoding process was lost.
            CacheError: the disk refuses or is full.
        """
        chunks: deque[_Chunk] = deque()
        claims = self._claim(chunks)
        first = next(claims, None)
        if first is None:
            time.sleep(0 if self._claimed else _PATIENCE)
            return self._claimed
        size, on_cpu = self._encoder.card.preprocessing, self._encoder.device.type == "cpu"
        waits, queued = np.zeros(len(_STAGES)), deque[Future[None]]()  # waits: seconds of this loop for each stage
        before: _Encoded | None = None
        rows_left = sum(len(self._layout.rows_of(i)) for i in range(self._layout.shards) if self._unsealed(i))
        with (
            ThreadPoolExecutor(1, "write features") as writing,
            DecodePool(self._dataset.read, size, self._chunk_rows, self._workers, on_cpu) as pool,
            self._report.bar(f"extract {self._dataset.name}", rows_left, "img") as advance,
        ):
            decoded = pool.map(chain([first], claims))
            while True:
                start = time.perf_counter()
                batch = next(decoded, None)
                arrived = time.perf_counter()
                # An accelerator works on this chunk while the one before it is handed on.
                now = self._encode(chunks.popleft(), batch) if batch else None
                if before:
                    before.wait()
                finished = time.perf_counter()
                if before:
                    queued.append(writing.submit(self._write, before))
                while len(queued) > (_QUEUED if batch else 0):
                    queued.popleft().result()
                waits += (arrived - start, finished - arrived, time.perf_counter() - finished)
                if before:
                    skipped, self._skipped = self._skipped, 0
                    shares = zip(_STAGES, waits / max(1e-9, waits.sum()), strict=True)
                    note = ", ".join(f"{stage} {share:.0%}" for stage, share in shares)
                    advance(len(before.good) + skipped, f"waits: {note}")
                if batch is None and before is None:
                    return True
                before = now

    def _claim(self, chunks: deque[_Chunk]) -> Iterator[tuple[ImageRecord, ...]]:
        """Take the shards that nobody holds, one after the other, and yield the images that are missing in them.

        Args:
            chunks: Where each goes, in the order in which its images are yielded.
        """
        self._claimed = False
        for shard in range(self._layout.shards):
            places = self._unsealed(shard)
            if not places or not self._take(shard, places):
                continue
            places = self._unsealed(shard)  # another process may have sealed it just before
            self._claimed = True
            rows = self._layout.rows_of(shard)
            images = self._dataset.images[rows.start : rows.stop]
            names = [(image.id, image.digest) for image in images]
            targets = {place: self._targets[place] for place in places}
            writers = {
                place: begin_shard(target.folder, target.manifest, shard, names) for place, target in targets.items()
            }
            missing = np.zeros(len(images), bool)
            for writer in writers.values():
                missing |= writer.missing_rows()
            grid = range(0, len(images), self._chunk_rows)
            starts = [start for start in grid if missing[start : start + self._chunk_rows].any()]
            starts = [start for start in starts if not self._adopt(start, names, writers)]
            todo = sum(len(images[start : start + self._chunk_rows]) for start in starts)
            self._skipped += len(images) - todo
            for start in starts:
                part = images[start : start + self._chunk_rows]
                chunks.append(_Chunk(shard, start, part, writers, start == starts[-1]))
                yield part
            if not starts:
                self._seal(shard, writers)

    def _adopt(self, first: int, names: list[tuple[str, str]], writers: dict[int, ShardWriter]) -> bool:
        """Take the chunk that starts at a row over from other entries, if they have all of it."""
        found = {}
        contents = [content for _, content in names[first : first + self._chunk_rows]]
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

    def _encode(self, chunk: _Chunk, batch: Decoded) -> _Encoded:
        """Compute a chunk's features for every target and start their way to the host's memory."""
        pixels = torch.from_numpy(batch.pixels)
        on_cuda = self._encoder.device.type == "cuda"
        found: list[list[Tensor]] = [[] for _ in chunk.writers]
        targets = [self._targets[place] for place in chunk.writers]
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            part = part.pin_memory().to(self._encoder.device, non_blocking=True) if on_cuda else part
            outputs = self._encoder.encode(part, [target.reading for target in targets])
            for rows, output, target in zip(found, outputs, targets, strict=True):
                rows.append(output.to(getattr(torch, target.manifest.layout.dtype)))
        return _Encoded(chunk, batch.good, [torch.cat(rows) for rows in found])

    def _write(self, encoded: _Encoded) -> None:
        """Write a chunk's blocks, and seal its shard after the last."""
        chunk = encoded.chunk
        for writer, features, finite in zip(chunk.writers.values(), encoded.features, encoded.finite, strict=True):
            status = np.where(encoded.good, np.where(finite.numpy(), OK, NOT_FINITE), UNDECODABLE).astype(np.uint8)
            features[torch.from_numpy(status != OK)] = 0
            writer.write(chunk.first, features.contiguous().view(torch.uint16).numpy(), status)
        if chunk.last:
            self._seal(chunk.shard, chunk.writers)

    def _seal(self, shard: int, writers: dict[int, ShardWriter]) -> None:
        """Seal a shard in all its entries once its features are extracted, and release its locks."""
        for place, writer in writers.items():
            writer.seal()
            self._locks[place].release_shard(shard)

    def _unsealed(self, shard: int) -> list[int]:
        """Return the places of the targets in which a shard is not sealed."""
        return [i for i, target in enumerate(self._targets) if not shard_path(target.folder, shard).is_file()]


def _to_host(values: Tensor) -> Tensor:
    """Start copying to the host, in pinned memory so that it happens behind the encoder's back."""
    if values.device.type != "cuda":
        return values.cpu()
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Extraction:
    """How features are computed; of this only `dtype` and `storage` are part of the key."""

    device: torch.device
    dtype: torch.dtype
    storage: StorageDtype = "float16"
    batch: int = 64
    workers: int | None = None
    """Decoding processes; None: one a core, at most 16, and none for a handful of pictures."""
    compiled: bool = False
    origin: Origin = field(default_factory=Origin)
    """What the command line called the dataset and the encoder, to be recorded beside the features."""


def feature_key(dataset: Dataset, card: EncoderCard, reading: FeatureReadout, how: Extraction) -> FeatureKey:
    """Return the key of a dataset's features under an encoder.

    Raises:
        DataError: two images have the same id.
    """
    if twice := first_twice([image.id for image in dataset.images]):
        raise DataError(f"Two images of {dataset.name} have the same id '{twice}': ids tell features apart.")
    source = Encoded(
        encoder_digest=card.digest,
        reading=reading,
        preprocessing=card.preprocessing,
        decoder=dataset.decoder,
        compute_dtype=dtype_name(how.dtype),
    )
    return FeatureKey(
        source=source, storage_dtype=how.storage, images_digest=dataset.images_digest, n_images=len(dataset.images)
    )


def features_of(
    dataset: Dataset,
    card: EncoderCard,
    readings: Sequence[FeatureReadout],
    how: Extraction,
    cache: Path,
    report: Reporter,
) -> list[FeatureTable]:
    """Return one table for each reading, from the cache where it is there; what is missing is encoded in one pass.

    Rows without features are not an error here; see `require_all`.

    Raises:
        DataError: a decoding process was lost, or ids are not unique.
        CacheError: an entry is damaged, or the cache cannot be written.
    """
    keys = [feature_key(dataset, card, reading, how) for reading in readings]
    tables = [index.read_table(cache, key) for key in keys]
    for key, table in zip(keys, tables, strict=True):
        if table is not None:
            report.say(f"features: {len(table)} images × {table.row_shape} from the cache ({key.digest})")
        elif (index.entry_folder(cache, key) / "manifest.json").is_file():
            report.say(f"features: going on with {key.digest}")
        elif near := index.nearest_difference(cache, key):
            report.say(f"features: not cached; the nearest entry differs in {', '.join(near)}")
    missing = list({key: None for key, table in zip(keys, tables, strict=True) if table is None})
    if missing:
        encoder = load_encoder(card, how.device, how.dtype, how.compiled)
        for outputs in _passes(encoder, dataset, missing, how, cache, report):
            # Until every shard is sealed, by this process or by others.
            with closing(ExtractionPass(outputs, dataset, encoder, how.batch, how.workers, report)) as work:
                waited = False
                while not work.done():
                    if work.fill() or waited:
                        continue
                    report.say("features: the rest is being extracted by another process; waiting for it")
                    waited = True
    return [table or _just_filled(cache, key) for key, table in zip(keys, tables, strict=True)]


def require_all(table: FeatureTable, dataset: Dataset) -> FeatureTable:
    """Return the table if every image has features.

    Raises:
        DataError: images could not be decoded; names the first with the decoder's own words.
        CacheError: features are not finite in the storage type.
    """
    bad = np.flatnonzero(table.status == UNDECODABLE)
    if len(bad):
        try:
            dataset.read(dataset.images[bad[0]])
        except DataError as error:
            which = first_few(table.ids[row] for row in bad)
            others = f" So it is with {len(bad)} of {len(table)} images: {which}." if len(bad) > 1 else ""
            raise DataError(f"{error}{others} The other features stay in the cache.") from None
        raise CacheError(
            f"The image '{table.ids[bad[0]]}' could not be decoded when features were extracted, and now it can. Type "
            f"'taxbench cache gc {table.key.digest}' and run again."
        )
    wild = np.flatnonzero(table.status == NOT_FINITE)
    if len(wild):
        raise CacheError(
            f"The features of {len(wild)} images are not finite in {table.key.storage_dtype}, first: "
            f"'{table.ids[wild[0]]}'. Try --set storage=bfloat16."
        )
    return table


def _passes(
    encoder: Encoder, dataset: Dataset, keys: list[FeatureKey], how: Extraction, cache: Path, report: Reporter
) -> list[list[ExtractionOutput]]:
    """Begin the entries and group those of one geometry, whose rows can be computed together."""
    readings = [key.source.reading for key in keys if key.source.kind == "encoded"]
    size = encoder.card.preprocessing
    probe = encoder.encode(torch.zeros(1, 3, size.height, size.width, dtype=torch.uint8), readings)
    shapes = [TokenShape(features.shape[1], features.shape[2]) for features in probe]
    groups: dict[tuple[int, int], list[ExtractionOutput]] = {}
    contents = [image.digest for image in dataset.images]
    for key, reading, shape in zip(keys, readings, shapes, strict=True):
        layout = plan_layout(len(dataset.images), shape, key.storage_dtype, beside=shapes)
        manifest = index.begin_entry(cache, key, layout, _origin(how))
        found = manifest.layout
        if (found.t, found.f) != (shape.t, shape.f):
            raise CacheError(
                f"The entry {key.digest} holds features of shape ({found.t}, {found.f}), and the encoder gives "
                f"({shape.t}, {shape.f}). Type 'taxbench cache gc {key.digest}' and run again."
            )
        reusable = index.find_reusable(cache, key, contents)
        if reusable:
            held = f"{reusable.held} of {len(contents)} images"
            report.say(f"features: {held} are in the entry {reusable.table.key.digest}; whole batches are taken over")
        target = ExtractionOutput(index.entry_folder(cache, key), manifest, reading, reusable)
        groups.setdefault((found.block_rows, found.shard_rows), []).append(target)
    return list(groups.values())


def _origin(how: Extraction) -> Origin:
    """Complete what is recorded beside extracted features: device, batch size and versions."""
    import transformers

    versions = {
        "taxbench": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    return how.origin.model_copy(update={"device": how.device.type, "batch": how.batch, "versions": versions})


def _just_filled(cache: Path, key: FeatureKey) -> FeatureTable:
    """Return the table of features that was just extracted; raise where its entry was removed meanwhile."""
    table = index.read_table(cache, key)
    if table is None:
        raise CacheError(f"The entry {key.digest} was removed while it was being written. Run again.")
    return table
