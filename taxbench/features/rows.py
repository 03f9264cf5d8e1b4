"""Features as heads see them: rows on the training device, resident if they fit, else read as needed."""

from typing import Self

import numpy as np
import torch
from torch import Tensor

from taxbench.features.store.reader import FeatureTable

_PASS_BYTES = 64 << 20


class FeatureRows:
    """Features that rows are picked from.

    Args:
        source: All rows as a tensor on the device, or the table to read them from.  # (n, t, f)
    """

    def __init__(self, source: Tensor | FeatureTable, device: torch.device) -> None:
        self._source, self._device = source, device
        self.tokens, self.width = source.row_shape if isinstance(source, FeatureTable) else source.shape[1:]

    @classmethod
    def of(cls, table: FeatureTable, device: torch.device) -> Self:
        """Take the rows of a table, whole when they fit into half of the device's free memory."""
        return cls(table.as_tensor(device) if table.fits(device) else table, device)

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the features of images.  # (b,) → (b, t, f) float32"""
        if isinstance(self._source, Tensor):
            return self._source[torch.from_numpy(images).to(self._device)].float()
        bits = torch.from_numpy(self._source.take(images))
        rows = bits.view(getattr(torch, self._source.layout.dtype))
        return rows.to(self._device).float()

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the images' features over images and tokens.  # (f,), (f,) float32"""
        double = torch.float32 if self._device.type == "mps" else torch.float64
        total = torch.zeros(2, self.width, dtype=double, device=self._device)
        step = max(1, _PASS_BYTES // (4 * self.tokens * self.width))
        for start in range(0, len(images), step):
            flat = self(images[start : start + step]).reshape(-1, self.width).to(double)
            total += torch.stack([flat.sum(0), flat.square().sum(0)])
        mean, square = total / (len(images) * self.tokens)
        std = (square - mean.square()).clamp_min(0).sqrt().float()
        # A feature that never varies carries nothing; dividing by its zero would.
        return mean.float(), torch.where(std > 1e-6, std, torch.ones_like(std))
