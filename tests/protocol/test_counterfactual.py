"""Re-pairings: one-to-one, nothing stays that can move, and each kind keeps or destroys what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.protocol.counterfactual import fixed_points, re_pair, within_groups
from taxbench.specs.task import AcrossCategory, Counterfactual, Graded, SwapCategories, WithinCategory
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError
from tests.protocol.test_protocol import TAXONOMY, alike

WITHIN, ACROSS = WithinCategory(kind="within_category"), AcrossCategory(kind="across_category")
SWAP = SwapCategories(kind="swap_categories")

taxonomies = st.dictionaries(
    st.text("abcdefghij", min_size=1, max_size=4),
    st.sets(st.sampled_from(["w", "x", "y", "z"]), max_size=3).map(lambda group: tuple(sorted(group))),
    min_size=1,
    max_size=30,
).map(Taxonomy)


@given(taxonomies, st.integers(0, 1000), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_every_re_pairing_is_one_to_one_and_moves_every_leaf(taxonomy: Taxonomy, seed: int, similarity: float) -> None:
    kinds: list[Counterfactual] = [WITHIN, ACROSS, SWAP, Graded(kind="graded", similarity=similarity)]
    for kind in kinds:
        pairing = re_pair(taxonomy, kind, seed, alike(taxonomy))
        assert sorted(pairing) == sorted(pairing.values()) == list(taxonomy.leaves)
        assert len(fixed_points(pairing)) == (1 if len(taxonomy.leaves) == 1 else 0)
        again = re_pair(Taxonomy(dict(reversed(taxonomy.hypernyms_of.items()))), kind, seed, alike(taxonomy))
        assert pairing == again  # the order of the taxonomy file does not matter


def test_within_category_keeps_hypernyms_and_across_category_does_not() -> None:
    within = re_pair(TAXONOMY, WITHIN, 7)
    assert all(TAXONOMY.hypernyms_of[a] == TAXONOMY.hypernyms_of[b] for a, b in within.items())
    across = re_pair(TAXONOMY, ACROSS, 7)
    assert sum(TAXONOMY.hypernyms_of[a] != TAXONOMY.hypernyms_of[b] for a, b in across.items()) > len(across) / 2


def test_a_lonely_leaf_joins_the_most_specific_smallest_group_below_it() -> None:
    words = {"a1": ("animal",), "a2": ("animal",), "b1": ("animal", "bird"), "b2": ("animal", "bird"),
             "c1": ("animal", "farm"), "c2": ("animal", "farm"), "c3": ("animal", "farm"),
             "duck": ("animal", "bird", "farm")}  # fmt: skip
    pairing = re_pair(Taxonomy(words), WITHIN, 0)
    assert {pairing["b1"], pairing["b2"], pairing["duck"]} == {"b1", "b2", "duck"}


def test_leaves_that_fit_nowhere_are_moved_among_themselves_and_a_single_one_to_its_nearest_group() -> None:
    words = {"a1": ("animal",), "a2": ("animal",), "x": ("tool",), "y": ("toy",)}
    assert ["x", "y"] in within_groups(Taxonomy(words))
    words = {"a1": ("animal", "pet"), "a2": ("animal", "pet"), "t1": ("tool",), "t2": ("tool",), "x": ("pet", "toy")}
    assert ["a1", "a2", "x"] in within_groups(Taxonomy(words))


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4), (4, 4, 4), (6, 3, 5, 2, 4)])
def test_swapped_categories_get_names_of_categories_that_share_no_hypernym(sizes: tuple[int, ...]) -> None:
    taxonomy = Taxonomy({f"{g}{i}": (f"c{g}",) for g, n in enumerate(sizes) for i in range(n)})
    pairing = re_pair(taxonomy, SWAP, 3)
    assert not any(set(taxonomy.hypernyms_of[a]) & set(taxonomy.hypernyms_of[b]) for a, b in pairing.items())
    if len(set(sizes)) == 1:  # whole categories: all images of one go to names of one
        for leaves in taxonomy.leaves_of.values():
            assert len({taxonomy.hypernyms_of[pairing[leaf]] for leaf in leaves}) == 1


def test_graded_goes_from_across_to_within_and_never_back() -> None:
    measure = alike(TAXONOMY)
    levels = np.linspace(0, 1, 21)
    pairings = [re_pair(TAXONOMY, Graded(kind="graded", similarity=level), 5, measure) for level in levels]
    assert pairings[0] == re_pair(TAXONOMY, ACROSS, 5)
    values = [measure(pairing) for pairing in pairings]
    assert values == sorted(values) and values[-1] == measure(re_pair(TAXONOMY, WITHIN, 5)) == 1.0
    assert max(abs(np.array(values) - (values[0] + levels * (1 - values[0])))) < 0.06  # 22 leaves: steps are coarse


def test_graded_without_features_says_what_it_lacks() -> None:
    with pytest.raises(DataError, match="features"):
        re_pair(TAXONOMY, Graded(kind="graded", similarity=0.5), 1)
