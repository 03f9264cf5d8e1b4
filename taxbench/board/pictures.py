"""The pictures behind a record: its dataset, found again by what the feature cache says of where it lay."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from taxbench.datasets.dataset import Dataset, first_images, load_dataset
from taxbench.features.store.index import dataset_of
from taxbench.specs.result import Result
from taxbench.util.errors import DataError, TaxbenchError
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Reporter


def pictures_of(
    result: Result,
    report: Reporter,
    dataset: str | None = None,
    taxonomy: Path | None = None,
    cache: Path | None = None,
) -> Dataset:
    """Return the dataset that a record asked about.

    Args:
        dataset: What `--dataset` would call it here; None: what it was called when its features were extracted, as the
            cache has it, or the record's own name for it.
        taxonomy: As for a run.
        cache: The cache folder; None: the usual one.

    Raises:
        DataError: it cannot be found or loaded here.
    """
    named = result.run.dataset
    found, listed = (dataset, None) if dataset else dataset_of(cache_folder(cache), result.run.encoder.features)
    try:
        whole = load_dataset(found or named.name, taxonomy or listed)  # without such features, its name may do
    except TaxbenchError as error:
        if dataset is not None:
            raise
        raise DataError(
            f"The pictures of '{named.name}' are not found here: {error} Say where they lie: --dataset KIND:PATH "
            "--taxonomy FILE"
        ) from None
    there = first_images(whole, named.limit) if named.limit else whole
    if there.fingerprint != named.fingerprint:
        report.say(f"The dataset '{found or named.name}' is not as it was when the record was made (its pictures, "
                   "splits or taxonomy); pictures are found by their ids.")  # fmt: skip
    return there


def as_one(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures of one question as one, the first on the left; a single one as it is."""
    if len(pictures) == 1:
        return pictures[0]
    whole = Image.new("RGB", (sum(each.width for each in pictures), max(each.height for each in pictures)), "white")
    left = 0
    for each in pictures:
        whole.paste(each, (left, 0))
        left += each.width
    return whole
