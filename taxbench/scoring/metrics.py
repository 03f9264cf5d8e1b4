"""Metrics: per asked term first, then the mean over terms."""

from functools import lru_cache

import numpy as np
from scipy.stats import binom, rankdata

from taxbench.protocol.questions import QuestionSet
from taxbench.specs.result import CategoryScore, Scores

_DIGITS = 6


def category_scores(split: str, terms: tuple[str, ...], asked: QuestionSet, margin: np.ndarray) -> list[CategoryScore]:
    """Score every asked term of a split, sorted by term.

    A term that was asked with one answer only has no F1 and no AUROC: F1 would be 1 or 0 by construction.

    Args:
        margin: logit(Yes) − logit(No) of every question.  # (q,)
    """
    rows = []
    for index in sorted(np.unique(asked.term).tolist(), key=lambda index: terms[index]):
        here = asked.term == index
        truth, value = asked.answer[here], margin[here]
        p, n = int(truth.sum()), int((~truth).sum())
        both = p > 0 and n > 0
        rows.append(
            CategoryScore(
                split=split,
                term=terms[index],
                f1=_round(two_class_f1(truth, value > 0)) if both else None,
                auroc=_round(auroc(truth, value)) if both else None,
                accuracy=_round(float(((value > 0) == truth).mean())),
                chance_f1=_round(chance_f1(p, n)) if both else None,
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
        n_questions=sum(questions),
        n_categories=len(scored),
        n_one_class=len(rows) - len(scored),
    )


def chance_control(rows: list[CategoryScore]) -> Scores:
    """Return the expected scores of a fair coin on the same questions."""
    scores = summarise(rows)
    fair = None if scores.macro_f1 is None else 0.5
    return scores.model_copy(update={"macro_f1": scores.chance_f1, "auroc": fair, "accuracy": fair})


def two_class_f1(truth: np.ndarray, guess: np.ndarray) -> float:
    """Return the mean of F1(Yes) and F1(No); both answers must occur in `truth`."""
    values = []
    for answer in (True, False):
        hit = int(((guess == answer) & (truth == answer)).sum())
        values.append(2 * hit / (int((guess == answer).sum()) + int((truth == answer).sum())))
    return sum(values) / 2


def auroc(truth: np.ndarray, value: np.ndarray) -> float:
    """Return the area under the ROC curve by ranks, ties counted half (Mann–Whitney U / (p · n))."""
    p, n = int(truth.sum()), int((~truth).sum())
    return float((rankdata(value)[truth].sum() - p * (p + 1) / 2) / (p * n))


@lru_cache(maxsize=65536)
def chance_f1(positives: int, negatives: int) -> float:
    """Return the exact expected two-class F1 of a fair coin.

    With TP ~ Bin(p, ½) and FP ~ Bin(n, ½), F1(Yes) = 2 TP / (TP + FP + p); F1(No) is the same with p and n exchanged.
    """
    return (_expected_f1(positives, negatives) + _expected_f1(negatives, positives)) / 2


def _expected_f1(p: int, n: int) -> float:
    tp, fp = np.arange(p + 1), np.arange(n + 1)
    f1 = 2 * tp[:, None] / (tp[:, None] + fp[None, :] + p)
    return float(binom.pmf(tp, p, 0.5) @ f1 @ binom.pmf(fp, n, 0.5))


def _mean(values: list[float | None]) -> float | None:
    return _round(float(np.mean(np.array(values, dtype=np.float64)))) if values else None


def _round(value: float) -> float:
    return round(value, _DIGITS)
