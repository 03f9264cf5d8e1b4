"""Features as heads see them, row by row."""

from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from taxbench.features.store.reader import FeatureTable

_PASS_BYTES = 64 << 20


class Images(Protocol):
    """Gives heads something for each image."""

    tokens: int  # t
    width: int  # f
    looks: np.ndarray | None
    """Which images look the same to a head, as equal numbers; None where each may look different.  # (n,) int64"""

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return what stands for some images.  # (b,) → (b, t, f) float32"""

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation over some images and all tokens.  # (f,), (f,) float32"""


class FeatureRows:
    """Features that rows are picked from: resident if they fit, else read as needed.

    Args:
        source: All rows as a tensor on the device, or the table to read them from.  # (n, t, f)
    """

    looks: np.ndarray | None = None

    def __init__(self, source: Tensor | FeatureTable, device: torch.device) -> None:
        self._source, self._device = source, device
        self.tokens, self.width = source.row_shape if isinstance(source, FeatureTable) else source.shape[1:]
        self._statistics: dict[bytes, tuple[Tensor, Tensor]] = {}

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
        """Return mean and standard deviation of the images' features over images and tokens; computed once.

        Returns:
            Both in float32; a feature that never varies has deviation 1.  # (f,), (f,)
        """
        if images.tobytes() not in self._statistics:
            self._statistics[images.tobytes()] = self._pass_over(images)
        return self._statistics[images.tobytes()]

    def _pass_over(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Compute mean and deviation of the images' features in one pass over rows.  # (f,), (f,)"""
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


class ShuffledFeatures:
    """The features, or names, of other images: every image gets those of one of its group, dealt out at random.

    Args:
        groups: Images of one group exchange features; a run's splits, so that none learns from a test picture.  # (n,)
    """

    def __init__(self, rows: Images, groups: np.ndarray, generator: np.random.Generator) -> None:
        self._rows, self.tokens, self.width = rows, rows.tokens, rows.width
        self._from = np.arange(len(groups))
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            self._from[members] = generator.permutation(members)
        self.looks: np.ndarray | None = None if rows.looks is None else rows.looks[self._from]

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the features that images were dealt.  # (b,) → (b, t, f) float32"""
        return self._rows(self._from[images])

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the statistics of what these images truly show; what they are dealt may be of others.  # (f,), (f,)"""
        return self._rows.statistics(images)


class ImagePairs:
    """Images one or two at a time, as questions number them (`protocol/image_pairs.py`); `rows` gives one of n."""

    def __init__(self, rows: Images, n: int) -> None:
        self.rows, self._n, self.tokens, self.width = rows, n, rows.tokens, rows.width
        self.looks: np.ndarray | None = None

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the features of images, (b,) → (b, t, f), or of pairs, (b,) → (b, 2, t, f); float32."""
        if (images < self._n).all():
            return self.rows(images)
        return torch.stack([self.rows(images % self._n), self.rows(images // self._n - 1)], dim=1)

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the statistics of single images.  # (f,), (f,)"""
        return self.rows.statistics(images)


class _Numbers:
    """One whole number an image, as one feature, for heads that see no pictures.  # numbers: (n,)"""

    tokens, width = 1, 1

    def __init__(self, numbers: np.ndarray, device: torch.device) -> None:
        self.looks: np.ndarray | None = numbers
        self._numbers = torch.from_numpy(numbers).float().to(device)[:, None, None]

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the numbers of images.  # (b,) → (b, 1, 1) float32"""
        return self._numbers[torch.from_numpy(images).to(self._numbers.device)]

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return mean 0 and deviation 1, which leave the numbers as they are.  # (1,), (1,) float32"""
        return torch.zeros(1, device=self._numbers.device), torch.ones(1, device=self._numbers.device)


class NameFeatures(_Numbers):
    """What images are called: the index of each one's name."""


class NoFeatures(_Numbers):
    """Nothing about any of n images: the same number for all."""

    def __init__(self, n: int, device: torch.device) -> None:
        super().__init__(np.zeros(n, np.int64), device)
