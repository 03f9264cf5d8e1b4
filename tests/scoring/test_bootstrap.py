"""Replicates against metrics and scikit-learn, intervals against closed forms and a simulation with a known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from taxbench.datasets.dataset import load_dataset
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.results.predictions import Predictions, collected
from taxbench.scoring.bootstrap import (
    DIFFERENCE,
    METHOD,
    SCORE,
    interval,
    item_weights,
    replicates,
    scored_terms,
    standard_error,
)
from taxbench.scoring.metrics import score
from taxbench.tasks.registry import find_tasks
from tests.scoring.simulation import (
    DESIGNS,
    EFFECTS,
    Design,
    Effects,
    binomial,
    clustered,
    coverage,
    draw,
    hypernyms,
    leaves,
    pooled,
)

SMALL = hypernyms(5, 20, (2, 4))


def drawn(seed: int = 0, systems: int = 1) -> list[Predictions]:
    return [seeds[0] for seeds in draw(SMALL, EFFECTS[0], np.random.default_rng(seed), systems)]


@pytest.mark.parametrize("seed", range(5))
def test_the_estimate_is_the_score(seed: int) -> None:
    [one] = drawn(seed)
    found, scores = replicates(one, "unseen", n=3), score(one, ()).scores["unseen"]
    assert found.macro_f1[0] == pytest.approx(scores.macro_f1, abs=1.01e-6)  # scores are rounded to six digits, twice
    assert found.auroc[0] == pytest.approx(scores.auroc, abs=1.01e-6)
    assert found.n_terms == scores.n_categories


def test_a_replicate_is_the_score_under_weights_of_leaves() -> None:
    [one] = drawn()
    one = replace(one, margins={"none": np.round(one.margins["none"], 0)})  # many ties
    n, margin, leaf = 7, one.margins["none"], one.leaf_of[one.image]
    found, weights = replicates(one, "unseen", n=n), item_weights("leaf", one.leaves, n, 0)
    for column in (0, 1, n):
        f1, auroc = [], []
        for of in scored_terms(one, "unseen"):
            rows = np.concatenate([of.positive, of.negative])
            p, n_negative = len(of.positive), len(of.negative)
            auroc.append(roc_auc_score(one.answer[rows], margin[rows], sample_weight=weights[leaf[rows], column]))
            yes = [
                np.average(margin[part] > 0, weights=weights[leaf[part], column]) for part in (of.positive, of.negative)
            ]
            tp, fp = yes[0] * p, yes[1] * n_negative
            tn, fn = n_negative - fp, p - tp
            f1.append((2 * tp / (2 * tp + fp + fn) + 2 * tn / (2 * tn + fp + fn)) / 2)
        place = column + n if column else 0
        assert found.macro_f1[place] == pytest.approx(np.mean(f1), abs=1e-12)
        assert found.auroc[place] == pytest.approx(np.mean(auroc), abs=1e-12)


def test_a_question_about_two_images_has_the_weights_of_both_leaves() -> None:
    draw, images, leaves = np.random.default_rng(0), ["salt & pepper", "b", "c", "d"], ("ant", "bee", "cow")
    leaf_of = np.array([0, 0, 1, 2])
    first, second = np.array([(i, j) for i in range(4) for j in range(4) if leaf_of[i] != leaf_of[j]] * 3).T
    asked = QuestionSet(first + 4 * (second + 1), np.full(len(first), 3), draw.random(len(first)) < 0.5)
    parts, n = {"unseen": (asked, {"none": draw.standard_normal(len(asked))})}, 5
    one = collected(parts, images, leaf_of, leaves, (*leaves, "Is the first larger?"))
    found, weights = replicates(one, "unseen", n=n), item_weights("leaf", leaves, n, 0)
    for column in (0, 1, n):
        weight = weights[leaf_of[first], column] * weights[leaf_of[second], column]
        auroc = roc_auc_score(one.answer, one.margins["none"], sample_weight=weight)
        assert found.auroc[column + n if column else 0] == pytest.approx(auroc, abs=1e-12)


def test_no_name_of_a_single_image_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    [one] = drawn()
    monkeypatch.setattr("taxbench.results.predictions.ids_in", lambda *_: pytest.fail("image by image"))
    assert (one.leaf_pairs() == np.stack([one.leaf_of[one.image]] * 2, axis=1)).all()


@pytest.mark.parametrize("task", ["compare_pair_size", "compare_pair_size_taught", "property_size"])
def test_the_leaves_of_two_images_are_known_from_the_answers_alone(task: str) -> None:
    dataset = load_dataset("pocket")
    protocol, n = Protocol(find_tasks().tasks[task], dataset, 42), len(dataset.images)
    asked = {split: protocol.test(split) for split in protocol.task.evaluate}
    parts = {split: (some, {"none": np.zeros(len(some))}) for split, some in asked.items()}
    one = collected(parts, [each.id for each in dataset.images], protocol.leaf, dataset.taxonomy.leaves,
                    protocol.vocabulary.terms)  # fmt: skip
    shown = QuestionSet.concat(list(asked.values())).image
    leaf = protocol.leaf[np.stack([shown % n, np.where(shown < n, shown % n, shown // n - 1)], axis=1)]
    assert (np.array(one.leaves)[one.leaf_pairs()] == np.array(dataset.taxonomy.leaves)[leaf]).all()


def test_weights_follow_names_in_whatever_order_and_company() -> None:
    [one] = drawn()
    rng = np.random.default_rng(0)
    turn = rng.permutation(len(one.leaves))
    shuffled = rng.permutation(len(one))
    other = replace(
        one,
        leaves=("a new leaf", *(one.leaves[i] for i in turn)),
        leaf_of=(np.argsort(turn)[one.leaf_of] + 1).astype(np.uint16),
        terms=tuple(reversed(one.terms)),
        term=(len(one.terms) - 1 - one.term[shuffled]).astype(np.uint16),
        image=one.image[shuffled],
        answer=one.answer[shuffled],
        margins={"none": one.margins["none"][shuffled]},
    )
    a, b = replicates(one, "unseen", n=50), replicates(other, "unseen", n=50)
    assert np.allclose(a.macro_f1, b.macro_f1) and np.allclose(a.auroc, b.auroc)
    assert not np.allclose(a.macro_f1[1:], replicates(one, "unseen", n=50, seed=1).macro_f1[1:])


def test_differences_are_paired() -> None:
    one, other = (replicates(each, "unseen") for each in drawn(systems=2))
    apart = [standard_error(each.macro_f1, each.n_terms) for each in (one, other)]
    assert standard_error(one.macro_f1 - other.macro_f1, one.n_terms) < 0.8 * min(apart)
    assert interval(one.macro_f1 - one.macro_f1, one.n_terms, scale=DIFFERENCE) == (0, 0)


@pytest.mark.parametrize("scale", [SCORE, DIFFERENCE])
def test_terms_alone_give_the_interval_of_a_mean(scale: tuple[float, float]) -> None:
    rng, n = np.random.default_rng(0), 14
    scores = rng.uniform(*scale, size=n)
    by_term = rng.dirichlet(np.ones(n), 200_000) @ scores
    values = np.concatenate([[scores.mean()], by_term, np.zeros(2 * len(by_term))])
    share, width = (scores.mean() - scale[0]) / (scale[1] - scale[0]), scale[1] - scale[0]
    reach = student.ppf(0.975, n - 1) * scores.std(ddof=1) / n**0.5 / (width * share * (1 - share))
    odds = share / (1 - share) * np.exp([-reach, reach])
    assert interval(values, n, scale=scale) == pytest.approx(odds / (1 + odds) * width + scale[0], abs=2e-3)


@pytest.mark.parametrize("scale", [SCORE, DIFFERENCE])
def test_no_interval_leaves_the_scale(scale: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    for mean in np.linspace(*scale, 11):
        values = np.clip(mean + rng.normal(0, 0.3, 301), *scale)
        values[0] = mean
        low, high = interval(values, 2, scale=scale)
        assert low is not None and high is not None and scale[0] <= low <= mean <= high <= scale[1]
        inside = scale[0] < mean < scale[1]
        assert (high - low > 0.9 * (scale[1] - scale[0])) == inside


def test_no_score_has_no_interval() -> None:
    [one] = drawn()
    for answer, n_terms in ((np.ones_like(one.answer), 0), (one.answer | (one.term > 0), 1)):
        found = replicates(replace(one, answer=answer), "unseen", n=10)
        assert found.n_terms == n_terms
        assert bool(np.isnan(found.macro_f1).all()) == bool(np.isnan(found.auroc).all()) == (n_terms == 0)
        assert interval(found.macro_f1, n_terms) == (None, None)


@pytest.mark.parametrize(
    ("design", "effects"),
    [(DESIGNS[0], EFFECTS[0]), (DESIGNS[0], EFFECTS[1]), (DESIGNS[1], EFFECTS[1]), (leaves(50, (8, 12)), EFFECTS[0])],
    ids=lambda each: each.name,
)
def test_intervals_cover_the_truth_and_naive_ones_do_not(design: Design, effects: Effects) -> None:
    intervals = (lambda seeds: clustered(seeds, n=200), pooled, binomial)
    share, as_published, of_questions = coverage(design, effects, 300, intervals)
    assert 0.93 - 0.0125 <= share <= 0.97 + 0.0125  # a standard deviation of 300 draws is .0125
    assert as_published < 0.9
    assert of_questions < 0.7


def test_the_method_is_renumbered_when_it_gives_others() -> None:
    [one] = drawn()
    found = replicates(one, "unseen")
    places = [0, 1, 1001, 2001]
    assert METHOD == 2, "put the figures of the new method here"
    assert found.macro_f1[places] == pytest.approx([0.62079, 0.60334, 0.61662, 0.55891], abs=2e-5)
    assert found.auroc[places] == pytest.approx([0.82283, 0.80447, 0.80344, 0.80149], abs=2e-5)
    assert interval(found.macro_f1, found.n_terms) == pytest.approx((0.41992, 0.78732), abs=2e-5)
