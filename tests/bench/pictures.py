"""Pictures that lie decoded in memory, so that loops are compared by what they compute."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from taxbench.data.dataset import Dataset, ImageRecord
from taxbench.features.encoders import Encoder
from taxbench.features.pictures import resize


@dataclass(frozen=True, slots=True)
class Pictures:
    """Resized pictures and the encoder that reads them, for loops that encode on the way."""

    pixels: Tensor  # (n, 3, height, width) uint8, on the CPU
    place: dict[int, int]
    encoder: Encoder
    pool: str

    @classmethod
    def of(cls, dataset: Dataset, images: np.ndarray, encoder: Encoder, pool: str) -> "Pictures":
        """Decode and resize some pictures of a dataset."""
        size = encoder.card.preprocessing
        pixels = np.stack([resize(dataset.read(dataset.images[i]), size) for i in images])
        return cls(torch.from_numpy(pixels), {int(i): row for row, i in enumerate(images)}, encoder, pool)

    def encode(self, images: np.ndarray) -> Tensor:
        """Encode pictures, each once, and repeat them as asked for.  # (b,) → (b, t, f) float32"""
        distinct, back = np.unique(images, return_inverse=True)
        rows = torch.tensor([self.place[int(i)] for i in distinct])
        (found,) = self.encoder.encode(self.pixels[rows], [self.encoder.card.reading(-1, self.pool)])
        return found.float()[torch.from_numpy(back).to(found.device)]


def in_memory(dataset: Dataset, images: np.ndarray) -> Dataset:
    """Return a dataset of some of the pictures, decoded ahead, in the order of their ids."""
    kept = [dataset.images[i] for i in np.sort(images)]
    decoded = {image.id: np.asarray(dataset.read(image)) for image in kept}
    return replace(dataset, images=tuple(kept), read=partial(_read, decoded))


def _read(decoded: dict[str, np.ndarray], image: ImageRecord) -> Image.Image:
    return Image.fromarray(decoded[image.id])
