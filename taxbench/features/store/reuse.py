"""Take over rows of other entries: when images are added, removed or repaired, the others are not encoded again."""

from pathlib import Path

import numpy as np

from taxbench.features.store.index import entries, open_entry
from taxbench.features.store.layout import OK
from taxbench.features.store.reader import FeatureTable
from taxbench.specs.feature_key import FeatureKey
from taxbench.util.errors import CacheError


class ReusableEntry:
    """A complete entry of the same encoder and reading, whose rows are found by the contents of their images.

    Args:
        contents: Content digests of the images that are wanted.
    """

    def __init__(self, table: FeatureTable, contents: list[str]) -> None:
        self.table = table
        self._order = np.argsort(table.contents, kind="stable")
        self._sorted = table.contents[self._order]
        self.held = int((self.rows(contents) >= 0).sum())

    def rows(self, contents: list[str]) -> np.ndarray:
        """Return the donor's row of each image, −1 where it has none.  # (b,)"""
        wanted = np.array([content.encode() for content in contents], dtype=bytes)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        rows = self._order[place]
        return np.where((self._sorted[place] == wanted) & (self.table.status[rows] == OK), rows, -1)


def find_reusable(cache: Path, key: FeatureKey, contents: list[str]) -> ReusableEntry | None:
    """Return the entry that holds most of the images under the same encoder and reading, if one holds any."""
    best: ReusableEntry | None = None
    for entry in entries(cache):
        other = entry.manifest.key
        alike = other.model_copy(update={"images_digest": key.images_digest, "n_images": key.n_images})
        if alike != key or other == key or not entry.complete:
            continue
        try:
            reusable = ReusableEntry(open_entry(entry), contents)
        except CacheError:
            continue  # a damaged entry gives nothing; whoever opens it by its own key is told
        if reusable.held > (best.held if best else 0):
            best = reusable
    return best
