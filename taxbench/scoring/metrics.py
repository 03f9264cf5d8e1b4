"""From predictions to scores: per asked term first, then the mean over terms; the same code scores a record anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from taxbench.protocol.questions import QuestionSet
from taxbench.results.predictions import OWN, Predictions
from taxbench.specs.result import CategoryScore, Scores

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All scores that follow from the answers to the test questions."""

    scores: dict[str, Scores]
    """By split."""
    controls: dict[str, dict[str, Scores]]
    """By control, then by split."""
    categories: tuple[CategoryScore, ...]


def score(
    predictions: Predictions, controls: Iterable[str], thresholds: Mapping[str, float] | None = None
) -> Scorecard:
    """Score the answers of a run and of its controls.

    Args:
        controls: The task's controls; `chance` is computed, the others must be among the predictions.
        thresholds: Fitted ones of the run's own head and of controls, where there are any.
    """
    fitted = thresholds or {}

    scores: dict[str, Scores] = {}
    found: dict[str, dict[str, Scores]] = {name: {} for name in controls}
    categories: list[CategoryScore] = []
    for split in predictions.splits:
        rows = predictions.rows_of(split)
        asked = predictions.asked(rows)
        of_heads = {
            name: category_scores(split, predictions.terms, asked, predictions.margins[name][rows], fitted.get(name))
            for name in (OWN, *found)
            if name != "chance"
        }
        own = of_heads.pop(OWN)
        scores[split] = summarise(own)
        for name in found:
            found[name][split] = chance_control(own) if name == "chance" else summarise(of_heads[name])
        for i, row in enumerate(own):
            categories.append(
                row.model_copy(update={"controls": {name: some[i].f1 for name, some in of_heads.items()}})
            )
    return Scorecard(scores, found, tuple(categories))


def calibrate(kind: str, margins: np.ndarray, terms: np.ndarray, blank: np.ndarray | None) -> np.ndarray:
    """Return margins less what a calibration holds for bias of the LM; see `ScoringSpec` for the kinds, and sources.

    AUROC per term changes with none of these but by ties.

    Args:
        margins: log p(Yes) − log p(No) of a split's questions.  # (q,)
        terms: The term that each of them asks.  # (q,)
        blank: The margins of the same terms, sorted and each once, about an empty image, for contextual and pmi; where
            there is no such thing, margins stay as they are.  # (unique terms,)
    """
    if kind == "none" or (kind != "batch" and blank is None):
        return margins
    if kind == "batch":
        return np.asarray(margins - margins.mean())
    assert blank is not None
    places = np.searchsorted(np.unique(terms), terms)
    return np.asarray(margins - (blank.mean() if kind == "contextual" else blank[places]))


def fit_threshold(margin: np.ndarray, answer: np.ndarray) -> float:
    """Return the threshold above which to say Yes: of those with most answers right, the nearest to the LM's own, zero.

    Both answers weigh the same. Without questions of both kinds it is zero.

    Args:
        margin: logit(Yes) − logit(No) of leaf questions about validation images.  # (q,)
        answer: What is true.  # (q,) bool
    """
    if answer.all() or not answer.any():
        return 0.0
    margin = margin.astype(np.float64)
    value, yes, no = np.unique(margin), np.sort(margin[answer]), np.sort(margin[~answer])
    between = np.r_[0.0, value[0] - 1, (value[:-1] + value[1:]) / 2, value[-1] + 1]
    right = np.searchsorted(no, between, "right") / len(no) - np.searchsorted(yes, between, "right") / len(yes)
    best = between[right >= right.max() - 1e-12]
    return float(best[np.abs(best).argmin()])


def category_scores(
    split: str, terms: tuple[str, ...], asked: QuestionSet, margin: np.ndarray, threshold: float | None = None
) -> list[CategoryScore]:
    """Score every asked term of a split, sorted by term.

    A term that was asked with one answer only has no F1 and no AUROC: F1 would be 1 or 0 by construction.

    Args:
        margin: logit(Yes) − logit(No) of every question.  # (q,)
        threshold: A fitted one, for `fitted_f1`.
    """
    if not len(asked):
        return []
    codes, term = np.unique(asked.term, return_inverse=True)
    truth, guess = asked.answer, margin > 0
    f1, auroc = term_f1(term, truth, guess), term_auroc(term, truth, margin)
    fitted = None if threshold is None else term_f1(term, truth, margin > threshold)
    positive, total = np.bincount(term, weights=truth), np.bincount(term)
    accuracy = np.bincount(term, weights=guess == truth) / total
    rows = []
    for row in sorted(range(len(codes)), key=lambda row: terms[codes[row]]):
        p, n = int(positive[row]), int(total[row] - positive[row])
        both = p > 0 and n > 0
        rows.append(
            CategoryScore(
                split=split,
                term=terms[codes[row]],
                f1=_round(f1[row]) if both else None,
                auroc=_round(auroc[row]) if both else None,
                accuracy=_round(accuracy[row]),
                chance_f1=_round(chance_f1(p, n)) if both else None,
                fitted_f1=_round(fitted[row]) if both and fitted is not None else None,
                n_positive=p,
                n_negative=n,
            )
        )
    return rows


def summarise(rows: list[CategoryScore]) -> Scores:
    """Average over the categories that have a score."""
    scored = [row for row in rows if row.f1 is not None]
    questions = [row.n_positive + row.n_negative for row in rows]
    return Scores(
        macro_f1=_mean([row.f1 for row in scored]),
        auroc=_mean([row.auroc for row in scored]),
        accuracy=_round(float(np.average([row.accuracy for row in rows], weights=questions))) if rows else None,
        chance_f1=_mean([row.chance_f1 for row in scored]),
        fitted_f1=_mean([row.fitted_f1 for row in scored if row.fitted_f1 is not None]),
        n_questions=sum(questions),
        n_categories=len(scored),
        n_one_class=len(rows) - len(scored),
    )


def chance_control(rows: list[CategoryScore]) -> Scores:
    """Return the expected scores of a fair coin on the same questions."""
    scores = summarise(rows)
    fair = None if scores.macro_f1 is None else 0.5
    return scores.model_copy(update={"macro_f1": scores.chance_f1, "fitted_f1": None, "auroc": fair, "accuracy": fair})


def term_f1(term: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Return the mean of F1(Yes) and F1(No) of every term; NaN with one answer only in `truth`.

    A term with its answer is one class for scikit-learn, and all terms are one call: 7 s for the 91,125 scores of the
    published records; called for each of them it takes 250 s.

    Args:
        term: The term of each question, of t; each occurs.  # (q,) int64
        truth: Its right answer.  # (q,) bool
        guess: The answer given.  # (q,) bool

    Returns:
        One score a term.  # (t,)
    """
    from sklearn.metrics import f1_score  # here: building a board scores nothing anew, and loads without it

    classes = np.arange(2 * (term.max() + 1))
    f1 = f1_score(2 * term + truth, 2 * term + guess, labels=classes, average=None, zero_division=0.0)
    both = np.bincount(2 * term + truth, minlength=len(classes)).reshape(-1, 2).all(axis=1)
    return np.where(both, f1.reshape(-1, 2).mean(axis=1), np.nan)


def term_auroc(term: np.ndarray, truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of every term, ties counted half; NaN with one answer only in `truth`.

    By ranks (Mann–Whitney U / (p · n)) of all terms at once, which is exact: scikit-learn's sum of trapezoids is 1e-16
    off, which changes the last of six digits where the seventh is a 5. For the 91,125 areas of the published records
    it takes 360 s; this takes 1.2 s.

    Args:
        term: The term of each question, of t; each occurs.  # (q,) int64
        truth: Its right answer.  # (q,) bool
        value: The larger, the rather Yes.  # (q,) float

    Returns:
        One area a term.  # (t,)
    """
    from scipy.stats import rankdata  # here, as above

    order = np.unique(value, return_inverse=True)[1]
    rank = rankdata(term * len(value) + order)  # one term after the other
    p, n = np.bincount(term, weights=truth), np.bincount(term, weights=~truth)
    before = np.cumsum(p + n) - (p + n)
    won = np.bincount(term, weights=rank * truth) - p * before - p * (p + 1) / 2
    return np.asarray(np.divide(won, p * n, out=np.full(len(p), np.nan), where=p * n > 0))


@lru_cache(maxsize=65536)
def chance_f1(positives: int, negatives: int) -> float:
    """Return the exact expected two-class F1 of a fair coin.

    With TP ~ Bin(p, ½) and FP ~ Bin(n, ½), F1(Yes) = 2 TP / (TP + FP + p); F1(No) is the same with p and n exchanged.
    """
    return (_expected_f1(positives, negatives) + _expected_f1(negatives, positives)) / 2


def _expected_f1(p: int, n: int) -> float:
    """Return the expected F1 of one class under a fair coin, p questions of it and n others."""
    from scipy.stats import binom

    tp, fp = np.arange(p + 1), np.arange(n + 1)
    f1 = 2 * tp[:, None] / (tp[:, None] + fp[None, :] + p)
    return float(binom.pmf(tp, p, 0.5) @ f1 @ binom.pmf(fp, n, 0.5))


def _mean(values: list[float | None]) -> float | None:
    """Return the mean of scores over terms, rounded; None where there are none."""
    return _round(float(np.mean(np.array(values, dtype=np.float64)))) if values else None


def _round(value: float) -> float:
    """Round a score to the digits that records keep."""
    return round(float(value), _DIGITS)
