"""Shares of pairs, with intervals over the things that pairs are made of, since pairs have things in common."""

import numpy as np

from taxbench.scoring.bootstrap import REPLICATES, interval, item_weights, joint_weights, over_items
from taxbench.scoring.rank_correlation import UNKNOWN, Bounds


def pair_share(holds: np.ndarray, first: np.ndarray, second: np.ndarray, names: tuple[str, ...]) -> Bounds:
    """Return in which share of pairs something holds, and its 95 % interval over things; UNKNOWN without pairs.

    Args:
        holds: Of each pair whether it does, or to which degree from 0 to 1.  # (p,)
        first: The thing that comes first in it.  # (p,) int
        second: The other; the first again where there is one thing alone.  # (p,) int
        names: Of all things.
    """
    things, place = np.unique(np.stack([first, second]), return_inverse=True)
    if not len(things):
        return UNKNOWN
    weights = item_weights("thing", tuple(names[i] for i in things), REPLICATES, 0)
    weight = joint_weights(weights, *place.reshape(2, -1))  # (p, 1 + b)
    values = holds.astype(np.float64) @ weight / weight.sum(0)
    return float(values[0]), *interval(over_items(values), len(things))
