"""Hierarchical consistency: is a picture called by its leaf and by every hypernym of it, and by nothing that it is not?

Scores per term count questions one by one, so a head may know half of each picture's names. Here a picture counts where
all that was asked of it is right, as in the hierarchical consistent accuracy of Tan, Qing and Gong (2025, arXiv
2505.24840); wrong terms are asked as well, so that always saying Yes gains nothing.
"""

from dataclasses import astuple, dataclass

import numpy as np

from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import REPLICATES, item_weights

Shares = np.ndarray
"""A share of pictures, then what it becomes when hypernyms are reweighted.  # (1 + B,)"""


@dataclass(frozen=True, slots=True)
class Consistency:
    """Shares of the pictures that were asked for their leaf and for their hypernyms; NaN: of no pictures."""

    leaf: Shares
    """All questions about leaves are answered right."""
    hypernyms: Shares
    """All questions about hypernyms are."""
    both: Shares
    """Both: the consistency."""
    given_leaf: Shares
    """Hypernyms, of the pictures whose leaf is right."""
    given_no_leaf: Shares
    """Hypernyms, of the others: as many as with the leaf where hypernyms do not go by it."""
    coin: Shares
    """Both, with a fair coin."""
    n_images: int
    n_clusters: int
    """Sets of hypernyms that pictures have: what is reweighted. Leaves are nested in them, and pictures in leaves, so
    that the interval of a share is that of `bootstrap.over_items`."""


def consistency(predictions: Predictions, split: str, name: str = OWN) -> Consistency | None:
    """Return the consistency of the answers to the splits `leaf` and `split`; None: no picture has questions of both.

    Args:
        split: Of hypernyms.
        name: Whose margins: the run's own head's or a control's.
    """
    if not {"leaf", split} <= set(predictions.splits):
        return None
    right = (predictions.margins[name] > 0) == predictions.answer
    size = len(predictions.images)
    asked, missed = np.zeros((2, size), np.int64), np.zeros((2, size), np.int64)
    for part, of in enumerate(("leaf", split)):
        rows = predictions.rows_of(of)
        asked[part] = np.bincount(predictions.image[rows], minlength=size)
        missed[part] = np.bincount(predictions.image[rows & ~right], minlength=size)
    images = np.flatnonzero(asked.all(axis=0))
    if not len(images):
        return None
    names, cluster = np.unique(_hypernyms(predictions, split)[predictions.leaf_of[images]], return_inverse=True)
    weights = item_weights("hypernyms", tuple(names.tolist()), REPLICATES, 0)[cluster]  # (images, 1 + b)
    leaf, hypernyms = (missed[:, images] == 0).astype(np.float64)
    coin = 0.5 ** asked[:, images].sum(axis=0)

    def share(counted: np.ndarray, among: np.ndarray) -> Shares:
        total = among @ weights
        found = np.full(len(total), np.nan)
        np.divide((counted * among) @ weights, total, out=found, where=total > 0)
        return found

    everything = np.ones(len(images))
    return Consistency(
        leaf=share(leaf, everything),
        hypernyms=share(hypernyms, everything),
        both=share(leaf * hypernyms, everything),
        given_leaf=share(hypernyms, leaf),
        given_no_leaf=share(hypernyms, 1 - leaf),
        coin=share(coin, everything),
        n_images=len(images),
        n_clusters=len(names),
    )


def _hypernyms(predictions: Predictions, split: str) -> np.ndarray:
    """Return of each leaf the hypernyms that it was asked for and has, as one text.  # (leaves,) str"""
    rows = predictions.rows_of(split) & predictions.answer
    pairs = np.unique(np.stack([predictions.leaf_of[predictions.image[rows]], predictions.term[rows]]), axis=1)
    terms: list[list[str]] = [[] for _ in predictions.leaves]
    for leaf, term in pairs.T.tolist():
        terms[leaf].append(predictions.terms[term])
    return np.array([", ".join(sorted(each)) for each in terms])


def mean_over_seeds(found: list[Consistency]) -> Consistency:
    """Return the mean of the shares of several seeds; the weights of a set of hypernyms are the same with each."""
    leaf, hypernyms, both, given, without, coin = np.mean([astuple(each)[:6] for each in found], axis=0)
    n_images, n_clusters = sum(each.n_images for each in found), min(each.n_clusters for each in found)
    return Consistency(leaf, hypernyms, both, given, without, coin, n_images, n_clusters)
