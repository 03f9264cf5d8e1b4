"""Which of two things is told to have more: from the answers about each image, or about both in one question.

The first is the difference of two mean margins, the second the difference between both orders of one question; neither
gains by a liking for an answer or for the first image. Where both are right as often, the LM rates and compares
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taxbench.protocol.image_pairs import ids_in
from taxbench.protocol.property_questions import UNCLEAR, AskedProperty
from taxbench.protocol.protocol import Protocol
from taxbench.results.predictions import Predictions
from taxbench.scoring.pairs import pair_share
from taxbench.scoring.rank_correlation import UNKNOWN, Bounds

GAPS = ("nearest third", "middle", "farthest third")


@dataclass(frozen=True, slots=True)
class PairFinding:
    """How often one task tells which of two leaves has more, on one split, seeds together; 95 % intervals over leaves.

    Chance is 0.5.
    """

    task: str
    system: str
    split: str
    asked: Literal["apart", "together"]
    pairs: int
    right: Bounds
    twin: Bounds
    """The same of the random LM."""
    by_gap: tuple[Bounds, ...]
    """By how far the numbers are apart, on a scale of ratios; as `GAPS`."""
    same_answer: Bounds = UNKNOWN
    """Of pairs in one question: how often both orders get the same answer, where one is right."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of leaves with what was said of them; the first has more."""

    more: np.ndarray  # (p,) leaf
    less: np.ndarray  # (p,) leaf
    gap: np.ndarray  # (p,) log of the ratio of their numbers
    told: np.ndarray  # (p,) what is said for the first above the second; above 0 is right
    same: np.ndarray  # (p,) bool: one answer to both orders; of pairs asked apart, none

    @property
    def right(self) -> np.ndarray:
        """Return whether each pair is told rightly, ties half.  # (p,)"""
        return np.asarray((self.told > 0) + 0.5 * (self.told == 0))


def apart(leaf: np.ndarray, margin: np.ndarray, numbers: np.ndarray) -> Pairs:
    """Return all pairs of leaves whose numbers are clearly apart, with the differences of their margins.

    Args:
        leaf: The leaves that were asked.  # (l,)
        margin: The mean margin of each.  # (l,)
        numbers: Of all leaves.
    """
    order = np.argsort(-numbers[leaf], kind="stable")
    one, other = np.triu_indices(len(order), 1)
    one, other = order[one], order[other]
    gap = np.log(numbers[leaf[one]]) - np.log(numbers[leaf[other]])
    clear = gap >= np.log(UNCLEAR)
    one, other = one[clear], other[clear]
    return Pairs(leaf[one], leaf[other], gap[clear], margin[one] - margin[other], np.zeros(len(one), bool))


def together(protocol: Protocol, asks: AskedProperty, answers: Predictions, name: str) -> Pairs:
    """Return the pairs that were asked in one question, a row for each wording.

    Args:
        answers: Of one split.
        name: Whose margins.
    """
    assert asks.numbers is not None
    n, place = len(protocol.leaf), {image.id: row for row, image in enumerate(protocol.dataset.images)}
    ids = [ids_in(name, place) for name in answers.images]
    first, second = (np.array([place[each[at]] for each in ids])[answers.image] for at in (0, -1))
    wording = {text: i for i, text in enumerate(asks.questions)}
    asked = np.array([wording.get(text, -1) for text in answers.terms])[answers.term]
    key, turned = ((one * n + two) * len(asks.questions) + asked for one, two in ((first, second), (second, first)))
    order = np.argsort(key)
    other = order[np.searchsorted(key[order], turned)]  # the same in the other order
    leaf, number = protocol.leaf[first], asks.numbers[protocol.leaf[first]]
    own = number > number[other]
    margin = answers.margins[name].astype(np.float64) * np.where(asks.reversed[asked], -1, 1)
    gap = np.log(number) - np.log(number[other])
    same = (margin > 0) == (margin[other] > 0)
    return Pairs(leaf[own], leaf[other][own], gap[own], (margin - margin[other])[own], same[own])


def joined(of_seeds: Sequence[Pairs]) -> Pairs:
    """Return the pairs of several seeds as one."""
    return Pairs(*(np.concatenate([getattr(each, name) for each in of_seeds])
                   for name in ("more", "less", "gap", "told", "same")))  # fmt: skip


def shares(pairs: Pairs, leaves: tuple[str, ...]) -> tuple[Bounds, tuple[Bounds, ...]]:
    """Return how many pairs are told rightly, in all and by thirds of their gap."""
    whole = pair_share(pairs.right, pairs.more, pairs.less, leaves)
    if not len(pairs.gap):
        return whole, (UNKNOWN,) * len(GAPS)
    third = np.searchsorted(np.quantile(pairs.gap, [1 / 3, 2 / 3]), pairs.gap, side="right")
    parts = [pair_share(pairs.right[third == i], pairs.more[third == i], pairs.less[third == i], leaves)
             for i in range(len(GAPS))]  # fmt: skip
    return whole, tuple(parts)


def pair_finding(
    names: tuple[str, str, str], how: Literal["apart", "together"], own: list[Pairs], twin: list[Pairs],
    leaves: tuple[str, ...],
) -> PairFinding:  # fmt: skip
    """Return what the seeds of a task say of pairs.

    Args:
        names: Of the task, the system and the split.
        own: The pairs of each seed, by the run's own head.
        twin: The same by the random LM; may be none.
        leaves: Names of all leaves.
    """
    whole = joined(own)
    right, by_gap = shares(whole, leaves)
    control = shares(joined(twin), leaves)[0] if twin else UNKNOWN
    same = pair_share(whole.same, whole.more, whole.less, leaves) if how == "together" else UNKNOWN
    return PairFinding(*names, how, len(whole.gap), right, control, by_gap, same)
