"""How alike the images under a hypernym look to an encoder, before and after a re-pairing."""

import numpy as np

from taxbench.datasets.dataset import Dataset
from taxbench.protocol.counterfactual import Pairing
from taxbench.protocol.deprivation import true_pairs
from taxbench.specs.result import Similarity, VisualSimilarity
from taxbench.util.vectors import unit


class Coherence:
    """The mean pairwise cosine of standardised features inside each hypernym (arXiv 2603.07474, section 6).

    The paper takes raw features. Standardising, which is also how heads see them, takes out the offset that all
    images share: convolutional features after a ReLU have raw cosines near 0.9 for any two pictures.

    What is kept is the sum of the unit vectors of each leaf's images and the products of those sums, so that any
    re-pairing is measured without going back to the features.
    """

    def __init__(self, features: np.ndarray, dataset: Dataset) -> None:
        """Take one vector an image.  # (n, f)"""
        taxonomy = dataset.taxonomy
        index = {leaf: i for i, leaf in enumerate(taxonomy.leaves)}
        leaf = np.array([index[image.leaf] for image in dataset.images])  # (n,)
        pooled = features.astype(np.float64)
        centred = (pooled - pooled.mean(0)) / np.maximum(pooled.std(0), 1e-6)
        sums = np.zeros((len(index), centred.shape[1]))
        np.add.at(sums, leaf, unit(centred))
        self._taxonomy = taxonomy
        self._index = index
        self._true = true_pairs(taxonomy)  # (l, h)
        self._products = sums @ sums.T  # (l, l)
        self._count = np.bincount(leaf, minlength=len(index))  # (l,)

    def __call__(self, pairing: Pairing) -> float:
        """Return the mean over hypernyms that have two images under a re-pairing."""
        return float(np.nanmean(self.by_hypernym(pairing)))

    def by_hypernym(self, pairing: Pairing) -> np.ndarray:
        """Return the mean cosine over all pairs of different images in each hypernym, NaN where there is no pair.

        In one pass: (|Σu|² − n) / (n(n − 1)).  # (h,)
        """
        name = np.array([self._index[pairing[leaf]] for leaf in self._taxonomy.leaves])  # (l,)
        member = self._true[name].astype(np.float64)  # (l, h): whether a leaf's images go under the hypernym
        n = self._count @ member  # (h,)
        total = np.einsum("lh,lh->h", member, self._products @ member)
        return np.where(n > 1, (total - n) / np.maximum(n * (n - 1), 1), np.nan)

    def report(self, pairing: Pairing) -> VisualSimilarity:
        """Return the similarities before and after a re-pairing."""
        before, after = (
            [None if np.isnan(value) else round(float(value), 6) for value in self.by_hypernym(each)]
            for each in ({leaf: leaf for leaf in self._taxonomy.leaves}, pairing)
        )
        rows = [Similarity(hypernym=hypernym, before=one, after=two)
                for hypernym, one, two in zip(self._taxonomy.hypernyms, before, after, strict=True)]  # fmt: skip
        return VisualSimilarity(before=_mean(before), after=_mean(after), categories=tuple(rows))


def _mean(values: list[float | None]) -> float | None:
    """Return the mean visual similarity over hypernyms; None where one has none."""
    if not values or any(value is None for value in values):
        return None  # an average over an incomplete column is blank
    return round(float(np.mean(np.array(values, dtype=np.float64))), 6)
