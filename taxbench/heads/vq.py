"""Every patch as the nearest of some code words, as in Chameleon (Chameleon Team, 2024, arXiv 2405.09818)."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import HeadShape
from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec
from taxbench.util.seeds import rng

POOL = "grid4"
# faiss asks for 39 to 256 points a word; more patches and rounds change little and take long.
_PATCHES_A_WORD, _MOST_PATCHES, _ROUNDS, _IMAGES_AT_ONCE = 64, 1 << 17, 30, 256


class Settings(Spec, strict=True):
    """Options of the VQ head."""

    words: int = Field(default=256, ge=2, le=1 << 16)
    """Code words; Chameleon has 8,192."""


class _Words(nn.Module):
    """Code words among the features, found before training, and what each means to the LM, learnt by training."""

    words: Tensor

    def __init__(self, words: int, features: int, width: int) -> None:
        super().__init__()
        self.register_buffer("words", torch.zeros(words, features))
        self.meanings = nn.Parameter(0.02 * torch.randn(words, width))

    def forward(self, features: Tensor) -> Tensor:
        """Look up what the nearest words mean.  # (b, t, f) → (b, t, d)"""
        # Indexing would do the same, but adds gradients up in the order in which threads finish.
        return nn.functional.embedding(_nearest(features, self.words), self.meanings)


def build(shape: HeadShape, settings: Settings) -> nn.Module:
    """Return the map (b, t, f) → (b, t, d): look up the nearest word. The words' meanings are trained through the LM.

    Parameters: words · d; the words themselves, words · f numbers, come from `prepare`. Chameleon learns its words with
    a decoder of pictures; where features are frozen, k-means finds what they minimise, the squared distance.
    """
    return _Words(settings.words, shape.features, shape.width)


def prepare(mapping: _Words, data: FitData) -> None:
    """Find the code words: k-means over patches of training images."""
    draw = rng(data.seed, "vq")
    patches = _sample(data, min(len(mapping.words) * _PATCHES_A_WORD, _MOST_PATCHES), draw)
    mapping.words.copy_(kmeans(patches, len(mapping.words), draw))


def _sample(data: FitData, most: int, draw: np.random.Generator) -> Tensor:
    """Return patches of training images, drawn evenly, on the CPU.  # (n, f)"""
    images = draw.permutation(data.images)[:most]
    each = -(-most // len(images))
    found = []
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        features = data.features(images[start : start + _IMAGES_AT_ONCE]).float().cpu()  # (b, t, f)
        patches = torch.from_numpy(draw.permuted(np.tile(np.arange(features.shape[1]), (len(features), 1)), axis=1))
        found.append(features[torch.arange(len(features))[:, None], patches[:, :each]].flatten(0, 1))
    return torch.cat(found)


def kmeans(points: Tensor, words: int, draw: np.random.Generator) -> Tensor:
    """Return k-means centres by Lloyd's rounds from greedy k-means++ (Arthur and Vassilvitskii, 2007).

    scikit-learn's KMeans adds up in the order in which its threads finish: from these very seeds its centres are other
    bits with two threads than with one, and heads would follow from the machine. For 256 words of 16,384 patches it
    takes 0.7 s where these rounds take 1.7; the seeds, most of the time, take 2.5 s in either.

    Args:
        points: At least one.  # (n, f) float32, on the CPU

    Returns:
        The centres; with fewer distinct points than words some are alike.  # (words, f)
    """
    centres = _seeds(points, words, draw)
    before = None
    for _ in range(_ROUNDS):
        nearest = _nearest(points, centres)
        if before is not None and torch.equal(nearest, before):
            break
        count = nearest.bincount(minlength=words)[:, None]
        total = torch.zeros_like(centres).index_add_(0, nearest, points)
        centres = torch.where(count > 0, total / count.clamp(min=1), centres)
        before = nearest
    return centres


def _seeds(points: Tensor, words: int, draw: np.random.Generator) -> Tensor:
    """Return points far from each other: of a few, drawn by squared distance, the one that brings words closest."""
    chosen = [int(draw.integers(len(points)))]
    distance = torch.cdist(points[chosen], points)[0].square()  # to the nearest word so far
    tries = 2 + int(np.log(words))
    while len(chosen) < words:
        reach = distance.double().cumsum(0)
        found = torch.searchsorted(reach, torch.from_numpy(draw.random(tries)) * reach[-1], right=True)
        found = found.clamp(max=len(points) - 1)
        closer = torch.minimum(torch.cdist(points[found], points).square(), distance)  # (tries, n)
        best = int(closer.sum(1).argmin())
        chosen.append(int(found[best]))
        distance = closer[best]
    return points[chosen]


def _nearest(points: Tensor, words: Tensor) -> Tensor:
    """Return each point's nearest word; its own square is the same for all of them.  # (..., f), (w, f) → (...)"""
    return (words.square().sum(-1) - 2 * points @ words.T).argmin(-1)
