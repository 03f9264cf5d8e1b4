"""What a head is. Every other file in this folder is one head, found by its file name.

A head file defines `Settings`, the options of the head, and `build(shape, settings)`, which returns a module that maps
features (b, t, f) to vectors (b, k, d). `Head` standardises before and scales after, so a head file holds its own idea
and nothing else.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    """What a head maps from and to."""

    tokens: int  # t, feature vectors an image
    features: int  # f, their width
    width: int  # d, the LM's embedding width


class Head(nn.Module):
    """Standardised features → mapping → soft tokens at the scale of the LM's own embeddings.

    Soft tokens are normalised to unit RMS and multiplied by a learnt gain that starts at the RMS of the LM's input
    embeddings: a frozen LM reads vectors of another scale as noise, and heads then take many times longer to converge.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mapping: nn.Module, mean: Tensor, std: Tensor, rms: float) -> None:
        super().__init__()
        self.mapping = mapping
        self.gain = nn.Parameter(torch.tensor(rms))
        self.register_buffer("mean", mean)  # (f,)
        self.register_buffer("std", std)  # (f,)

    def forward(self, features: Tensor) -> Tensor:
        """Map features to soft tokens.  # (b, t, f) → (b, k, d)"""
        mapped: Tensor = self.mapping((features - self.mean) / self.std)
        unit = mapped * torch.rsqrt(mapped.square().mean(-1, keepdim=True) + 1e-8)
        return unit * self.gain


class Dropout(nn.Module):
    """Dropout with a random stream of its own, so that heads trained side by side do not disturb each other.

    The stream's seed is drawn when the module is built, from torch's global state, which then follows the run's seed.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.stream = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))

    def forward(self, x: Tensor) -> Tensor:
        """Set a random share of the values to zero in training and scale up the others.  # any shape"""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape, generator=self.stream) >= self.share
        return x * kept.to(x.device) / (1 - self.share)
