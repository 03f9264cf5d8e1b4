"""Spearman's correlation over leaves, with its interval: does a leaf's mean margin go with its number?

Leaves are what is sampled, so they are reweighted (Rubin 1981), the ranks staying as they are. The interval is
symmetric in Fisher's z, where the error hardly depends on the correlation (Fisher 1921). `tests/scoring` holds the
coverage against known truth.
"""

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

Bounds = tuple[float | None, float | None, float | None]
"""An estimate and the ends of its 95 % interval."""
UNKNOWN: Bounds = (None, None, None)
FEWEST = 6
"""Leaves under which no correlation is told."""


def leaf_means(margin: np.ndarray, term: np.ndarray, leaf: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Return the mean margin of each leaf's questions, less what the term's questions have on average.

    Args:
        margin: Of each question.  # (q,) float
        term: The term that it asks.  # (q,) int
        leaf: The leaf that it asks about, of l; each occurs.  # (q,) int
        sign: −1 where Yes to the term means less of the property, else 1.  # (q,)
    """
    _, place = np.unique(term, return_inverse=True)
    centred = margin - (np.bincount(place, weights=margin) / np.bincount(place))[place]
    return np.asarray(np.bincount(leaf, weights=sign * centred) / np.bincount(leaf))


def rank_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
    """Return Spearman's correlation under each column of weights; NaN where one side does not vary.

    Args:
        x: Of each leaf.  # (l,)
        y: The same.  # (l,)
        weights: The first column, all 1, gives the estimate.  # (l, 1 + b)
        group: The group of each leaf; ranks are then taken less their group's mean, so that only what differs inside
            groups counts.  # (l,) int
    """
    group = np.zeros(len(x), np.int64) if group is None else group
    member = np.eye(int(group.max()) + 1)[group]  # (l, g)
    total = member.T @ weights

    def centred(values: np.ndarray) -> np.ndarray:
        ranks = rankdata(values)[:, None]
        return np.asarray(ranks - member @ ((member.T @ (weights * ranks)) / np.maximum(total, 1e-300)))

    one, other = centred(x), centred(y)
    together, size = (weights * one * other).sum(0), (weights * one**2).sum(0) * (weights * other**2).sum(0)
    return np.asarray(np.divide(together, np.sqrt(size), out=np.full(len(size), np.nan), where=size > 1e-9))


def correlation_interval(values: np.ndarray, n_leaves: int) -> Bounds:
    """Return a correlation and its 95 % interval over leaves.

    Args:
        values: As `rank_correlation` returns them, or means of such.  # (1 + b,)
        n_leaves: Leaves behind it; under `FEWEST` nothing is told.
    """
    if n_leaves < FEWEST or not np.isfinite(values).all():
        return UNKNOWN
    z = np.arctanh(np.clip(values, -1 + 1e-9, 1 - 1e-9))
    # Exp(1) weights of n things give (n - 1) / (n + 1) of the variance of their mean; 3 more are lost to two means.
    error = z[1:].std() * np.sqrt((n_leaves + 1) / (n_leaves - 3))
    reach = student.ppf(0.975, n_leaves - 2) * error
    low, high = np.tanh(z[0] + np.array([-reach, reach]))
    return float(values[0]), float(low), float(high)
