"""Counterfactual re-pairings: which leaf name each image class is given (arXiv 2603.07474, section 5).

Every re-pairing but `none` is made of rings: leaves in a random order, each of which passes its images to the next one.
A ring of two or more moves all its leaves, so a leaf keeps its own images only where it is alone.
"""

from collections.abc import Callable

import numpy as np

from taxbench.specs.task import Counterfactual, Graded
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError
from taxbench.util.seeds import rng

Pairing = dict[str, str]
"""The leaf name that the images of each true leaf go under; always one-to-one."""
Measure = Callable[[Pairing], float]
"""Measures the visual similarity inside hypernyms under a re-pairing, from the features of the images."""

# A graded re-pairing is the best of so many; each is measured, which takes 10 ms for the thousand leaves of THINGS.
_ORDERS, _STEPS = 4, 128


def re_pair(taxonomy: Taxonomy, kind: Counterfactual, seed: int, measure: Measure | None = None) -> Pairing:
    """Return the leaf name that each leaf's images are given.

    Args:
        measure: Needed by `graded`, whose re-pairing depends on what the images look like.

    Raises:
        DataError: `graded` was asked for without features.
    """
    if kind.kind == "none":
        return {leaf: leaf for leaf in taxonomy.leaves}
    order = rng(seed, "counterfactual").permutation(np.array(taxonomy.leaves, dtype=object)).tolist()
    if kind.kind == "across_category":
        return _rings([order])
    groups = [sorted(group, key=order.index) for group in within_groups(taxonomy)]
    if kind.kind == "within_category":
        return _rings(groups)
    if kind.kind == "swap_categories":
        return _swap(taxonomy, sorted(groups, key=lambda group: order.index(group[0])))
    if measure is None:
        raise DataError("A graded re-pairing depends on the images: it is known only once their features are.")
    return _graded(order, groups, kind, seed, measure)


def fixed_points(pairing: Pairing) -> tuple[str, ...]:
    """Return the leaves that kept their own name, sorted."""
    return tuple(sorted(leaf for leaf, name in pairing.items() if leaf == name))


def within_groups(taxonomy: Taxonomy) -> list[list[str]]:
    """Group leaves that have exactly the same hypernyms, as the paper does.

    A leaf alone in its group joins the most specific (most hypernyms), then smallest, then alphabetically first group
    whose hypernyms are a subset of its own. Leaves that fit nowhere form a group of their own; a single one of them
    joins the group that it shares most hypernyms with, since it could not move otherwise.
    """
    exact: dict[tuple[str, ...], list[str]] = {}
    for leaf in taxonomy.leaves:
        exact.setdefault(tuple(sorted(taxonomy.hypernyms_of[leaf])), []).append(leaf)
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
    if len(leftovers) == 1 and groups:
        own = set(taxonomy.hypernyms_of[leftovers[0]])
        groups[min(groups, key=lambda known: (-len(own & set(known)), sizes[known], known))] += leftovers
        leftovers = []
    return [*groups.values(), *([leftovers] if leftovers else [])]


def _rings(rings: list[list[str]]) -> Pairing:
    """Let every leaf of a ring pass its images to the next one."""
    return {leaf: name for ring in rings for leaf, name in zip(ring, [*ring[1:], *ring[:1]], strict=True)}


def _graded(order: list[str], groups: list[list[str]], kind: Graded, seed: int, measure: Measure) -> Pairing:
    """Move leaves from one ring through everything to the rings of their groups until the images are alike enough.

    The wanted similarity is `kind.similarity` of the way from the across-category to the within-category re-pairing.
    Leaves are moved in several orders and the step closest to it is taken, so a higher wish never gives less.
    """
    movers = [order] + [rng(seed, "counterfactual", "graded", i).permutation(order).tolist() for i in range(1, _ORDERS)]
    moved = sorted({len(order) * i // _STEPS for i in range(_STEPS + 1)})
    steps = [_step(order, groups, set(mover[:n])) for mover in movers for n in moved]
    measured = np.array([measure(step) for step in steps])  # (orders · steps,)
    wanted = measured[0] + kind.similarity * (measured[-1] - measured[0])
    return steps[int(np.argmin(np.abs(measured - wanted)))]


def _step(order: list[str], groups: list[list[str]], inside: set[str]) -> Pairing:
    """Return the re-pairing with some leaves in the rings of their groups and the rest in one ring."""
    rings = [ring for group in groups if len(ring := [leaf for leaf in group if leaf in inside]) > 1]
    ringed = {leaf for ring in rings for leaf in ring}  # the first of a group waits outside for a second one
    return _move_all(_rings([*rings, [leaf for leaf in order if leaf not in ringed]]))


def _move_all(pairing: Pairing) -> Pairing:
    """Let leaves that kept their own name exchange it, with each other or else with the first other leaf."""
    still = [leaf for leaf, name in pairing.items() if leaf == name]
    if len(still) > 1:
        return pairing | _rings([still])
    other = next((leaf for leaf in pairing if leaf not in still), None)
    if not still or other is None:
        return pairing
    return pairing | {still[0]: pairing[other], other: still[0]}


def _swap(taxonomy: Taxonomy, groups: list[list[str]]) -> Pairing:
    """Give the images of each group of leaves the names of another group, as many as there are.

    What is left over where a group is larger than the one it goes to is laid out by group and turned until as few
    leaves as possible share a hypernym with the name they get.
    """
    sets = taxonomy.hypernyms_of
    goes_to = _exchange([set(sets[group[0]]) for group in groups], [len(group) for group in groups])
    pairing: Pairing = {}
    images: list[str] = []
    names: list[str] = []
    for group, other in zip(groups, (groups[index] for index in goes_to), strict=True):
        pairing |= dict(zip(group, other, strict=False))
        images += group[len(other) :]
        names += other[len(group) :]
    shared = np.array([[len(set(sets[leaf]) & set(sets[name])) + 9 * (leaf == name) for name in names]
                       for leaf in images]).reshape(len(images), len(images))  # fmt: skip
    place = np.arange(len(images))
    turn = min(place, key=lambda by: (shared[place, (place + by) % len(place)].sum(), by), default=0)
    return _move_all(pairing | dict(zip(images, names[turn:] + names[:turn], strict=True)))


def _exchange(hypernyms: list[set[str]], sizes: list[int]) -> list[int]:
    """Say which group each group's images go to.

    Largest first, a group is exchanged with one that shares no hypernym with it, if there is one; of those with one
    nearest in size; of those with one whose hypernyms already stand for its own (when bird went to fruit, fish goes to
    vegetable, so that animal and food stay whole). An odd one out steps into the exchange it fits best.
    """
    waiting = sorted(range(len(sizes)), key=lambda index: -sizes[index])
    goes_to = list(range(len(sizes)))
    stands_for: dict[str, set[str]] = {}

    def unfit(one: int, other: int) -> tuple[int, int, int]:
        familiar = {name for hypernym in hypernyms[one] for name in stands_for.get(hypernym, ())}
        shared, known = hypernyms[one] & hypernyms[other], familiar & hypernyms[other]
        return len(shared), abs(sizes[one] - sizes[other]), -len(known)

    while len(waiting) > 1:
        one = waiting.pop(0)
        other = min(waiting, key=lambda index: unfit(one, index))
        waiting.remove(other)
        goes_to[one], goes_to[other] = other, one
        for here, there in ((one, other), (other, one)):
            for hypernym in hypernyms[here]:
                stands_for.setdefault(hypernym, set()).update(hypernyms[there])
    if waiting and len(sizes) > 1:
        (odd,) = waiting
        before = min((index for index in range(len(sizes)) if index != odd),
                     key=lambda index: max(unfit(index, odd), unfit(odd, goes_to[index])))  # fmt: skip
        goes_to[odd], goes_to[before] = goes_to[before], odd
    return goes_to
