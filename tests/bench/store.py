"""The store against raw memory maps and raw writes of the same bytes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from taxbench.features.store.index import begin_entry, entry_folder, read_table
from taxbench.features.store.layout import OK, TokenShape, plan_layout
from taxbench.features.store.reader import FeatureTable
from taxbench.features.store.writer import begin_shard
from taxbench.specs.feature_key import FeatureKey, Imported, Manifest, Origin
from tests.bench.rounds import Ratio, compare, within

SHAPES = ((50_000, TokenShape(1, 1024)), (4_000, TokenShape(256, 1024)))
_BATCH = 256
_SPAN = 64


def bench_store(folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield reading, opening and writing."""
    for n, shape in SHAPES:
        yield from _reading(folder, n, shape, rounds)
    yield from _opening(folder, rounds)
    yield _writing(folder, rounds)


def _reading(folder: Path, n: int, shape: TokenShape, rounds: int) -> Iterator[Ratio]:
    """Random minibatches and a sequential pass, relative to `np.memmap` of the same bytes."""
    label = f"[{n}, {shape.t}, {shape.f}] float16"
    manifest = _manifest(folder, n, shape)
    _write(folder, manifest)
    _copy_raw(_open(folder, manifest), folder / "raw.bin")
    _forget([*entry_folder(folder, manifest.key).glob("*.h5"), folder / "raw.bin"])
    table = _open(folder, manifest)
    raw = np.memmap(folder / "raw.bin", np.float16, "r", shape=(n, shape.t, shape.f))
    rng = np.random.default_rng(0)
    order = rng.permutation(n)[: n // _BATCH * _BATCH].reshape(-1, _BATCH)
    out = np.empty((_BATCH, shape.t, shape.f), np.float16)
    yield compare(
        f"read {label}: random minibatches of {_BATCH} into a buffer / np.memmap",
        lambda: [table.take(rows, out=out) for rows in order],
        lambda: [np.take(raw, rows, axis=0, out=out, mode="clip") for rows in order],
        rounds,
        target=0.9,
    )
    yield compare(
        f"read {label}: random minibatches of {_BATCH} as new arrays / np.memmap",
        lambda: [table.take(rows) for rows in order],
        lambda: [raw[rows] for rows in order],
        rounds,
        target=0.9,
    )
    stretches = [rows for rows, _ in table.passes()]
    buffer = np.empty((stretches[0].stop, shape.t, shape.f), np.float16)
    yield compare(
        f"read {label}: sequential / np.memmap",
        lambda: [np.copyto(buffer[: len(features)], features) for _, features in table.passes()],
        lambda: [np.copyto(buffer[: rows.stop - rows.start], raw[rows]) for rows in stretches],
        rounds,
        target=0.9,
    )
    shutil.rmtree(entry_folder(folder, manifest.key))
    (folder / "raw.bin").unlink()


def _opening(folder: Path, rounds: int) -> Iterator[Ratio]:
    """Opening a cache of six shards up to its first minibatch; every seal and the blocks read are checked."""
    for n, shape in ((6 * 1024, TokenShape(1, 1024)), (6 * 512, TokenShape(256, 1024))):
        manifest = _manifest(folder, n, shape)
        assert manifest.layout.shards == 6
        _write(folder, manifest)
        rows = np.random.default_rng(0).permutation(n)[: _BATCH if shape.t == 1 else 16]
        yield within(
            f"open 6 shards of [{n}, {shape.t}, {shape.f}] and read the first {len(rows)} rows / 50 ms",
            lambda manifest=manifest, rows=rows: _open(folder, manifest).take(rows),  # type: ignore[misc]
            0.050,
            rounds,
        )
        shutil.rmtree(entry_folder(folder, manifest.key))


def _writing(folder: Path, rounds: int) -> Ratio:
    """Two shards of 256 MB, sealed, relative to writing the same bytes to two files and syncing them."""
    os.sync()  # what was written before must not be waited for here
    manifest = _manifest(folder, 1024, TokenShape(256, 1024))
    assert manifest.layout.shards == 2 and manifest.layout.shard_rows * manifest.layout.row_bytes == 256 << 20

    def ours() -> None:
        shutil.rmtree(entry_folder(folder, manifest.key), ignore_errors=True)
        _write(folder, _manifest(folder, 1024, TokenShape(256, 1024)))

    def raw() -> None:
        data = _span(manifest)
        for shard in range(2):
            path = folder / f"raw-{shard}.bin"
            path.unlink(missing_ok=True)
            with path.open("wb", buffering=0) as file:
                for _ in range(512 // _SPAN):
                    file.write(data.data.cast("B"))
                os.fsync(file.fileno())

    found = compare("write two shards of 256 MB / raw write + fsync", ours, raw, rounds, target=0.6)
    shutil.rmtree(entry_folder(folder, manifest.key))
    for shard in range(2):
        (folder / f"raw-{shard}.bin").unlink()
    return found


def _manifest(cache: Path, n: int, shape: TokenShape) -> Manifest:
    source = Imported(name=f"bench {shape.t} x {shape.f}", file_digest="none")
    key = FeatureKey(source=source, images_digest="none", n_images=n)
    return begin_entry(cache, key, plan_layout(n, shape, "float16"), Origin())


def _span(manifest: Manifest) -> np.ndarray:
    """Return a span of random rows: real features do not compress, and neither may these."""
    layout = manifest.layout
    bits = np.random.default_rng(0).integers(0, 0x7000, (_SPAN, layout.t, layout.f), dtype=np.uint16)
    return bits.view(np.float16)


def _write(cache: Path, manifest: Manifest) -> None:
    key, layout, data = manifest.key, manifest.layout, _span(manifest)
    for shard in range(layout.shards):
        rows = layout.rows_of(shard)
        names = [(f"class/image{row:06d}.jpg", f"{row:032x}") for row in rows]
        writer = begin_shard(entry_folder(cache, key), manifest, shard, names)
        for start in range(0, len(rows), _SPAN):
            part = data[: min(_SPAN, len(rows) - start)]
            writer.write(start, part, np.full(len(part), OK, np.uint8))
        writer.seal()


def _open(cache: Path, manifest: Manifest) -> FeatureTable:
    table = read_table(cache, manifest.key)
    assert table is not None
    return table


def _forget(paths: list[Path]) -> None:
    """Drop files from the page cache, so that both are read back in the same way.

    How large the pieces were in which a file was written decides how its cached pages lie in memory, and by that the
    speed of mapped reads, by up to a quarter.
    """
    for path in paths:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _copy_raw(table: FeatureTable, path: Path) -> None:
    with path.open("wb") as file:
        for _, features in table.passes():
            file.write(features.data.cast("B"))
