"""Comparisons against statsmodels, closed forms, and two systems that are equally good."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from taxbench.errors import UsageError
from taxbench.scoring.comparison import Side, cohen_d_z, compare, detectable_difference, holm, mcnemar, permutation
from taxbench.scoring.predictions import Predictions
from tests.scoring.simulation import Effects, draw, hypernyms, term_f1

DESIGN = hypernyms(8, 30, (3, 6))
SEEDS = (42, 218)


def sides(seed: int = 0) -> tuple[Side, Side]:
    a, b = draw(DESIGN, Effects("two", seeds=(0.0, 0.1)), np.random.default_rng(seed), systems=2)
    return Side("a", SEEDS, tuple(a)), Side("b", SEEDS, tuple(b))


def changed(side: Side, **columns: object) -> Side:
    return replace(side, predictions=(replace(side.predictions[0], **columns), *side.predictions[1:]))


def run(a: Side, b: Side):  # type: ignore[no-untyped-def]
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
    means = np.array([np.mean(np.array(signs) * differences) for signs in product((-1, 1), repeat=9)])
    expected = np.mean(np.abs(means) >= abs(differences.mean()) - 1e-12)
    assert permutation(differences, np.random.default_rng(1)) == pytest.approx(expected)
    assert permutation(differences[:1], np.random.default_rng(1)) is None


def test_p_values_of_equal_systems_are_uniform_though_questions_are_clustered() -> None:
    rng, design = np.random.default_rng(5), hypernyms(12, 40, (3, 6))
    p_terms, p_questions = [], []
    for _ in range(400):
        [a], [b] = draw(design, Effects("equal", seed_term=0.6, seeds=(0.0,)), rng, systems=2)
        p_terms.append(permutation(term_f1(a) - term_f1(b), rng))
        right = [(one.margins["none"] > 0) == one.answer for one in (a, b)]
        p_questions.append(mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())))
    assert kstest(p_terms, "uniform").pvalue > 0.05
    assert 0.03 < np.mean(np.array(p_terms) < 0.05) < 0.075
    assert np.mean(np.array(p_questions) < 0.05) > 0.1  # as its docstring says


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
