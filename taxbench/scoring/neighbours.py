"""How alike two spaces lay out the same things: the nearest neighbours that they share, beyond what chance shares.

Mutual nearest neighbours as in the Platonic representation hypothesis (Huh et al., 2024, arXiv 2405.07987). They grow
with the number of neighbours, and the best of many layers grows with their number; so they are set against permuted
things, all layers under one permutation, as Gröger, Wen and Brbić (2026) calibrate them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxbench.util.vectors import unit

PERMUTATIONS = 1000


@dataclass(frozen=True, slots=True)
class Alignment:
    """Of one space with the nearest of several others."""

    shared: float
    """Share of the k nearest neighbours of a thing that both spaces have, mean over things."""
    by_chance: float
    """The same of permuted things, mean over permutations."""
    calibrated: float
    """How much of what lies between chance and 1 it is: 0 by chance, 1 where both spaces have the same neighbours."""
    p: float
    """Share of permutations that have as much, itself counted among them."""
    best: int
    """Which of the other spaces it is."""
    k: int


def nearest(vectors: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest neighbours of each thing by the cosine of centred vectors.  # (n, d) → (n, k)"""
    directions = unit(vectors.astype(np.float64) - vectors.mean(0))
    cosine = directions @ directions.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :k]


def alignment(
    one: np.ndarray, others: Sequence[np.ndarray], k: int, draw: np.random.Generator, n: int = PERMUTATIONS
) -> Alignment:
    """Return how well a space is aligned with the nearest of others, null-calibrated.

    Args:
        one: Vectors of things.  # (things, d)
        others: Vectors of the same things, each of any width.
        k: Neighbours; fewer than half of the things.
        draw: Draws the permutations.
        n: How many.
    """
    things = len(one)
    near = np.zeros((things, things), bool)
    np.put_along_axis(near, nearest(one, k), True, axis=1)
    found = [nearest(each, k) for each in others]
    shared = [float(np.take_along_axis(near, each, axis=1).mean()) for each in found]
    null = np.empty(n)
    for row in range(n):
        turned = draw.permutation(things)
        null[row] = max(float(near[turned[:, None], turned[each]].mean()) for each in found)
    best = int(np.argmax(shared))
    chance = float(null.mean())
    above = (shared[best] - chance) / (1 - chance)
    p = (1 + int((null >= shared[best]).sum())) / (1 + n)
    return Alignment(shared[best], chance, above, p, best, k)
