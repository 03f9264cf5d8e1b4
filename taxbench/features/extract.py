"""Extract features once: find them in the cache, or encode every picture that is missing there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from taxbench._version import __version__
from taxbench.datasets.dataset import Dataset, first_twice
from taxbench.features.encoders import Encoder, EncoderCard, load_encoder
from taxbench.features.extraction_loop import ExtractionOutput, ExtractionPass
from taxbench.features.store.index import begin_entry, entry_folder, nearest_difference, read_table
from taxbench.features.store.layout import NOT_FINITE, UNDECODABLE, TokenShape, plan_layout
from taxbench.features.store.reader import FeatureTable
from taxbench.features.store.reuse import find_reusable
from taxbench.specs.feature_key import Encoded, FeatureKey, FeatureReadout, Origin, StorageDtype
from taxbench.util.errors import CacheError, DataError, first_few
from taxbench.util.progress import Reporter


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
        compute_dtype=str(how.dtype).removeprefix("torch."),  # type: ignore[arg-type]
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
    tables = [read_table(cache, key) for key in keys]
    for key, table in zip(keys, tables, strict=True):
        if table is not None:
            report.say(f"features: {len(table)} images × {table.row_shape} from the cache ({key.digest})")
        elif (entry_folder(cache, key) / "manifest.json").is_file():
            report.say(f"features: going on with {key.digest}")
        elif near := nearest_difference(cache, key):
            report.say(f"features: not cached; the nearest entry differs in {', '.join(near)}")
    missing = list({key: None for key, table in zip(keys, tables, strict=True) if table is None})
    if missing:
        _fill(dataset, card, missing, how, cache, report)
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


def _fill(
    dataset: Dataset, card: EncoderCard, keys: list[FeatureKey], how: Extraction, cache: Path, report: Reporter
) -> None:
    """Encode until every shard of the keys is sealed, by this process or by others."""
    encoder = load_encoder(card, how.device, how.dtype, how.compiled)
    for targets in _passes(encoder, dataset, keys, how, cache, report):
        work = ExtractionPass(targets, dataset, encoder, how.batch, how.workers, report)
        try:
            waited = False
            while not work.done():
                if work.fill() or waited:
                    continue
                report.say("features: the rest is being extracted by another process; waiting for it")
                waited = True
        finally:
            work.close()


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
        manifest = begin_entry(cache, key, layout, _origin(how))
        found = manifest.layout
        if (found.t, found.f) != (shape.t, shape.f):
            raise CacheError(
                f"The entry {key.digest} holds features of shape ({found.t}, {found.f}), and the encoder gives "
                f"({shape.t}, {shape.f}). Type 'taxbench cache gc {key.digest}' and run again."
            )
        reusable = find_reusable(cache, key, contents)
        if reusable:
            held = f"{reusable.held} of {len(contents)} images"
            report.say(f"features: {held} are in the entry {reusable.table.key.digest}; whole batches are taken over")
        target = ExtractionOutput(entry_folder(cache, key), manifest, reading, reusable)
        groups.setdefault((found.block_rows, found.shard_rows), []).append(target)
    return list(groups.values())


def _origin(how: Extraction) -> Origin:
    """Complete what is recorded beside the features."""
    import transformers

    versions = {
        "taxbench": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    return how.origin.model_copy(update={"device": how.device.type, "batch": how.batch, "versions": versions})


def _just_filled(cache: Path, key: FeatureKey) -> FeatureTable:
    table = read_table(cache, key)
    if table is None:
        raise CacheError(f"The entry {key.digest} was removed while it was being written. Run again.")
    return table
