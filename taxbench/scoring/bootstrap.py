"""The uncertainty over items: what other terms, leaves and images would have made of a score.

Questions are not independent: those of one term share the system's opinion of its word, those of one leaf its look.
Terms and leaves are crossed; images are nested in leaves, so a leaf's weight weighs its images too (Field & Welsh 2007:
of nested clusters only the outermost is resampled). In every replicate each term and each leaf gets an independent
Exp(1) weight (Rubin 1981), a function of its name alone; a question about two images has the weights of both leaves.
Scores that have a term or a leaf in common thus have its weight in common: every difference of replicates is paired,
whatever runs it comes from.

Rejected: weights of terms and leaves multiplied (Owen & Eckles 2012). They count the noise of leaves twice, since it is
in the scatter of the terms' scores already: in simulation 95 % intervals cover up to 100 %. Weights of terms alone miss
that one leaf is asked under many terms, and cover down to 85 %. So the variances are joined as for any two crossed
clusterings (Cameron, Gelbach & Miller 2011): V(term) + V(leaf) - V(term and leaf). `python -m tests.scoring.simulation`
prints the coverage.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit, logit, stdtrit

from taxbench.results.predictions import OWN, Predictions
from taxbench.util.seeds import derive_seed, rng

REPLICATES = 1000
METHOD = 2
"""Raised by hand whenever other replicates or intervals would come out; a test holds them."""
SCORE, DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)
"""Scales: of F1 and AUROC, and of the difference of two."""
_BLOCKS = 3  # by term, by leaf, by term and leaf


@dataclass(frozen=True, slots=True)
class Replicates:
    """Scores of one split: the point estimate and what it becomes when items are reweighted.

    Both arrays may be averaged over seeds, subtracted from others and so on, element by element; then see `interval`.
    """

    macro_f1: np.ndarray  # (1 + 3 B,): the estimate, then B replicates by term, by leaf, by term and leaf
    auroc: np.ndarray  # (1 + 3 B,)
    n_terms: int
    """Terms with a score; without any both arrays are NaN."""


@dataclass(frozen=True, slots=True)
class TermQuestions:
    """The questions of one term on one split, which has both answers among them."""

    term: str
    positive: np.ndarray  # (p,) which questions
    negative: np.ndarray  # (n,)


def replicates(
    predictions: Predictions,
    split: str,
    name: str = OWN,
    *,
    n: int = REPLICATES,
    seed: int = 0,
    with_auroc: bool = True,
) -> Replicates:
    """Score a split again and again under random weights of its terms and leaves.

    The first element is what `scoring.metrics.summarise` says, before rounding.

    Args:
        name: Whose margins: the run's own or a control's.
        n: Replicates of each kind.
        seed: Of the weights; scores that are compared must have the same.
        with_auroc: Whether AUROC is wanted, which takes most of the time; else it is NaN.
    """
    asked = list(scored_terms(predictions, split))
    if not asked:
        return Replicates(np.full(1 + _BLOCKS * n, np.nan), np.full(1 + _BLOCKS * n, np.nan), 0)
    margin = predictions.margins[name].astype(np.float32)
    n_leaves, leaves = len(predictions.leaves), np.sort(predictions.leaf_pairs().astype(np.int64), axis=1)
    shown, leaf = np.unique(leaves @ [n_leaves, 1], return_inverse=True)  # whichever of two comes first
    weights = joint_weights(item_weights("leaf", predictions.leaves, n, seed), *np.divmod(shown, n_leaves))
    f1, auroc = np.empty((2, len(asked), 1 + n))
    for row, of in enumerate(asked):
        positive, negative = (_Stratum.of(rows, margin, leaf, weights) for rows in (of.positive, of.negative))
        f1[row] = _f1(positive, negative)
        auroc[row] = _auroc(positive, negative) if with_auroc else np.nan
    terms = tuple(of.term for of in asked)
    by_term = item_weights("term", terms, n, seed)[:, 1:]
    by_term = by_term / by_term.sum(axis=0)
    turns = [derive_seed(seed, "bootstrap", "turn", term) % n for term in terms]
    return Replicates(_blocks(f1, by_term, turns), _blocks(auroc, by_term, turns), len(asked))


def scored_terms(predictions: Predictions, split: str) -> Iterator[TermQuestions]:
    """Yield the terms of a split that were asked with both answers, sorted by name."""
    rows = np.flatnonzero(predictions.rows_of(split))
    rows = rows[np.argsort(predictions.term[rows], kind="stable")]
    codes, starts = np.unique(predictions.term[rows], return_index=True)
    parts = dict(zip(codes.tolist(), np.split(rows, starts[1:]), strict=True)) if len(rows) else {}
    for code in sorted(parts, key=lambda code: predictions.terms[code]):
        yes = predictions.answer[parts[code]]
        if yes.any() and not yes.all():
            yield TermQuestions(predictions.terms[code], parts[code][yes], parts[code][~yes])


def standard_error(values: np.ndarray, n_clusters: int) -> float | None:
    """Return the standard error over items of what replicates were made into; None where there is none.

    Args:
        values: As the arrays of `Replicates`, or means or differences of such.
        n_clusters: Terms behind the score, the fewer of two scores compared; under two there is no error to be had.
    """
    if n_clusters < 2 or not np.isfinite(values).all():
        return None
    by_term, by_leaf, by_both = values[1:].reshape(_BLOCKS, -1).var(axis=1)
    # Exp(1) weights of n things give (n - 1) / (n + 1) of the variance of their mean.
    by_term *= (n_clusters + 1) / (n_clusters - 1)
    return float(np.sqrt(by_term + max(by_leaf - by_both, 0.0)))


def interval(
    values: np.ndarray, n_clusters: int, alpha: float = 0.05, scale: tuple[float, float] = SCORE
) -> tuple[float | None, float | None]:
    """Return the interval over items, of 95 % by default: t(n - 1) standard errors either side of the estimate.

    Both sides are taken on the log-odds of where the estimate lies on its scale, with the error that the delta method
    gives there, so that no end leaves the scale, however few the terms (Agresti, Categorical Data Analysis, 2013, 1.4).

    Percentiles, also when widened for few clusters (Hesterberg 2015), cover less: with four terms 76 to 96 %, since the
    widened ones lie beyond the smallest and largest of the replicates. What another training would change is not in
    here: that is the spread over seeds.

    Args:
        values: As for `standard_error`.
        n_clusters: As for `standard_error`.
        alpha: How often it may miss; divided by their number where many intervals shall hold at once (Bonferroni).
        scale: The lowest and the highest value that there can be.
    """
    error = standard_error(values, n_clusters)
    if error is None:
        return None, None
    low, width = scale[0], scale[1] - scale[0]
    share = (float(values[0]) - low) / width
    if not error or not 0 < share < 1:
        return float(values[0]), float(values[0])
    reach = float(stdtrit(n_clusters - 1, 1 - alpha / 2)) * error / (width * share * (1 - share))
    ends = expit(logit(share) + np.array([-reach, reach])) * width + low
    return float(ends[0]), float(ends[1])


def over_items(values: np.ndarray) -> np.ndarray:
    """Return an estimate with replicates over things of one kind in the form that `interval` takes.

    Args:
        values: An estimate, then its replicates.  # (1 + b,)
    """
    return np.concatenate([values, np.repeat(values[:1], 2 * (len(values) - 1))])


@dataclass(frozen=True, slots=True)
class _Stratum:
    """The questions of one term with one answer; the design fixes how many there are."""

    margin: np.ndarray  # (q,)
    leaf: np.ndarray  # (q,) index into the rows of weights
    weights: np.ndarray  # (l, 1 + B), of the leaves, or pairs of leaves, asked
    yes: np.ndarray  # (1 + B,) weighted share of answers Yes
    total: np.ndarray  # (1 + B,) weighted number of questions

    @classmethod
    def of(cls, rows: np.ndarray, margin: np.ndarray, leaf: np.ndarray, weights: np.ndarray) -> "_Stratum":
        """Weigh some of the questions by the bootstrap weights of their leaves."""
        leaves, codes = np.unique(leaf[rows], return_inverse=True)
        value, weight = margin[rows], weights[leaves]
        count = np.stack([np.bincount(codes), np.bincount(codes, weights=value > 0)])  # (2, l)
        total, yes = count @ weight
        return cls(value, codes, weight, yes / total, total)


def _f1(positive: _Stratum, negative: _Stratum) -> np.ndarray:
    """Return the mean of F1(Yes) and F1(No) from both rates and the term's own counts.  # (1 + B,)"""
    p, n = len(positive.margin), len(negative.margin)
    tp, fp = positive.yes * p, negative.yes * n
    return np.asarray(tp / (tp + fp + p) + (n - fp) / (n - fp + p - tp + n))


def _auroc(positive: _Stratum, negative: _Stratum) -> np.ndarray:
    """Return the weighted share of pairs in which the positive's margin is larger, ties half.  # (1 + B,)"""
    won = np.empty((len(positive.weights), len(negative.weights)))  # pairs of questions by pair of leaves
    for row in range(len(won)):
        values = np.sort(positive.margin[positive.leaf == row])
        below = np.searchsorted(values, negative.margin, "left") + np.searchsorted(values, negative.margin, "right")
        won[row] = np.bincount(negative.leaf, weights=len(values) - below / 2)
    pairs = np.einsum("lb,lb->b", positive.weights, won @ negative.weights)
    return np.asarray(pairs / (positive.total * negative.total))


def _blocks(scores: np.ndarray, by_term: np.ndarray, turns: list[int]) -> np.ndarray:
    """Return the mean over terms and its replicates.

    Args:
        scores: Of each term: the estimate, then replicates by leaf.  # (terms, 1 + B)
        by_term: Weights of the terms.  # (terms, B)
        turns: How far to turn each term's replicates, so that hardly any two terms have the leaves' weights in common.
    """
    estimate, by_leaf = scores[:, 0], scores[:, 1:]
    by_both = np.mean([np.roll(row, turn) for row, turn in zip(by_leaf, turns, strict=True)], axis=0)
    return np.concatenate([[estimate.mean()], estimate @ by_term, by_leaf.mean(axis=0), by_both])


def joint_weights(weights: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the weights of pairs of things: the product of both, or that of the one thing where there is no other.

    To first order this gives a statistic of pairs, which have things in common, its variance over things (Arcones &
    Giné 1992). `tests/scoring/property_simulation.py` prints the coverage.

    Args:
        weights: Of all things.  # (things, b)
        one: The thing that comes first in each pair.  # (p,) int
        other: The other; the first again where there is none.  # (p,) int

    Returns:
        # (p, b)
    """
    return np.asarray(np.where((one == other)[:, None], weights[one], weights[one] * weights[other]))


@lru_cache(maxsize=8)
def item_weights(kind: str, names: tuple[str, ...], n: int, seed: int) -> np.ndarray:
    """Return the weights of things by their names; the first column is the estimate's, all 1.  # (names, 1 + n)"""
    weights = np.stack([rng(seed, "bootstrap", kind, name).standard_exponential(n) for name in names])
    weights = np.column_stack([np.ones(len(names)), weights])
    weights.flags.writeable = False
    return weights
