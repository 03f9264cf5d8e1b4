"""Visual similarity inside categories: is a hypernym visually coherent, before and after a re-pairing?"""

import numpy as np

from taxbench.data.taxonomy import Taxonomy
from taxbench.specs.result import Similarity, VisualSimilarity


def visual_similarity(
    features: np.ndarray, taxonomy: Taxonomy, before: np.ndarray, after: np.ndarray
) -> VisualSimilarity:
    """Measure the mean pairwise cosine of standardised features inside each hypernym (arXiv 2603.07474, section 6).

    The paper takes raw features. Standardising, which is also how heads see them, takes out the offset that all
    images share: convolutional features after a ReLU have raw cosines near 0.9 for any two pictures.

    Args:
        features: One vector an image.  # (n, f)
        before: True leaf index of every image.  # (n,)
        after: Leaf index of every image under the re-pairing.  # (n,)
    """
    pooled = features.astype(np.float64)
    centred = (pooled - pooled.mean(0)) / np.maximum(pooled.std(0), 1e-6)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    rows = []
    for hypernym in taxonomy.hypernyms:
        members = np.array([hypernym in taxonomy.hypernyms_of[leaf] for leaf in taxonomy.leaves])
        rows.append(
            Similarity(
                hypernym=hypernym,
                before=_mean_cosine(unit[members[before]]),
                after=_mean_cosine(unit[members[after]]),
            )
        )
    return VisualSimilarity(
        before=_mean([row.before for row in rows]), after=_mean([row.after for row in rows]), categories=tuple(rows)
    )


def _mean_cosine(unit: np.ndarray) -> float | None:
    """Return the mean cosine over all pairs of different rows, in one pass: (|Σu|² − n) / (n(n − 1))."""
    n = len(unit)
    if n < 2:
        return None
    total = unit.sum(0)
    return round(float((total @ total - n) / (n * (n - 1))), 6)


def _mean(values: list[float | None]) -> float | None:
    if not values or any(value is None for value in values):
        return None  # an average over an incomplete column is blank
    return round(float(np.mean(np.array(values, dtype=np.float64))), 6)
