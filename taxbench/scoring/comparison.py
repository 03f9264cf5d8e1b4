"""Compare two systems on the same questions: how far apart, how surely, and on which terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import DIFFERENCE, Replicates, interval, replicates, standard_error
from taxbench.scoring.metrics import term_f1
from taxbench.util.errors import UsageError, did_you_mean, first_few

_CERTAIN = 1e300  # a difference over no error at all; infinities would not compare
_PERMUTATIONS = 2**14  # exact up to fourteen terms, as many as `pocket` has


@dataclass(frozen=True, slots=True)
class SystemScores:
    """One row of the board: the same system trained with several seeds."""

    name: str
    seeds: tuple[int, ...]
    predictions: tuple[Predictions, ...]
    """One for each seed."""


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """One score of both sides, averaged over seeds; A minus B with its interval over items."""

    a: float | None
    b: float | None
    difference: float | None
    error: float | None
    """Standard error of the difference over items."""
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class TermDifference:
    """F1 of one term on both sides, averaged over seeds."""

    term: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        """Return the term's F1 on side A minus that on side B."""
        return self.a - self.b


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` finds; None where there are too few terms to say."""

    a: str
    b: str
    split: str
    seeds: tuple[int, ...]
    n_questions: int
    """Of all seeds together."""
    macro_f1: ScoreDifference
    auroc: ScoreDifference
    permutation_p: float | None
    """Of a paired permutation test over terms."""
    only_a: int
    """Questions that A alone answers right, of all seeds together."""
    only_b: int
    mcnemar_p: float
    """See `mcnemar`: too sure of itself."""
    d_z: float | None
    """Cohen's d of the terms' differences: their mean over their standard deviation."""
    detectable: float | None
    """Smallest true difference in macro-F1 that this comparison finds at alpha .05 with power .8."""
    terms: tuple[TermDifference, ...]
    """Where they differ: the largest difference first."""


def compare(a: SystemScores, b: SystemScores, split: str, generator: np.random.Generator) -> Comparison:
    """Compare two sides on one split.

    Args:
        generator: Draws permutations where there are too many to try them all.

    Raises:
        UsageError: the sides were not asked the same questions.
    """
    rows = _matched(a, b, split)
    terms = _terms(a, b, split)
    differences = np.array([term.difference for term in terms])
    mine, yours = (
        np.concatenate(
            [
                (one.margins[OWN][pair[k]] > 0) == one.answer[pair[k]]
                for one, pair in zip(side.predictions, rows, strict=True)
            ]
        )
        for k, side in enumerate((a, b))
    )
    only_a, only_b = int((mine & ~yours).sum()), int((yours & ~mine).sum())
    drawn = [[replicates(one, split) for one in side.predictions] for side in (a, b)]
    f1 = _difference(drawn, "macro_f1")
    return Comparison(
        a=a.name,
        b=b.name,
        split=split,
        seeds=a.seeds,
        n_questions=len(mine),
        macro_f1=f1,
        auroc=_difference(drawn, "auroc"),
        permutation_p=permutation(differences, f1.error, generator),
        only_a=only_a,
        only_b=only_b,
        mcnemar_p=mcnemar(only_a, only_b),
        d_z=cohen_d_z(differences),
        detectable=detectable_difference(f1.error, len(terms)),
        terms=terms,
    )


def permutation(differences: np.ndarray, error: float | None, generator: np.random.Generator) -> float | None:
    """Return p of a paired permutation test: were the sides' names exchanged, would they be as far apart?

    Terms are exchanged, not questions, since the questions of one term share a system's bias for it. But a leaf that
    one system knows better speaks through several terms, so exchanged terms scatter too little: what is compared is
    the studentised mean (Chung and Romano 2013), ours by the standard error over terms and leaves, the exchanged ones
    by that over terms. Exact up to fourteen terms.

    Args:
        differences: Of each term's scores.  # (terms,)
        error: Standard error of their mean (`bootstrap.standard_error`).
    """
    if error is None or len(differences) < 2:
        return None
    from scipy.stats import permutation_test  # here: a plan asks for no more than a quantile

    done = permutation_test(
        (differences / 2, -differences / 2),
        lambda a, b, axis: _studentised(a - b, axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=1024,
        rng=generator,
    )
    mean = abs(float(differences.mean()))
    observed = mean / error if error > 0 else _CERTAIN if mean > 0 else 0.0
    further = np.abs(done.null_distribution) >= observed * (1 - 1e-9)
    drawn = len(differences) > np.log2(_PERMUTATIONS)  # then the observed one counts as one of them
    return float((further.sum() + drawn) / (len(further) + drawn))


def _studentised(differences: np.ndarray, axis: int) -> np.ndarray:
    """Return the t statistic of paired differences along an axis, for the permutation test."""
    mean, deviation = differences.mean(axis), differences.std(axis, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / deviation * differences.shape[axis] ** 0.5
    return np.asarray(np.nan_to_num(t, nan=0.0, posinf=_CERTAIN, neginf=-_CERTAIN))


def mcnemar(only_a: int, only_b: int) -> float:
    """Return p of McNemar's exact test on the questions that one side alone answers right.

    Questions of one term or leaf are not independent, and a question counts once a seed: the test is too sure of
    itself. It stands beside the permutation test because readers look for it.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def cohen_d_z(differences: np.ndarray) -> float | None:
    """Return the mean of paired differences over their standard deviation; None where there is no deviation."""
    deviation = differences.std(ddof=1) if len(differences) > 1 else 0.0
    return float(differences.mean() / deviation) if deviation > 0 else None


def detectable_difference(error: float | None, n_clusters: int) -> float | None:
    """Return the smallest difference that a two-sided test at alpha .05 finds with power .8 (Bloom 1995, by t)."""
    if error is None or n_clusters < 2:
        return None
    return float(stdtrit(n_clusters - 1, 0.975) + stdtrit(n_clusters - 1, 0.8)) * error


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for how many they are (Holm 1979, step-down), in the order given."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(value) for value in adjusted]


def _matched(a: SystemScores, b: SystemScores, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return which rows of A and of B hold the same questions, seed by seed."""
    where = f"'{a.name}' and '{b.name}' cannot be compared on '{split}'"
    if a.seeds != b.seeds or not a.seeds:
        raise UsageError(
            f"{where}: they have the seeds {first_few(a.seeds)} and {first_few(b.seeds)}; questions follow the seed. "
            "Run both with the same: taxbench run --seeds 42,218,7"
        )
    for side in (a, b):
        for one in side.predictions:
            if split not in one.splits:
                close = did_you_mean(split, one.splits)
                raise UsageError(f"{where}: '{side.name}' has no such split.{close} It has {first_few(one.splits)}.")
    rows = []
    for seed, mine, yours in zip(a.seeds, a.predictions, b.predictions, strict=True):
        (here, asked), (there, wanted) = _questions(mine, split), _questions(yours, split)
        if asked != wanted:
            alone = sorted(set(asked) ^ set(wanted)) or ["a question asked more than once"]
            raise UsageError(
                f"{where}: with seed {seed} they were asked {len(asked):,} and {len(wanted):,} questions, of which "
                f"{len(alone):,} are on one side only: {first_few(alone, 3, '; ')}. Expected runs of one task, "
                "dataset and "
                "version: taxbench leaderboard show"
            )
        rows.append((here, there))
    return rows


def _questions(predictions: Predictions, split: str) -> tuple[np.ndarray, list[str]]:
    """Return the rows of a split sorted by question, and the questions in words."""
    rows = np.flatnonzero(predictions.rows_of(split))
    said = {row: predictions.in_words(row) for row in rows.tolist()}
    order = sorted(said, key=said.__getitem__)
    return np.array(order, dtype=np.int64), [said[row] for row in order]


def _terms(a: SystemScores, b: SystemScores, split: str) -> tuple[TermDifference, ...]:
    """Return the terms that have a score with every seed, the largest difference first."""
    found = [[_term_f1(one, split) for one in side.predictions] for side in (a, b)]
    shared = set.intersection(*(set(one) for side in found for one in side))
    terms = [
        TermDifference(term, *(float(np.mean([one[term] for one in side])) for side in found))
        for term in sorted(shared)
    ]
    return tuple(sorted(terms, key=lambda term: -abs(term.difference)))


def _term_f1(predictions: Predictions, split: str) -> dict[str, float]:
    """Return the F1 of every scored term."""
    rows = predictions.rows_of(split)
    asked, guess = predictions.asked(rows), predictions.margins[OWN][rows] > 0
    codes, term = np.unique(asked.term, return_inverse=True)
    found = term_f1(term, asked.answer, guess) if len(asked) else np.empty(0)
    return {predictions.terms[code]: f1 for code, f1 in zip(codes, found, strict=True) if not np.isnan(f1)}


def _difference(drawn: list[list[Replicates]], score: str) -> ScoreDifference:
    """Return one score of both sides and its difference, paired by the names of terms and leaves."""
    a, b = (np.mean([getattr(each, score) for each in side], axis=0) for side in drawn)
    n_terms = min(each.n_terms for side in drawn for each in side)
    one, other, apart = (None if np.isnan(values[0]) else float(values[0]) for values in (a, b, a - b))
    low, high = interval(a - b, n_terms, scale=DIFFERENCE)
    return ScoreDifference(one, other, apart, standard_error(a - b, n_terms), low, high)
