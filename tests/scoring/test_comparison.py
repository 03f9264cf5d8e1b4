"""Comparisons against statsmodels, closed forms, and two systems that are equally good."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest, sem
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from taxbench.results.predictions import Predictions
from taxbench.scoring.bootstrap import replicates, standard_error
from taxbench.scoring.comparison import (
    SystemScores,
    cohen_d_z,
    compare,
    detectable_difference,
    holm,
    mcnemar,
    permutation,
)
from taxbench.util.errors import UsageError
from tests.scoring.simulation import Effects, draw, hypernyms, term_f1

DESIGN = hypernyms(8, 30, (3, 6))
SEEDS = (42, 218)


def sides(seed: int = 0) -> tuple[SystemScores, SystemScores]:
    a, b = draw(DESIGN, Effects("two", seeds=(0.0, 0.1)), np.random.default_rng(seed), systems=2)
    return SystemScores("a", SEEDS, tuple(a)), SystemScores("b", SEEDS, tuple(b))


def changed(side: SystemScores, **columns: object) -> SystemScores:
    return replace(side, predictions=(replace(side.predictions[0], **columns), *side.predictions[1:]))


def run(a: SystemScores, b: SystemScores):  # type: ignore[no-untyped-def]
    return compare(a, b, "unseen", np.random.default_rng(0))


def reordered(one: Predictions) -> Predictions:
    order = np.random.default_rng(1).permutation(len(one))
    columns = {name: getattr(one, name)[order] for name in ("image", "term", "answer", "split")}
    return replace(one, **columns, margins={"none": one.margins["none"][order]})


def test_a_comparison_adds_up() -> None:
    a, b = sides()
    found = run(a, b)
    scores = [np.mean([term_f1(one).mean() for one in side.predictions]) for side in (a, b)]
    assert [found.macro_f1.a, found.macro_f1.b] == pytest.approx(scores)
    assert found.macro_f1.difference == pytest.approx(np.mean([term.difference for term in found.terms]))
    assert found.macro_f1.low < found.macro_f1.difference < found.macro_f1.high
    sizes = [abs(term.difference) for term in found.terms]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 8
    rights = [np.concatenate([(one.margins["none"] > 0) == one.answer for one in side.predictions]) for side in (a, b)]
    assert (found.only_a, found.only_b) == ((rights[0] & ~rights[1]).sum(), (rights[1] & ~rights[0]).sum())
    assert found.n_questions == len(rights[0])


def test_the_other_way_round_is_the_same_with_signs_changed() -> None:
    a, b = sides()
    there, back = run(a, b), run(b, a)
    assert there.macro_f1.low == pytest.approx(-back.macro_f1.high)
    assert (there.permutation_p, there.mcnemar_p, there.detectable) == (
        back.permutation_p,
        back.mcnemar_p,
        back.detectable,
    )


def test_the_order_of_questions_does_not_matter() -> None:
    a, b = sides()
    mixed = run(a, replace(b, predictions=tuple(map(reordered, b.predictions))))
    assert mixed.only_a == run(a, b).only_a
    assert mixed.macro_f1.low == pytest.approx(run(a, b).macro_f1.low)


def test_the_same_twice_does_not_differ() -> None:
    found = run(sides()[0], sides()[0])
    assert (found.macro_f1.low, found.macro_f1.high, found.permutation_p, found.mcnemar_p, found.d_z) == (
        0,
        0,
        1,
        1,
        None,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: replace(b, seeds=(42, 7)), "seeds 42, 218 and 42, 7"),
        (lambda b: replace(b, seeds=(), predictions=()), "seeds"),
        (lambda b: changed(b, splits=("unsen",)), "'b' has no such split. Did you mean 'unsen'?"),
        (lambda b: changed(b, answer=~b.predictions[0].answer), "with seed 42"),
        (lambda b: changed(b, images=("other", *b.predictions[0].images[1:])), "on one side only: is 'image 0' 'term"),
    ],
)
def test_only_equal_questions_are_compared(change, said: str) -> None:  # type: ignore[no-untyped-def]
    a, b = sides()
    with pytest.raises(UsageError) as caught:
        run(a, change(b))
    assert said in str(caught.value) and "'a' and 'b' cannot be compared on 'unseen'" in str(caught.value)


def test_permutation_tries_every_exchange_of_few_terms() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 9)
    exchanged = [np.array(signs) * differences for signs in product((-1, 1), repeat=9)]
    t = np.array([one.mean() / sem(one) for one in exchanged])
    for error in (sem(differences), 2 * sem(differences)):
        expected = np.mean(np.abs(t) >= abs(differences.mean()) / error - 1e-12)
        assert permutation(differences, error, np.random.default_rng(1)) == pytest.approx(expected)
    assert permutation(differences[:1], 0.1, np.random.default_rng(1)) is None
    assert permutation(np.zeros(4), 0.0, np.random.default_rng(1)) == 1
    assert permutation(np.full(4, 0.1), 0.0, np.random.default_rng(1)) == pytest.approx(2 / 2**4)


@pytest.mark.parametrize("own_leaf", [0.0, 0.8])
def test_p_values_of_equal_systems_are_uniform_though_questions_are_clustered(own_leaf: float) -> None:
    rng, design = np.random.default_rng(5), hypernyms(12, 50, (3, 6))
    effects = Effects("equal", seed_term=0.6 if own_leaf == 0 else 0.1, own_leaf=own_leaf, seeds=(0.0,))
    p_terms, p_questions, p_naive = list[float | None](), list[float](), list[float | None]()
    for _ in range(300):
        [a], [b] = draw(design, effects, rng, systems=2)
        drawn = [replicates(one, "unseen", n=200) for one in (a, b)]
        differences = term_f1(a) - term_f1(b)
        error = standard_error(drawn[0].macro_f1 - drawn[1].macro_f1, len(differences))
        p_terms.append(permutation(differences, error, rng))
        p_naive.append(permutation(differences, float(sem(differences)), rng))
        right = [(one.margins["none"] > 0) == one.answer for one in (a, b)]
        p_questions.append(mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())))
    rejected = [float(np.mean(np.array(some) < 0.05)) for some in (p_terms, p_naive, p_questions)]
    assert kstest(p_terms, "uniform").pvalue > 0.01
    assert 0.025 < rejected[0] < 0.075
    assert rejected[2] > 0.1  # as its docstring says
    assert own_leaf == 0 or rejected[1] > 0.12  # exchanging terms alone would not do


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 0), (10, 21), (50, 50), (400, 300)])
def test_mcnemar_equals_statsmodels(only_a: int, only_b: int) -> None:
    expected = reference_mcnemar([[5, only_a], [only_b, 9]], exact=True).pvalue if only_a + only_b else 1
    assert mcnemar(only_a, only_b) == pytest.approx(expected)


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03], [0.5], [0.9, 0.9, 0.001, 0.02, 0.02], []])
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1] if p_values else [])


def test_effect_size_and_detectable_difference_have_closed_forms() -> None:
    differences = np.array([0.1, 0.2, 0.3, 0.0])
    assert cohen_d_z(differences) == pytest.approx(0.15 / differences.std(ddof=1))
    assert cohen_d_z(np.zeros(3)) is cohen_d_z(differences[:1]) is None
    effect = TTestPower().solve_power(nobs=14, alpha=0.05, power=0.8)  # in standard deviations, by the noncentral t
    assert detectable_difference(1 / 14**0.5, 14) == pytest.approx(effect, rel=0.01)
    assert detectable_difference(None, 14) is None
