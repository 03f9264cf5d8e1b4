"""Visual similarity against the definition, pair by pair."""

import itertools

import numpy as np
import pytest

from taxbench.data.taxonomy import Taxonomy
from taxbench.features.similarity import visual_similarity


def test_it_is_the_mean_cosine_over_pairs_of_standardised_features() -> None:
    rng = np.random.default_rng(0)
    taxonomy = Taxonomy({"a": ("x",), "b": ("x",), "c": ("y",)})
    features, leaf = rng.normal(3, 2, size=(12, 6)).astype(np.float32), np.arange(12) % 3
    found = visual_similarity(features, taxonomy, leaf, np.roll(leaf, 1))
    z = (features - features.mean(0)) / features.std(0)
    for row, members in zip(found.categories, ([0, 1], [2]), strict=True):
        rows = z[np.isin(leaf, members)]
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in itertools.combinations(rows, 2)]
        assert row.before == pytest.approx(np.mean(cosines), abs=1e-5)
    assert found.before == pytest.approx(np.mean([row.before for row in found.categories]), abs=1e-5)


def test_re_pairing_across_categories_lowers_it() -> None:
    taxonomy = Taxonomy({f"{kind}{i}": (kind,) for kind in "xy" for i in range(4)})
    leaf = np.repeat(np.arange(8), 10)
    centre = np.where(leaf < 4, 1.0, -1.0)[:, None] * np.ones(5)
    features = centre + 0.3 * np.random.default_rng(0).normal(size=(80, 5))
    mixed = np.array([0, 4, 1, 5, 2, 6, 3, 7])[leaf]
    found = visual_similarity(features, taxonomy, leaf, mixed)
    assert found.before is not None and found.after is not None
    assert found.before > 0.8 and abs(found.after) < 0.2


def test_a_category_of_one_image_has_no_similarity_and_blanks_the_mean() -> None:
    found = visual_similarity(np.eye(3), Taxonomy({"a": ("x",), "b": ("y",)}), np.array([0, 0, 1]), np.array([0, 0, 1]))
    assert found.categories[1].before is None and found.before is None
