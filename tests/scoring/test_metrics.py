"""Metrics against scikit-learn and against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from taxbench.protocol.questions import QuestionSet
from taxbench.scoring.metrics import category_scores, chance_control, chance_f1, summarise, term_auroc, term_f1


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
