"""Which leaves are kept out of training."""

from collections import Counter
from collections.abc import Collection

import numpy as np

from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.seeds import rng


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
