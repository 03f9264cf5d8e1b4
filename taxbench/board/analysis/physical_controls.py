"""Controls of property tasks that follow from the table and the pictures: no head answers, nothing is trained."""

import numpy as np

from taxbench.datasets.dataset import Dataset
from taxbench.protocol.property_questions import AskedProperty

CATEGORY_MEAN, APPARENT_SIZE = "category_mean", "apparent_size"
_PICTURES = 8  # of each leaf, of which the mean is taken


def category_means(asks: AskedProperty, dataset: Dataset, trained: np.ndarray) -> np.ndarray:
    """Return how many other trained leaves of the same hypernyms have a property; one half where there are none.

    What is high here follows from the category that a leaf is put into, and takes no knowledge of the leaf itself.

    Args:
        trained: Indices of the leaves that training names.  # (t,)

    Returns:
        The share that answers each question with Yes.  # (l, questions)
    """
    taxonomy, answers = dataset.taxonomy, asks.answers  # (l, questions)
    sets = [taxonomy.hypernyms_of[leaf] for leaf in taxonomy.leaves]
    known = (answers >= 0) & np.isin(np.arange(len(answers)), trained)[:, None]
    kin = np.array([[one == other for other in sets] for one in sets]) & ~np.eye(len(sets), dtype=bool)
    count = kin.astype(float) @ known
    return np.where(count > 0, kin.astype(float) @ (known & (answers > 0)) / np.maximum(count, 1), 0.5)


def apparent_sizes(dataset: Dataset, images: tuple[str, ...]) -> dict[int, float] | None:
    """Return which share of its pictures each leaf takes on average, by its index; None where nobody knows.

    What is high here follows from how things are pictured: an ant fills a picture as an elephant does.
    """
    if dataset.frame_share is None:
        return None
    index = {leaf: i for i, leaf in enumerate(dataset.taxonomy.leaves)}
    wanted, shares = set(images), dict[int, list[float]]()
    for image in dataset.images:
        of_leaf = shares.setdefault(index[image.leaf], [])
        if image.id in wanted and len(of_leaf) < _PICTURES:
            of_leaf.append(dataset.frame_share(image))
    return {leaf: float(np.mean(some)) for leaf, some in shares.items() if some}
