"""Hierarchical consistency against counting by hand, and alignment against its closed-form null."""

from dataclasses import replace

import numpy as np
import pytest

from taxbench.board.analysis.leaf_alignment import Alignments, PairAlignment, alignment_text, correlations
from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import interval, over_items
from taxbench.scoring.consistency import consistency, mean_over_seeds
from taxbench.scoring.neighbours import Alignment, alignment, nearest
from taxbench.scoring.rank_correlation import UNKNOWN
from tests.board.records import predictions


def by_hand(answers: Predictions, name: str) -> tuple[float, float, float, float, float]:
    """Count, picture by picture, the shares of leaf, hypernyms, both, and hypernyms with and without the leaf."""
    right = {"leaf": dict[int, bool](), "unseen": dict[int, bool]()}
    for row in range(len(answers)):
        split = answers.splits[answers.split[row]]
        if split in right:
            image, fine = int(answers.image[row]), (answers.margins[name][row] > 0) == answers.answer[row]
            right[split][image] = bool(right[split].get(image, True) and fine)
    pairs = [(right["leaf"][image], right["unseen"][image]) for image in right["leaf"] if image in right["unseen"]]
    leaf, hypernyms = np.array(pairs, float).T
    return (leaf.mean(), hypernyms.mean(), (leaf * hypernyms).mean(), hypernyms[leaf == 1].mean(),
            hypernyms[leaf == 0].mean())  # fmt: skip


@pytest.mark.parametrize("name", [OWN, "random_lm"])
def test_shares_are_those_counted_by_hand(name: str) -> None:
    answers = predictions(7, 0.8)
    found = consistency(answers, "unseen", name)
    assert found is not None
    shares = (found.leaf, found.hypernyms, found.both, found.given_leaf, found.given_no_leaf)
    assert [share[0] for share in shares] == pytest.approx(by_hand(answers, name))
    assert found.coin[0] == pytest.approx(0.5**4)  # two questions about the leaf and two about its hypernym
    assert found.both[0] == pytest.approx(found.leaf[0] * found.given_leaf[0])


def test_saying_yes_to_everything_gains_nothing() -> None:
    answers = predictions(7, 0.8)
    always = np.ones_like(answers.margins[OWN])
    said = Predictions(**{name: getattr(answers, name) for name in answers.__slots__} | {"margins": {OWN: always}})
    found = consistency(said, "unseen")
    assert found is not None and found.both[0] == found.leaf[0] == found.hypernyms[0] == 0
    assert np.isnan(found.given_leaf[0])  # of no picture


def test_intervals_hold_the_share_and_shrink_with_the_clusters_behind_it() -> None:
    found = [consistency(predictions(seed, 0.8), "unseen") for seed in (1, 2, 3)]
    together = mean_over_seeds([each for each in found if each])
    assert together.n_clusters == 4 and together.n_images == 3 * 96  # of six hypernyms two are of held-out leaves
    low, high = interval(over_items(together.both), together.n_clusters)
    assert low is not None and high is not None and 0 <= low < together.both[0] < high <= 1
    few = interval(over_items(together.both), 3)
    assert few[0] is not None and few[0] < low
    assert consistency(predictions(1, 1.0, "leaf"), "unseen") is None  # hypernyms are not asked


def test_spaces_that_have_nothing_in_common_share_what_chance_does() -> None:
    draw = np.random.default_rng(0)
    one, other = draw.normal(size=(2, 60, 8))
    found = alignment(one, [other], 6, np.random.default_rng(1), 400)
    assert found.by_chance == pytest.approx(6 / 59, abs=0.01)  # k of the n − 1 others, in expectation
    assert abs(found.calibrated) < 0.1 and found.p > 0.01


def test_the_best_of_many_spaces_is_set_against_the_best_of_as_many() -> None:
    """Without calibration for their number, the largest of 40 random alignments would pass for one."""
    draw = np.random.default_rng(3)
    one, others = draw.normal(size=(40, 6)), list(draw.normal(size=(40, 40, 6)))
    single = alignment(one, others[:1], 4, np.random.default_rng(1), 300)
    many = alignment(one, others, 4, np.random.default_rng(1), 300)
    assert many.by_chance > single.by_chance + 0.02 and many.p > 0.01


def test_turning_scaling_and_shifting_a_space_changes_no_neighbour() -> None:
    draw = np.random.default_rng(5)
    one = draw.normal(size=(50, 5))
    turned = 3.0 * one @ np.linalg.qr(draw.normal(size=(5, 5)))[0] + 7.0
    found = alignment(one, [draw.normal(size=(50, 9)), turned], 5, np.random.default_rng(1), 200)
    assert (found.best, found.shared, found.calibrated) == (1, 1.0, 1.0) and found.p == pytest.approx(1 / 201)
    assert not (nearest(one, 5) == np.arange(50)[:, None]).any()  # nothing is its own neighbour


def test_whether_alignment_predicts_transfer_is_said_of_enough_pairs() -> None:
    def pair(calibrated: float, transfer: float) -> PairAlignment:
        each = Alignment(0.3, 0.1, calibrated, 0.01, 0, 10)
        return PairAlignment("d", f"e{calibrated}", "l", 100, each, "input", {"mlp": transfer, "few": transfer})

    pairs = [pair(x / 10, 0.05 * x) for x in range(1, 9)]
    pairs[3:] = [replace(each, transfer={"mlp": each.transfer["mlp"]}) for each in pairs[3:]]
    found = {each.head: each for each in correlations(pairs)}
    assert found["few"].rho == UNKNOWN and found["few"].n_pairs == 3
    value, low, _ = found["mlp"].rho
    assert value == pytest.approx(1.0) and low is not None and low > 0.5 and found["mlp"].n_pairs == 8
    said = alignment_text(Alignments(tuple(pairs), tuple(found.values()), ("Left out: x.",)))
    assert "Head mlp on d: alignment predicts transfer over 8 pairs (Spearman's ρ +1.00" in said
    assert "of 6 that can: few 3." in said and said.endswith("Left out: x.\n")
