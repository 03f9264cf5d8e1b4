"""Deprivation: which (leaf, hypernym) pairs training may ask, which of them the test calls unseen, and which leaves are
kept out of training."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from taxbench.specs.task import Deprivation, RandomDeprivation, SystematicDeprivation
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError, did_you_mean
from taxbench.util.seeds import rng


@dataclass(frozen=True, slots=True)
class AllowedPairs:
    """What a deprivation leaves, as tables over leaves and hypernyms (both sorted)."""

    asked: np.ndarray  # (l, h) bool: training may ask this hypernym of this leaf's images
    unseen: np.ndarray  # (l, h) bool: the test counts the question as unseen, the others as seen


def true_pairs(taxonomy: Taxonomy) -> np.ndarray:
    """Say which hypernyms are true of which leaves.  # (l, h) bool"""
    column = {hypernym: i for i, hypernym in enumerate(taxonomy.hypernyms)}
    table = np.zeros((len(taxonomy.leaves), len(column)), bool)
    for row, leaf in enumerate(taxonomy.leaves):
        table[row, [column[hypernym] for hypernym in taxonomy.hypernyms_of[leaf]]] = True
    return table


def apply_deprivation(taxonomy: Taxonomy, deprivation: Deprivation, seed: int) -> AllowedPairs:
    """Return what training may ask; stronger levels of one kind and seed deny what weaker ones do, and more.

    Raises:
        DataError: the dataset has fewer hypernyms than are to be removed, or not those.
    """
    true = true_pairs(taxonomy)
    if deprivation.kind == "systematic":
        return _systematic(taxonomy, true, deprivation, seed)
    if deprivation.kind == "random":
        unseen = _random(true, deprivation, seed)
    else:
        unseen = np.full(true.shape, deprivation.kind == "full")
    return AllowedPairs(~unseen, unseen)


def _random(true: np.ndarray, deprivation: RandomDeprivation, seed: int) -> np.ndarray:
    """Draw the pairs to deny.  # (l, h) bool"""
    generator = rng(seed, "deprivation", "random", deprivation.unit)
    share = deprivation.fraction
    drawn = np.zeros_like(true)
    for column in range(true.shape[1]):
        members = generator.permutation(np.flatnonzero(true[:, column]))
        # As published, the share is taken per hypernym and rounded down. Of pairs it is rounded up or down by chance,
        # so that the share of all pairs is right on average although some hypernyms have few.
        n = share * len(members) + (generator.random() if deprivation.unit == "pair" else 0.0)
        drawn[members[: int(n)], column] = True
    if deprivation.unit == "concept":
        return np.repeat(drawn.any(1, keepdims=True), true.shape[1], axis=1)
    for row in range(true.shape[0]):
        wrong = generator.permutation(np.flatnonzero(~true[row]))
        # Both sides keep a wrong hypernym to ask, or a leaf's questions would all have one answer.
        n = np.clip(int(share * len(wrong) + generator.random()), min(1, len(wrong)), max(0, len(wrong) - 1))
        drawn[row, wrong[:n]] = True
    return drawn


def _systematic(taxonomy: Taxonomy, true: np.ndarray, deprivation: SystematicDeprivation, seed: int) -> AllowedPairs:
    """Remove whole hypernyms."""
    column = {hypernym: i for i, hypernym in enumerate(taxonomy.hypernyms)}
    removed = np.zeros(len(column), bool)
    for name in deprivation.categories:
        if name not in column:
            raise DataError(
                f"The task removes the hypernym '{name}', which the dataset does not have.{did_you_mean(name, column)} "
                f"Its hypernyms: {', '.join(column)}."
            )
        removed[column[name]] = True
    if deprivation.n is not None:
        n = int(deprivation.n)
        if deprivation.n < 1:
            n = min(max(1, round(deprivation.n * len(column))), len(column) - 1)
        if not 0 < n < len(column):
            raise DataError(
                f"The task removes {n} hypernyms of the dataset's {len(column)}: at least 1 must go and 1 must stay. "
                "A share below 1, such as n: 0.2, fits every dataset."
            )
        removed[rng(seed, "deprivation", "systematic").permutation(len(column))[:n]] = True
    unseen = np.broadcast_to(removed, true.shape).copy()
    if deprivation.unit == "concept":
        unseen = np.repeat((true & removed).any(1, keepdims=True), true.shape[1], axis=1)
    asked = ~unseen
    if deprivation.negatives == "drop":
        asked &= ~removed
    elif deprivation.unit == "pair":
        asked |= removed & ~true
    return AllowedPairs(asked, unseen)


def choose_heldout(
    taxonomy: Taxonomy, fraction: float, seed: int, pictured: Collection[str] | None = None
) -> tuple[str, ...]:
    """Choose the leaves to keep out of training: the same share of every group of leaves with the same hypernyms.

    Every hypernym keeps at least one trained leaf. Leaves stay that share their name with another leaf or a hypernym,
    have no hypernym (there would be nothing to ask), or no training picture. So fewer than `fraction` may be chosen.

    Args:
        pictured: The leaves that have training pictures; None: all.
    """
    generator = rng(seed, "heldout_leaves")
    known = set(taxonomy.leaves if pictured is None else pictured)
    groups: dict[tuple[str, ...], list[str]] = {}
    for leaf in generator.permutation(np.array(taxonomy.leaves, dtype=object)):
        groups.setdefault(taxonomy.hypernyms_of[leaf], []).append(leaf)
    # How much of its group would be held out with a leaf, at random within the leaf's own part of that.
    places = {leaf: (rank + generator.random()) / len(group)
              for group in groups.values() for rank, leaf in enumerate(group)}  # fmt: skip
    left = {hypernym: len(known.intersection(leaves)) for hypernym, leaves in taxonomy.leaves_of.items()}
    display_name = Counter(map(taxonomy.display_name, taxonomy.leaves)) + Counter(taxonomy.hypernyms)
    chosen: list[str] = []
    for leaf in sorted(places, key=lambda leaf: places[leaf]):
        if len(chosen) >= round(fraction * len(taxonomy.leaves)):
            break
        above = taxonomy.hypernyms_of[leaf]
        if (
            leaf in known
            and display_name[taxonomy.display_name(leaf)] == 1
            and above
            and all(left[each] > 1 for each in above)
        ):
            chosen.append(leaf)
            for hypernym in above:
                left[hypernym] -= 1
    return tuple(sorted(chosen))
