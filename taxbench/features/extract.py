"""Extract features once: read them from the cache, or encode every picture and store the result."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from taxbench.data.dataset import Dataset, ImageRecord
from taxbench.features.encoders import Encoder
from taxbench.features.store import FeatureTable, nearest_difference, read_table, write_table
from taxbench.progress import Reporter
from taxbench.specs.features import FeatureKey, PoolName

_BATCH = 64
# Pictures decoded ahead of the encoder: enough to keep it busy, few enough that memory does not grow with the dataset.
_AHEAD = 4 * _BATCH


def feature_key(dataset: Dataset, encoder: Encoder, pool: PoolName) -> FeatureKey:
    """Return the key of a dataset's features under an encoder."""
    return FeatureKey(
        encoder_digest=encoder.digest,
        tower=encoder.spec.tower,
        prefix_tokens=encoder.spec.prefix_tokens,
        pooled=encoder.spec.pooled,
        pool=pool,
        preprocessing=encoder.preprocessing,
        decoder=dataset.decoder,
        compute_dtype=str(encoder.dtype).removeprefix("torch."),  # type: ignore[arg-type]
        images_digest=dataset.images_digest,
        n_images=len(dataset.images),
    )


def features_of(dataset: Dataset, encoder: Encoder, pool: PoolName, cache: Path, report: Reporter) -> FeatureTable:
    """Return the features of a dataset, from the cache where they are there.

    Raises:
        DataError: a picture cannot be decoded; nothing is written.
        CacheError: the cached file is broken, or the cache cannot be written.
    """
    key = feature_key(dataset, encoder, pool)
    table = read_table(cache, key)
    if table is not None:
        report.say(f"features: {len(table.ids)} images × {table.array.shape[1:]} from the cache ({key.digest})")
        return table
    if nearest := nearest_difference(cache, key):
        report.say(f"features: not cached; the nearest entry differs in {', '.join(nearest)}")
    rows = list(_encode(dataset, encoder, pool, report))
    ids = tuple(image.id for image in dataset.images)
    write_table(cache, key, np.concatenate(rows), ids)
    stored = read_table(cache, key)
    assert stored is not None
    return stored


def _encode(dataset: Dataset, encoder: Encoder, pool: PoolName, report: Reporter) -> Iterator[np.ndarray]:
    """Yield float16 features batch by batch, decoding in threads while the encoder works.  # (b, t, f)"""

    def pixels(image: ImageRecord) -> np.ndarray:
        return encoder.resize(dataset.read(image))

    with report.bar(f"extract {dataset.name}", len(dataset.images), "img") as advance:
        for batch in _batched(_ahead(pixels, dataset.images)):
            features = encoder.encode(np.stack(batch), pool)
            yield features.to("cpu", torch.float16).numpy()
            advance(len(batch))


def _ahead(function: Callable[[ImageRecord], np.ndarray], images: tuple[ImageRecord, ...]) -> Iterator[np.ndarray]:
    """Map in threads, in order, holding at most `_AHEAD` results."""
    waiting = iter(images)
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        futures = [pool.submit(function, image) for image in islice(waiting, _AHEAD)]
        try:
            while futures:
                result = futures.pop(0).result()
                futures.extend(pool.submit(function, image) for image in islice(waiting, 1))
                yield result
        finally:
            for future in futures:
                future.cancel()


def _batched(rows: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
