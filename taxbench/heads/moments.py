"""What all closed-form heads need of their training images, computed once: one pass, one eigendecomposition.

Every alpha is then a division, every language model and every choice of label vectors a product with the sums of each
name's features, and a re-pairing only sums them anew: 16 heads cost little more than one. Only another set of training
images, as when other leaves are held out, needs another eigendecomposition.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")
Features = Callable[[np.ndarray], Tensor]

_PASS_ROWS = 256
_PART = 4096


@dataclass(frozen=True)
class Moments:
    """Training images' features, averaged over tokens, and the eigendecomposition of their covariance."""

    rows: Tensor  # (n, f) float32

    @classmethod
    def of(cls, features: Features, images: np.ndarray) -> "Moments":
        """Read the features of images once."""
        return cls(pooled(features, images))

    @cached_property
    def mean(self) -> Tensor:
        """Return the mean, near zero where features are standardised.  # (f,) float64"""
        return torch.stack([part.sum(0) for part in self._parts()]).sum(0) / len(self.rows)

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Return eigenvalues and eigenvectors of the covariance.  # (r,), (f, r) float64

        Where features are more than images, those of the smaller Gram matrix between images give the same directions.
        """
        n, f = self.rows.shape
        if n > f:
            gram = self.mean.new_zeros(f, f)
            for part in self._parts():
                gram += (part - self.mean).T @ (part - self.mean)
            values, vectors = torch.linalg.eigh(gram / n)
            return values.clamp_min(0), vectors
        centred = _exact(self.rows) - self.mean
        values, between = torch.linalg.eigh(centred @ centred.T / n)
        kept = values > 1e-10 * values[-1]
        return values[kept], centred.T @ between[:, kept] / (values[kept] * n).sqrt()

    @cached_property
    def unit(self) -> float:
        """Return the mean variance of a feature: an alpha of 1 shrinks as much as that."""
        return float(self.spectrum[0].sum() / self.rows.shape[1])

    def project(self, rows: Tensor) -> Tensor:
        """Return features in the basis of the eigenvectors.  # (b, f) → (b, r) float64"""
        return (_exact(rows) - self.mean) @ self.spectrum[1]

    def classes(self, names: np.ndarray, n_names: int) -> "Classes":
        """Sum the images by name."""
        index = torch.from_numpy(names).to(self.mean.device)
        count = torch.bincount(index, minlength=n_names).to(self.mean)
        total = self.mean.new_zeros(n_names, len(self.mean))
        for part, where in zip(self._parts(), torch.split(index, _PART), strict=True):
            total.index_add_(0, where, part)
        mean = total / count.clamp_min(1)[:, None] - self.mean
        return Classes(count, (mean @ self.spectrum[1]) * (count > 0)[:, None])

    def _parts(self) -> Iterator[Tensor]:
        """Return the rows in double precision, not all of them at once."""
        return map(_exact, torch.split(self.rows, _PART))


@dataclass(frozen=True)
class Classes:
    """The training images by name, in the basis of the eigenvectors."""

    count: Tensor  # (c,) float64, images of each name; 0 of a name that training does not say
    mean: Tensor  # (c, r) float64, mean of each name's images minus the mean of all

    @property
    def share(self) -> Tensor:
        """Return the share of each name among the images.  # (c,)"""
        return self.count / self.count.sum()


@dataclass
class LRUCache:
    """What heads fitted to the same data share, made once; what was used last is kept."""

    most: int = 12
    _kept: dict[Hashable, Any] = field(default_factory=dict)
    _lock: Any = field(default_factory=RLock)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key; make it when it is not there."""
        with self._lock:
            found: T = self._kept.pop(key) if key in self._kept else make()
            self._kept[key] = found
            while len(self._kept) > self.most:
                del self._kept[next(iter(self._kept))]
            return found


def pooled(features: Features, images: np.ndarray) -> Tensor:
    """Return the features of images, averaged over tokens.  # (n, f) float32"""
    parts = [features(images[start : start + _PASS_ROWS]).mean(1) for start in range(0, len(images), _PASS_ROWS)]
    return torch.cat(parts)


def factored_svd(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, S, V of leftᵀ · right, as many as its rank.  # (c, r), (c, d) → (r, k), (k,), (d, k)

    Names are often fewer than dimensions; the work is then done between names.
    """
    if len(left) < min(left.shape[1], right.shape[1]):
        (ends, a), (others, b) = torch.linalg.qr(left.T), torch.linalg.qr(right.T)
        u, s, v = torch.linalg.svd(a @ b.T)
        u, v = ends @ u, others @ v.T
    else:
        u, s, v = torch.linalg.svd(left.T @ right, full_matrices=False)
        v = v.T
    kept = s > 1e-9 * s[0]
    return u[:, kept], s[kept], v[:, kept]


def _exact(values: Tensor) -> Tensor:
    """Return values in double precision, on a device that has it."""
    return (values.cpu() if values.device.type == "mps" else values).double()
