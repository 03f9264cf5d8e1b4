"""Say in a record what an entry is."""

import numpy as np

from taxbench.features.store.index import StoredEntry
from taxbench.features.store.layout import NOT_FINITE, OK, UNDECODABLE
from taxbench.features.store.reader import open_shard
from taxbench.features.store.writer import shard_path
from taxbench.specs.feature_key import EntryInfo


def describe(entry: StoredEntry) -> EntryInfo:
    """Describe an entry; the status of every image is read from its shards.

    Raises:
        CacheError: a shard is broken.
    """
    manifest = entry.manifest
    source, layout = manifest.key.source, manifest.layout
    reading = f"layer {source.reading.layer} {source.reading.pool}" if source.kind == "encoded" else "as imported"
    undecodable, not_finite = _without_features(entry) if entry.complete else (None, None)
    return EntryInfo(
        key=entry.folder.name,
        encoder=entry.name,
        dataset=manifest.origin.dataset,
        reading=reading,
        n=layout.n,
        t=layout.t,
        f=layout.f,
        storage=layout.dtype,
        shards=layout.shards,
        sealed=entry.sealed,
        size=entry.size,
        folder=str(entry.folder),
        undecodable=undecodable,
        not_finite=not_finite,
    )


def _without_features(entry: StoredEntry) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of images that could not be decoded, and of those whose features are not finite."""
    found: dict[int, list[str]] = {UNDECODABLE: [], NOT_FINITE: []}
    for number in range(entry.manifest.layout.shards):
        shard = open_shard(shard_path(entry.folder, number))
        for row in np.flatnonzero(shard.status != OK):
            found[int(shard.status[row])].append(shard.ids[row].decode())
    return tuple(found[UNDECODABLE]), tuple(found[NOT_FINITE])
