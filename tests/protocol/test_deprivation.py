"""Deprivation: what training may ask, what the test calls unseen, and the published shares."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.protocol.deprivation import apply_deprivation, true_pairs
from taxbench.protocol.protocol import Protocol
from taxbench.specs.task import Deprivation, RandomDeprivation, SystematicDeprivation, TaskSpec
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError
from tests.protocol.test_counterfactual import taxonomies
from tests.protocol.test_protocol import TAXONOMY, dataset, task

TRUE = true_pairs(TAXONOMY)


def random(fraction: float, unit: str = "pair") -> RandomDeprivation:
    return RandomDeprivation.model_validate({"kind": "random", "fraction": fraction, "unit": unit})


def systematic(**fields: object) -> SystematicDeprivation:
    return SystematicDeprivation.model_validate({"kind": "systematic", **fields})


def with_deprivation(deprivation: Deprivation, **fields: object) -> TaskSpec:
    evaluate = ("leaf", "seen", "unseen")
    return task("unseen_hypernym").model_copy(update={"deprivation": deprivation, "evaluate": evaluate, **fields})


def pairs(protocol: Protocol, asked: object) -> set[tuple[int, int, bool]]:
    leaf = protocol.leaf[asked.image]  # type: ignore[attr-defined]
    hypernym = asked.term - protocol.vocabulary.n_names  # type: ignore[attr-defined]
    return {(a, b, bool(c)) for a, b, c in zip(leaf, hypernym, asked.answer, strict=True) if b >= 0}  # type: ignore[attr-defined]


DEPRIVATIONS: list[Deprivation] = [
    random(0.3),
    random(0.7),
    random(0.4, "concept"),
    systematic(n=2),
    systematic(categories=["bird", "tool"]),
    systematic(n=2, unit="concept", negatives="keep"),
    systematic(n=2, negatives="keep"),
]


@pytest.mark.parametrize("deprivation", DEPRIVATIONS, ids=lambda each: str(each.model_dump(exclude_none=True)))
def test_no_pair_of_the_unseen_split_is_asked_in_training(deprivation: Deprivation) -> None:
    protocol = Protocol(with_deprivation(deprivation), dataset(), 4)
    taught = set().union(*(pairs(protocol, protocol.train_questions(epoch)) for epoch in range(6)))
    unseen, seen = pairs(protocol, protocol.test("unseen")), pairs(protocol, protocol.test("seen"))
    if (
        deprivation.kind == "systematic" and deprivation.negatives == "keep" and deprivation.unit == "pair"
    ):  # the removed hypernyms were asked, where they are wrong
        assert {pair for pair in taught & unseen} and not any(answer for *_, answer in taught & unseen)
        taught = {pair for pair in taught if pair[2]}
    assert not taught & unseen
    assert not unseen & seen
    assert {answer for *_, answer in unseen} == {True, False} == {answer for *_, answer in seen}


def test_tasks_that_differ_in_the_evidence_ask_the_same_test_questions() -> None:
    def rows(deprivation: Deprivation, splits: tuple[str, ...]) -> set[tuple[int, int]]:
        protocol = Protocol(with_deprivation(deprivation), dataset(), 4)
        found = [protocol.test(split) for split in splits]  # type: ignore[arg-type]
        return {pair for each in found for pair in zip(each.image.tolist(), each.term.tolist(), strict=True)}

    full = {*rows(task("unseen_hypernym").deprivation, ("unseen",))}
    for deprivation in (random(0.3), systematic(n=2), random(0.5, "concept")):
        assert rows(deprivation, ("seen", "unseen")) == full


def test_a_removed_hypernym_is_all_that_the_unseen_split_asks() -> None:
    protocol = Protocol(with_deprivation(systematic(categories=["bird", "tool"])), dataset(), 4)
    words = {protocol.vocabulary.terms[term] for term in protocol.test("unseen").term}
    assert words == {"bird", "tool"} == set(protocol.evidence().removed_hypernyms)
    taught = {protocol.vocabulary.terms[term] for term in protocol.train_questions(0).term}
    assert not taught & words
    keep = Protocol(with_deprivation(systematic(categories=["bird", "tool"], negatives="keep")), dataset(), 4)
    asked = keep.train_questions(0)
    about = np.array([keep.vocabulary.terms[term] in words for term in asked.term])
    assert about.any() and not asked.answer[about].any()


@given(st.floats(0.15, 0.85), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_random_pairs_remove_the_share_they_say(fraction: float, seed: int) -> None:
    big = Taxonomy({f"l{i:03d}": tuple(sorted({f"h{i % 7}", f"g{i % 3}"})) for i in range(210)})
    allowed, true = apply_deprivation(big, random(fraction), seed), true_pairs(big)
    assert abs((allowed.unseen & true).sum() / true.sum() - fraction) < 11 / true.sum() + 1e-9
    wrong = ~true
    assert abs((allowed.unseen & wrong).sum() / wrong.sum() - fraction) < 0.08
    assert ((allowed.asked & wrong).any(1)).all() and ((allowed.unseen & wrong).any(1)).all()


@given(taxonomies.filter(lambda taxonomy: len(taxonomy.hypernyms) > 1), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_a_stronger_level_denies_what_a_weaker_one_does(taxonomy: Taxonomy, seed: int) -> None:
    ladders: list[list[Deprivation]] = [
        [random(0.2), random(0.5), random(0.9)],
        [random(0.2, "concept"), random(0.5, "concept"), random(0.9, "concept")],
        [systematic(n=n) for n in range(1, len(taxonomy.hypernyms))],
    ]
    for ladder in ladders:
        tables = [apply_deprivation(taxonomy, step, seed).unseen for step in ladder]
        assert all((weaker <= stronger).all() for weaker, stronger in pairwise(tables))


def test_concepts_lose_all_their_hypernyms_and_pairs_do_not() -> None:
    rows = apply_deprivation(TAXONOMY, random(0.4, "concept"), 1).unseen
    assert (rows.all(1) | ~rows.any(1)).all() and 0 < rows.all(1).mean() < 1
    cells = apply_deprivation(TAXONOMY, random(0.4), 1).unseen & TRUE
    two = TRUE.sum(1) == 2
    assert (cells[two].sum(1) == 1).any()


def test_the_share_removed_is_recorded_as_it_is() -> None:
    found = Protocol(with_deprivation(random(0.3), heldout_leaves=0.0), dataset(), 4).evidence()
    assert found.removed_fraction is not None and abs(found.removed_fraction - 0.3) < 0.12
    assert Protocol(task("unseen_hypernym"), dataset(), 4).evidence().removed_fraction == 1.0
    assert Protocol(task("seen_hypernym"), dataset(), 4).evidence().removed_fraction == 0.0
    flat = Taxonomy({name: () for name in "abcd"})
    lonely = Protocol(task("seen_hypernym").model_copy(update={"heldout_leaves": 0.0}), dataset(flat), 4)
    assert lonely.evidence().removed_fraction is None


def test_a_share_of_categories_fits_every_dataset_and_a_number_may_not() -> None:
    removed = [Protocol(with_deprivation(systematic(n=n)), dataset(), 1).evidence().removed_hypernyms
               for n in (0.01, 0.4, 0.99)]  # fmt: skip
    assert list(map(len, removed)) == [1, 2, 4]
    with pytest.raises(DataError, match=r"removes 5 hypernyms of the dataset's 5.*n: 0\.2"):
        apply_deprivation(TAXONOMY, systematic(n=5), 1)
    with pytest.raises(DataError, match="Did you mean 'bird'"):
        apply_deprivation(TAXONOMY, systematic(categories=["brid"]), 1)
