"""Pictures that lie decoded in memory, so that loops are compared by what they compute."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taxbench.datasets.dataset import Dataset
from taxbench.features.decode import resize
from taxbench.features.encoders import Encoder


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
        """Encode pictures.  # (b,) → (b, t, f) float32"""
        rows = torch.tensor([self.place[int(i)] for i in images])
        (found,) = self.encoder.encode(self.pixels[rows], [self.encoder.card.reading(-1, self.pool)])
        return found.float()
