"""Metrics against scikit-learn and against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from taxbench.protocol.questions import QuestionSet
from taxbench.scoring.metrics import (
    category_scores,
    chance_control,
    chance_f1,
    fit_threshold,
    summarise,
    term_auroc,
    term_f1,
)


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_f1_and_auroc_of_each_term_equal_scikit_learn(seed: int, n: int, terms: int) -> None:
    rng = np.random.default_rng(seed)
    term = rng.permutation(np.arange(n * terms) % terms)
    truth = rng.random(n * terms) < 0.4
    value = np.round(rng.normal(size=n * terms), 1)  # rounding makes ties
    f1, auroc = term_f1(term, truth, value > 0), term_auroc(term, truth, value)
    for each in range(terms):
        here = term == each
        if truth[here].all() or not truth[here].any():
            assert np.isnan(f1[each]) and np.isnan(auroc[each])
            continue
        assert f1[each] == pytest.approx(f1_score(truth[here], value[here] > 0, average="macro"))
        assert auroc[each] == pytest.approx(roc_auc_score(truth[here], value[here]))


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (3, 9), (16, 16), (200, 40)])
def test_chance_is_the_mean_of_a_simulated_coin(positives: int, negatives: int) -> None:
    rng = np.random.default_rng(0)
    truth = np.r_[np.ones(positives, bool), np.zeros(negatives, bool)]
    coins = term_f1(np.repeat(np.arange(4000), len(truth)), np.tile(truth, 4000), rng.random(4000 * len(truth)) < 0.5)
    assert chance_f1(positives, negatives) == pytest.approx(np.mean(coins), abs=4 * np.std(coins) / 4000**0.5)


def test_a_category_asked_with_one_answer_only_has_no_score_and_is_counted() -> None:
    asked = QuestionSet(np.arange(5), np.array([0, 0, 1, 1, 1]), np.array([True, False, True, True, True]))
    rows = category_scores("unseen", ("bird", "tool"), asked, np.array([1.0, -1.0, 1.0, 1.0, -1.0]))
    assert [row.f1 for row in rows] == [1.0, None]
    scores = summarise(rows)
    assert (scores.macro_f1, scores.n_categories, scores.n_one_class) == (1.0, 1, 1)
    assert scores.accuracy == pytest.approx(0.8)


def test_a_constant_answer_scores_a_third_at_balance_and_chance_one_half() -> None:
    truth = np.array([True, False] * 50)
    assert term_f1(np.zeros(100, np.int64), truth, np.zeros(100, bool)) == pytest.approx(1 / 3)
    asked = QuestionSet(np.arange(100), np.zeros(100, np.int64), truth)
    control = chance_control(category_scores("leaf", ("crow",), asked, np.zeros(100)))
    assert control.macro_f1 == pytest.approx(0.497, abs=0.005)
    assert control.auroc == control.accuracy == 0.5


def test_no_scored_category_gives_no_average() -> None:
    scores = summarise([])
    assert scores.macro_f1 is None and scores.accuracy is None


@given(st.integers(0, 10_000), st.integers(2, 40))
@settings(max_examples=100, deadline=None)
def test_no_threshold_gets_more_right_than_the_fitted_one(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    answer = np.r_[True, False, rng.random(n) < 0.4]
    margin = np.round(rng.normal(size=n + 2) + answer - 2, 1).astype(np.float16)
    others = [fit_threshold(margin, answer), *np.arange(-8, 8, 0.04)]
    right = [np.mean([np.mean((margin > each)[answer]), np.mean((margin <= each)[~answer])]) for each in others]
    assert right[0] >= max(right) - 1e-9
    assert right[0] == pytest.approx(balanced_accuracy_score(answer, margin > others[0]))


def test_of_thresholds_as_good_the_one_nearest_to_the_lms_own_counts() -> None:
    answer = np.array([False, True, False, True])
    assert fit_threshold(np.array([-4.0, -2.0, 3.0, 9.0]), answer) == -3.0  # 6 is as good
    assert fit_threshold(np.array([-1.0, 2.0, -3.0, 3.0]), answer) == 0.0  # and not .5, in the middle of the gap


def test_scores_tell_f1_at_both_thresholds_and_chance_has_no_fitted_one() -> None:
    asked = QuestionSet(np.arange(4), np.zeros(4, np.int64), np.array([True, True, False, False]))
    margin = np.array([5.0, 4.0, 3.0, 2.0])  # it says Yes to everything, and knows
    rows = category_scores("leaf", ("crow",), asked, margin, fit_threshold(margin, asked.answer))
    assert summarise(rows).macro_f1 == pytest.approx(1 / 3, abs=1e-6) and summarise(rows).fitted_f1 == 1.0
    assert chance_control(rows).fitted_f1 is None
    assert summarise(category_scores("leaf", ("crow",), asked, margin)).fitted_f1 is None
    assert fit_threshold(margin, np.ones(4, bool)) == 0.0
