"""Wordings of one property with a known truth, and how often 95 % intervals of AUROC over leaves hold it.

`python -m tests.scoring.property_simulation` prints the coverage, which is that of `follows_name` and `follows_picture`
as well. Leaves are drawn anew each time and have a shift of their own in all wordings alike; wordings stay as they are:
some are read rightly, some not at all, and one the wrong way round.
"""

import sys

import numpy as np

from taxbench.board.analysis.physical import over_leaves
from taxbench.results.predictions import Predictions
from taxbench.scoring.bootstrap import interval, replicates
from taxbench.scoring.metrics import term_auroc
from taxbench.scoring.pairs import pair_share

DESIGNS = {  # leaves, pictures of each, direct wordings (as many are reversed), how far the answers are apart
    "88 leaves, 4 wordings": (88, 8, 2, 1.0), "24 leaves, 4 wordings": (24, 8, 2, 1.0),
    "88 leaves, 4 wordings, no skill": (88, 8, 2, 0.0), "88 leaves, 12 wordings": (88, 8, 6, 1.0),
}  # fmt: skip


def draw(design: tuple[int, int, int, float], rng: np.random.Generator) -> Predictions:
    """Draw what a system answers to every wording about every picture."""
    n, pictures, direct, apart = design
    leaf, term = (each.ravel() for each in np.indices((n, pictures, 2 * direct))[[0, 2]])
    image = np.repeat(np.arange(n * pictures), 2 * direct)
    holds = np.arange(n) % 2 == 0
    latent = np.where(holds, apart / 2, -apart / 2) + 0.6 * rng.standard_normal(n)
    skill = np.resize([1.0, 0.8, 0.0, -0.5], 2 * direct)
    sign = np.where(np.arange(2 * direct) < direct, 1.0, -1.0)
    margin = sign[term] * skill[term] * latent[leaf] + 0.8 * rng.standard_normal(2 * direct)[term]
    margin += 0.4 * rng.standard_normal((n, 2 * direct))[leaf, term] + rng.standard_normal(len(leaf))
    return Predictions(
        splits=("unseen",), images=tuple(f"image {i}" for i in range(n * pictures)),
        leaves=tuple(f"leaf {i}" for i in range(n)), terms=tuple(f"term {i}" for i in range(2 * direct)),
        leaf_of=np.repeat(np.arange(n), pictures).astype(np.uint16), split=np.zeros(len(leaf), np.uint8),
        image=image.astype(np.uint16), term=term.astype(np.uint8), answer=holds[leaf] ^ (term >= direct),
        margins={"none": margin.astype(np.float16)},
    )  # fmt: skip


def coverage(design: tuple[int, int, int, float], repetitions: int, n: int = 200) -> float:
    """Return how often intervals hold the mean over all draws."""
    rng = np.random.default_rng(1)
    drawn = [draw(design, rng) for _ in range(4 * repetitions)]
    scores = [term_auroc(one.term.astype(int), one.answer, one.margins["none"].astype(float)).mean() for one in drawn]
    truth, held = float(np.mean(scores)), 0
    for one in drawn[:repetitions]:
        found = replicates(one, "unseen", n=n)
        low, high = interval(over_leaves(found.auroc), design[0])
        assert low is not None and high is not None
        held += low <= truth <= high
    return held / repetitions


def pair_coverage(n: int, repetitions: int) -> float:
    """Return how often intervals of the share of pairs told rightly hold the mean over all draws of n things."""
    rng, names = np.random.default_rng(2), tuple(f"thing {i}" for i in range(n))
    one, other = np.triu_indices(n, 1)
    drawn = []
    for _ in range(4 * repetitions):
        truth = rng.standard_normal(n)
        said = truth + 1.2 * rng.standard_normal(n)
        noise = 0.5 * rng.standard_normal(len(one))  # of the pair alone
        drawn.append((truth[one] > truth[other]) == (said[one] - said[other] + noise > 0))
    mean = float(np.mean(drawn))
    found = [pair_share(each, one, other, names) for each in drawn[:repetitions]]
    return float(np.mean([low <= mean <= high for _, low, high in found if low is not None and high is not None]))


if __name__ == "__main__":
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for n in (12, 25, 88):
        print(f"pairs of {n} things: {pair_coverage(n, many):.3f}", flush=True)
    for name, design in DESIGNS.items():
        print(f"{name}: {coverage(design, many):.3f}", flush=True)
