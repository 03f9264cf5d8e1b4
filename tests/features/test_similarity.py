"""Visual similarity against the definition, pair by pair."""

import itertools

import numpy as np
import pytest
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.features.coherence import Coherence
from taxbench.taxonomy.taxonomy import Taxonomy


def dataset(taxonomy: Taxonomy, leaves: list[str]) -> Dataset:
    images = tuple(ImageRecord(f"{i:03d}", leaf, str(i)) for i, leaf in enumerate(leaves))
    return Dataset("toy", images, taxonomy, "none", lambda image: Image.new("RGB", (8, 8)))


def test_it_is_the_mean_cosine_over_pairs_of_standardised_features() -> None:
    features = np.random.default_rng(0).normal(3, 2, size=(12, 6)).astype(np.float32)
    toy = dataset(Taxonomy({"a": ("x",), "b": ("x",), "c": ("y",)}), ["a", "b", "c"] * 4)
    turned = {"a": "b", "b": "c", "c": "a"}
    coherence = Coherence(features, toy)
    found = coherence.report(turned)
    z = (features - features.mean(0)) / features.std(0)
    for column, names in (("before", {"a": "a", "b": "b", "c": "c"}), ("after", turned)):
        for row, members in zip(found.categories, ({"a", "b"}, {"c"}), strict=True):
            rows = z[[names[image.leaf] in members for image in toy.images]]
            cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in itertools.combinations(rows, 2)]
            assert getattr(row, column) == pytest.approx(np.mean(cosines), abs=1e-5)
    assert found.after == pytest.approx(np.mean([row.after for row in found.categories]), abs=1e-5)
    assert coherence(turned) == pytest.approx(found.after, abs=1e-6)


def test_re_pairing_across_categories_lowers_it() -> None:
    taxonomy = Taxonomy({f"{kind}{i}": (kind,) for kind in "xy" for i in range(4)})
    leaf = np.repeat(np.arange(8), 10)
    centre = np.where(leaf < 4, 1.0, -1.0)[:, None] * np.ones(5)
    features = centre + 0.3 * np.random.default_rng(0).normal(size=(80, 5))
    mixed = dict(zip(taxonomy.leaves, np.array(taxonomy.leaves)[[0, 4, 1, 5, 2, 6, 3, 7]].tolist(), strict=True))
    found = Coherence(features, dataset(taxonomy, [taxonomy.leaves[i] for i in leaf])).report(mixed)
    assert found.before is not None and found.after is not None
    assert found.before > 0.8 and abs(found.after) < 0.2


def test_a_category_of_one_image_has_no_similarity_and_blanks_the_mean() -> None:
    toy = dataset(Taxonomy({"a": ("x",), "b": ("y",)}), ["a", "a", "b"])
    found = Coherence(np.eye(3), toy).report({"a": "a", "b": "b"})
    assert found.categories[1].before is None and found.before is None
