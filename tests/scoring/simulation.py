"""Clustered test questions with a known truth, and how often 95 % intervals hold it.

`python -m tests.scoring.simulation` prints the table of coverages; `... 2000` with that many repetitions a line.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from taxbench.results.predictions import Predictions
from taxbench.scoring import metrics
from taxbench.scoring.bootstrap import interval, replicates


@dataclass(frozen=True)
class Design:
    """Which leaves stand under which terms, and how many test images they have; it stays as it is."""

    name: str
    below: np.ndarray  # (leaves, terms) bool
    leaf_of: np.ndarray  # (images,)


@dataclass(frozen=True)
class Effects:
    """Standard deviations of what shifts a margin; `signal` is how much the right answer does.

    Shifts towards Yes are a bias, those towards the right answer a skill. Seeds are given, not drawn: `seeds` shifts
    all margins of a seed, and an interval over items is about these trained heads.
    """

    name: str
    signal: float = 0.8
    term_bias: float = 0.6
    term_skill: float = 0.4
    leaf_bias: float = 0.5
    leaf_skill: float = 0.4
    image_bias: float = 0.5
    cell: float = 0.3
    """Of one term about one leaf."""
    seed_term: float = 0.3
    """Of one seed about one term."""
    own_leaf: float = 0.0
    """Of one system about one leaf."""
    question: float = 1.0
    seeds: tuple[float, ...] = (-0.2, 0.0, 0.3)


def hypernyms(n_terms: int, n_leaves: int, images: tuple[int, int]) -> Design:
    """Return a design of hypernyms of unequal size; the last one stands above those of a third of the others too."""
    rng = np.random.default_rng(n_terms)
    below = np.zeros((n_leaves, n_terms), dtype=bool)
    main = np.concatenate([np.repeat(np.arange(n_terms), 2), rng.integers(0, n_terms, n_leaves - 2 * n_terms)])
    below[np.arange(n_leaves), main] = True
    below[main < n_terms // 3, -1] = True
    return Design(
        f"{n_terms} terms", below, np.repeat(np.arange(n_leaves), rng.integers(*images, n_leaves, endpoint=True))
    )


def leaves(n_leaves: int, images: tuple[int, int]) -> Design:
    """Return the design of the split `leaf`: every term is one leaf."""
    counts = np.random.default_rng(n_leaves).integers(*images, n_leaves, endpoint=True)
    return Design(f"{n_leaves} leaves", np.eye(n_leaves, dtype=bool), np.repeat(np.arange(n_leaves), counts))


DESIGNS = (hypernyms(14, 104, (8, 16)), hypernyms(53, 400, (2, 5)), leaves(104, (8, 16)), hypernyms(4, 24, (8, 16)))
EFFECTS = (
    Effects("middling"),
    Effects("leaf bias", term_bias=0.2, leaf_bias=1.2, term_skill=0.2, leaf_skill=0.8, cell=0.5, question=0.7),
    Effects("chance", signal=0, term_bias=0.8, leaf_bias=0.3, image_bias=0.3, term_skill=0, leaf_skill=0, cell=0),
    Effects("good", signal=2.0, term_bias=0.4, leaf_bias=0.4, image_bias=0.4, leaf_skill=0.6),
)


def draw(design: Design, effects: Effects, rng: np.random.Generator, systems: int = 1) -> list[list[Predictions]]:
    """Draw terms, leaves, images and questions, and what systems of equal worth answer, seed by seed.

    Systems have the effects of items in common, but for what one knows of a leaf, of questions, and a seed of a term.
    Every image asks of each of its terms once, and as often of a wrong one.
    """
    n_leaves, n_terms = design.below.shape
    image, term = np.nonzero(design.below[design.leaf_of])
    wrong = np.argmax(rng.random((len(image), n_terms)) * ~design.below[design.leaf_of[image]], axis=1)
    image, answer = np.tile(image, 2), np.repeat([True, False], len(image))
    term = np.concatenate([term, wrong])
    leaf, right, normal = design.leaf_of[image], np.where(answer, 1.0, -1.0), rng.standard_normal
    skill = effects.signal + effects.term_skill * normal(n_terms)[term] + effects.leaf_skill * normal(n_leaves)[leaf]
    margin = right * skill + effects.term_bias * normal(n_terms)[term] + effects.leaf_bias * normal(n_leaves)[leaf]
    margin += (
        effects.image_bias * normal(len(design.leaf_of))[image] + effects.cell * normal((n_leaves, n_terms))[leaf, term]
    )

    def answered(shift: float, known: np.ndarray | float) -> Predictions:
        own = right * known + effects.seed_term * normal(n_terms)[term] + effects.question * normal(len(image))
        return Predictions(
            splits=("unseen",),
            images=tuple(f"image {i}" for i in range(len(design.leaf_of))),
            leaves=tuple(f"leaf {i}" for i in range(n_leaves)),
            terms=tuple(f"term {i}" for i in range(n_terms)),
            leaf_of=design.leaf_of.astype(np.uint16),
            split=np.zeros(len(image), np.uint8),
            image=image.astype(np.uint16),
            term=term.astype(np.uint16),
            answer=answer,
            margins={"none": (margin + shift + own).astype(np.float16)},
        )

    own_leaves = [effects.own_leaf * normal(n_leaves)[leaf] if effects.own_leaf else 0.0 for _ in range(systems)]
    return [[answered(shift, known) for shift in effects.seeds] for known in own_leaves]


def term_f1(predictions: Predictions) -> np.ndarray:
    """Return the F1 of every scored term."""
    asked = predictions.asked(predictions.rows_of("unseen"))
    term = np.unique(asked.term, return_inverse=True)[1]
    found = metrics.term_f1(term, asked.answer, predictions.margins["none"] > 0)
    return np.asarray(found[~np.isnan(found)])


def truth(design: Design, effects: Effects, repetitions: int) -> float:
    """Return the expected macro-F1 over new terms, leaves, images and questions: the mean of many draws."""
    rng = np.random.default_rng(1)
    draws = (draw(design, effects, rng)[0] for _ in range(repetitions))
    return float(np.mean([np.mean([term_f1(one).mean() for one in seeds]) for seeds in draws]))


Interval = Callable[[list[Predictions]], tuple[float | None, float | None]]


def clustered(seeds: list[Predictions], n: int = 500) -> tuple[float | None, float | None]:
    """Return the interval of taxbench."""
    drawn = [replicates(one, "unseen", n=n) for one in seeds]
    return interval(np.mean([one.macro_f1 for one in drawn], axis=0), drawn[0].n_terms)


def pooled(seeds: list[Predictions]) -> tuple[float, float]:
    """Return the interval as published: seeds and categories as if all were independent."""
    values = np.concatenate([term_f1(one) for one in seeds])
    return _around(values.mean(), values.std(ddof=1) / len(values) ** 0.5)


def binomial(seeds: list[Predictions]) -> tuple[float, float]:
    """Return the interval of a share of as many independent questions."""
    mean = float(np.mean([term_f1(one).mean() for one in seeds]))
    return _around(mean, (mean * (1 - mean) / sum(map(len, seeds))) ** 0.5)


def _around(mean: float, error: float) -> tuple[float, float]:
    return mean - 1.96 * error, mean + 1.96 * error


def coverage(design: Design, effects: Effects, repetitions: int, intervals: tuple[Interval, ...]) -> list[float]:
    """Return how often each interval holds the truth."""
    target, rng = truth(design, effects, max(1000, 2 * repetitions)), np.random.default_rng(2)
    held = np.zeros(len(intervals))
    for _ in range(repetitions):
        seeds = draw(design, effects, rng)[0]
        for column, ends in enumerate(intervals):
            low, high = ends(seeds)
            held[column] += low is not None and high is not None and low <= target <= high
    return [float(share) for share in held / repetitions]


def main(repetitions: int = 1000) -> None:
    """Print how often nominal 95 % intervals hold the truth."""
    print(
        f"| design | margins | seeds | clustered | pooled | binomial |  <!-- {repetitions} repetitions -->\n|"
        + "---|" * 6
    )
    for design in DESIGNS:
        for effects in (*EFFECTS, replace(EFFECTS[0], seeds=(0.0,))):
            shares = coverage(design, effects, repetitions, (clustered, pooled, binomial))
            cells = (f"{100 * share:.1f}" for share in shares)
            print(f"| {design.name} | {effects.name} | {len(effects.seeds)} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
