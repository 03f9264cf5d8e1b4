"""A dataset whose pictures lie decoded in memory. Nothing heavy here: decoding processes import it."""

from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord


def in_memory(dataset: Dataset, images: np.ndarray) -> Dataset:
    """Return a dataset of some of the pictures, decoded ahead, in the order of their ids."""
    kept = [dataset.images[i] for i in np.sort(images)]
    decoded = {image.id: np.asarray(dataset.read(image)) for image in kept}
    return replace(dataset, images=tuple(kept), read=partial(_read, decoded))


def _read(decoded: dict[str, np.ndarray], image: ImageRecord) -> Image.Image:
    return Image.fromarray(decoded[image.id])
