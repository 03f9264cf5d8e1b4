"""Extract features and verify them. This is `taxbench extract` and `cache verify` without the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from taxbench.datasets.dataset import load_dataset
from taxbench.features.decode import resize
from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.features.extract import Extraction, feature_key, features_of
from taxbench.features.store.index import StoredEntry, describe, entry_folder, open_entry
from taxbench.features.store.layout import OK
from taxbench.features.store.reader import FeatureTable, as_float, open_shard
from taxbench.features.store.writer import shard_path
from taxbench.registry.models import find_encoder
from taxbench.runs.inputs import origin_of
from taxbench.specs.feature_key import Crop, EntryInfo, FeatureOptions, StorageDtype, Verification
from taxbench.util.devices import pick_device, pick_dtype
from taxbench.util.errors import CacheError, TaxbenchError, UsageError
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Reporter
from taxbench.util.seeds import rng

_SAMPLE = 32


@dataclass(frozen=True)
class ExtractOptions:
    """The options of `taxbench extract`."""

    dataset: str = "pocket"
    taxonomy: str | None = None
    encoder: str = "pocket"
    pool: str = "pooled"
    layers: str = "-1"
    storage: StorageDtype = "float16"
    crop: Crop = "none"
    device: str = "auto"
    batch: int = 64
    workers: int | None = None
    compiled: bool = False
    cache: str | None = None


def extract(options: ExtractOptions, report: Reporter) -> list[EntryInfo]:
    """Put features into the cache: one entry for each layer and pool, all in one pass over the pictures.

    Raises:
        TaxbenchError: a name is wrong, a part is missing, or the cache cannot be written.
    """
    if options.batch < 1 or (options.workers or 0) < 0:
        raise UsageError(f"--batch {options.batch} --workers {options.workers}: expected at least 1 and 0.")
    wanted = _wanted(options)
    spec = find_encoder(options.encoder)
    device = pick_device(options.device)
    taxonomy = Path(options.taxonomy).expanduser() if options.taxonomy else None
    dataset = load_dataset(options.dataset, taxonomy)
    for note in dataset.notes:
        report.say(note)
    card = describe_encoder(spec, options.crop)
    how = Extraction(
        device,
        pick_dtype(device.type),
        options.storage,
        options.batch,
        options.workers,
        options.compiled,
        origin_of(options.dataset, taxonomy, spec),
    )
    readings = list({card.reading(each.layer, each.pool): None for each in wanted})
    cache = cache_folder(Path(options.cache) if options.cache else None)
    tables = features_of(dataset, card, readings, how, cache, report)
    return [describe(StoredEntry(entry_folder(cache, table.key), table.manifest)) for table in tables]


def verify(entry: StoredEntry, device: str, sample: int = _SAMPLE) -> Verification:
    """Check every block of an entry, then encode a sample of its images again and compare."""
    name = entry.folder.name
    try:
        table = open_entry(entry)
    except CacheError as error:
        return Verification(key=name, blocks=0, problems=_broken_shards(entry) or (str(error),))
    problems = tuple(table.check_all())
    found = Verification(key=name, blocks=table.blocks, problems=problems)
    if problems or sample == 0:
        return found
    try:
        again = _encode_again(table, pick_device(device), sample)
    except TaxbenchError as error:
        return found.model_copy(update={"note": f"Nothing was encoded again. {error}"})
    return found.model_copy(update=again)


def _wanted(options: ExtractOptions) -> list[FeatureOptions]:
    """Return the options of the features to extract: every layer with every pool.

    Raises:
        UsageError: a layer is no number, or there is no such pool.
    """
    try:
        return [
            FeatureOptions(pool=pool, layer=int(layer), storage=options.storage, crop=options.crop)
            for layer in options.layers.split(",")
            for pool in options.pool.split(",")
        ]
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        raise UsageError(f"--{first['loc'][0]} {first['input']}: {first['msg']}.") from None
    except ValueError:
        raise UsageError(f"--layers '{options.layers}': expected whole numbers by commas, such as -1,-2.") from None


def _broken_shards(entry: StoredEntry) -> tuple[str, ...]:
    """Open every shard by itself, so that all broken ones are named and not the first alone."""
    found = []
    for number in range(entry.manifest.layout.shards):
        path = shard_path(entry.folder, number)
        try:
            if path.is_file():
                open_shard(path)
        except CacheError as error:
            found.append(str(error))
    return tuple(found)


def _encode_again(table: FeatureTable, device: torch.device, sample: int) -> dict[str, Any]:
    """Encode a sample of the images again with the encoder and the pictures as they are now; compare."""
    source, origin = table.key.source, table.manifest.origin
    if source.kind == "imported":
        raise UsageError("The features were imported: what made them is not known here.")
    dataset = load_dataset(origin.dataset, Path(origin.taxonomy) if origin.taxonomy else None)
    card = describe_encoder(find_encoder(origin.encoder), "center" if source.preprocessing.resize else "none")
    dtype = getattr(torch, source.compute_dtype)
    now = feature_key(dataset, card, source.reading, Extraction(device, dtype, table.key.storage_dtype))
    if now != table.key:
        raise UsageError(f"What it was made from has changed: {', '.join(now.difference(table.key))}.")
    good = np.flatnonzero(table.status == OK)
    if not len(good):
        raise UsageError("No image has features in it.")
    rows = np.sort(rng(0, "verify", table.key.digest).permutation(good)[:sample])
    pixels = np.stack([resize(dataset.read(dataset.images[row]), card.preprocessing) for row in rows])
    (features,) = load_encoder(card, device, dtype).encode(torch.from_numpy(pixels), [source.reading])
    fresh = features.float().cpu().numpy().reshape(len(rows), -1)
    stored = as_float(table.take(rows), table.layout).reshape(len(rows), -1)
    norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(fresh, axis=1)
    cosines = (stored * fresh).sum(1) / np.maximum(norms, 1e-12)
    return {
        "sampled": len(rows),
        "largest_difference": float(np.abs(stored - fresh).max()),
        "lowest_cosine": float(cosines.min()),
    }
