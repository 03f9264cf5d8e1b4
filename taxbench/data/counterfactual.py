"""Counterfactual re-pairings: which leaf name each image class is given (arXiv 2603.07474, section 5)."""

import numpy as np

from taxbench.data.taxonomy import Taxonomy
from taxbench.seeds import rng
from taxbench.specs.task import Counterfactual

Pairing = dict[str, str]
"""The leaf name that the images of each true leaf go under; always one-to-one."""


def re_pair(taxonomy: Taxonomy, kind: Counterfactual, seed: int) -> Pairing:
    """Return the leaf name that each leaf's images are given.

    A leaf keeps its own name only where no other is to be had (a category of one leaf without a neighbour).
    """
    if kind.kind == "none":
        return {leaf: leaf for leaf in taxonomy.leaves}
    generator = rng(seed, "counterfactual", kind.kind)
    groups = [list(taxonomy.leaves)] if kind.kind == "across_category" else _within_groups(taxonomy)
    pairing: Pairing = {}
    for group in groups:
        pairing.update(zip(group, _derange(group, generator), strict=True))
    return pairing


def fixed_points(pairing: Pairing) -> tuple[str, ...]:
    """Return the leaves that kept their own name, sorted."""
    return tuple(sorted(leaf for leaf, name in pairing.items() if leaf == name))


def _within_groups(taxonomy: Taxonomy) -> list[list[str]]:
    """Group leaves that have exactly the same hypernyms, as the paper does.

    A leaf alone in its group joins the most specific (most hypernyms), then smallest, then alphabetically first group
    whose hypernyms are a subset of its own. Leaves that fit nowhere are deranged among themselves.
    """
    exact: dict[tuple[str, ...], list[str]] = {}
    for leaf in taxonomy.leaves:
        exact.setdefault(taxonomy.hypernyms_of[leaf], []).append(leaf)
    groups = {hypernyms: list(leaves) for hypernyms, leaves in sorted(exact.items()) if len(leaves) > 1}
    sizes = {hypernyms: len(leaves) for hypernyms, leaves in groups.items()}
    leftovers = []
    for hypernyms, leaves in sorted(exact.items()):
        if len(leaves) > 1:
            continue
        fits = [known for known in sizes if set(known) <= set(hypernyms)]
        if fits:
            groups[min(fits, key=lambda known: (-len(known), sizes[known], known))] += leaves
        else:
            leftovers += leaves
    return [*groups.values(), *([leftovers] if leftovers else [])]


def _derange(items: list[str], generator: np.random.Generator) -> list[str]:
    """Return a uniformly random permutation without fixed points (of one item: the item itself)."""
    if len(items) < 2:
        return list(items)
    places = np.arange(len(items))
    while True:  # a random permutation is a derangement with probability about 1/e
        order = generator.permutation(places)
        if not (order == places).any():
            return [items[index] for index in order]
