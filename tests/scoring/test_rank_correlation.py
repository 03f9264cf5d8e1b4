"""Spearman over leaves: right values, and intervals that hold the truth as often as they say."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from taxbench.scoring.rank_correlation import correlation_interval, leaf_means, rank_correlation

ONES = np.ones((9, 1))


def test_it_is_spearmans_and_inside_groups_only_what_differs_there_counts() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=9), draw.integers(0, 4, 9).astype(float)
    assert rank_correlation(x, y, ONES)[0] == pytest.approx(spearmanr(x, y).statistic)
    group = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    up = np.arange(9.0)
    down = np.array([2.0, 1, 0, 5, 4, 3, 8, 7, 6])  # rises from group to group, falls inside each
    assert rank_correlation(up, down, ONES)[0] > 0.7
    assert rank_correlation(up, down, ONES, group)[0] == pytest.approx(-1)
    assert np.isnan(rank_correlation(up, np.ones(9), ONES)[0])


def test_a_leafs_mean_turns_reversed_wordings_around_and_forgets_what_all_leaves_are_told() -> None:
    margin = np.array([-9.0, -7.0, -1.0, -3.0])  # term 0 of leaves 0 and 1, then term 1, reversed
    found = leaf_means(margin, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1, 1, -1, -1]))
    assert found.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(("rho", "n"), [(0.0, 16), (0.5, 88), (0.8, 40)])
def test_intervals_hold_the_truth_nine_times_in_ten_or_more(rho: float, n: int) -> None:
    draw = np.random.default_rng(1)
    truth = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's of a normal pair with Pearson's rho
    weights = np.column_stack([np.ones(n), draw.standard_exponential((n, 300))])
    held = 0
    for _ in range(600):
        x = draw.normal(size=n)
        y = rho * x + np.sqrt(1 - rho**2) * draw.normal(size=n)
        _, low, high = correlation_interval(rank_correlation(x, y, weights), n)
        assert low is not None and high is not None
        held += low <= truth <= high
    assert 0.925 <= held / 600 <= 0.985


def test_of_few_leaves_nothing_is_told() -> None:
    assert correlation_interval(np.array([0.5, 0.4, 0.6]), 5) == (None, None, None)
    assert correlation_interval(np.array([0.5, np.nan]), 50) == (None, None, None)
