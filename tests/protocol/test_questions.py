"""Questions as text, and how wrong terms are chosen."""

import numpy as np

from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSampler, QuestionSet, render_question
from taxbench.specs.task import Questions
from taxbench.taxonomy.taxonomy import Taxonomy
from tests.protocol.test_protocol import TAXONOMY, dataset, task


def protocol(name: str, seed: int = 3, **fields: object) -> Protocol:
    spec = task(name)
    return Protocol(spec.model_copy(update={"questions": spec.questions.model_copy(update=fields)}), dataset(), seed)


def test_a_template_takes_article_term_and_plural() -> None:
    questions = Questions(template="{a_term}/{term}/{plural}")
    assert render_question(questions, "owl", {}) == "an owl/owl/owls"
    assert render_question(questions, "clothing", {"clothing": "a clothing"}) == "clothing/clothing/clothing"


def test_the_datasets_own_forms_are_used_only_where_the_task_asks_for_them() -> None:
    forms = {"furniture": "a furniture"}
    assert render_question(Questions(), "furniture", forms) == "Is there furniture in this image?"
    own = Questions(articles="dataset")
    assert render_question(own, "furniture", forms) == "Is there a furniture in this image?"
    assert render_question(own, "owl", forms) == "Is there an owl in this image?"


def test_uniform_negatives_reach_every_wrong_term_and_are_redrawn() -> None:
    one = protocol("seen_hypernym")
    epochs = [one.train_questions(epoch) for epoch in range(12)]
    assert (epochs[0].term != epochs[1].term).any()
    wrong: dict[str, set[str]] = {}
    for asked in epochs:
        for image, term in zip(asked.image[~asked.answer], asked.term[~asked.answer], strict=True):
            wrong.setdefault(TAXONOMY.leaves[one.leaf[image]], set()).add(one.vocabulary.terms[term])
    trained = {TAXONOMY.leaves[i] for i in one.trained}
    for leaf, terms in wrong.items():
        assert terms >= set(TAXONOMY.hypernyms) - set(TAXONOMY.hypernyms_of[leaf])
        assert len(terms & trained) > 0.9 * (len(trained) - 1)


def test_distinct_negatives_are_the_uniform_ones_but_none_twice_of_an_image() -> None:
    uniform, distinct = (protocol("seen_hypernym", negatives=kind) for kind in ("uniform", "distinct"))
    before, after = uniform.train_questions(0), distinct.train_questions(0)

    def repeated(asked: QuestionSet) -> np.ndarray:
        _, first = np.unique(np.stack([asked.image, asked.term]), axis=1, return_index=True)
        return np.setdiff1d(np.arange(len(asked)), first)

    again = repeated(before)
    assert len(again) and not len(repeated(after))
    np.testing.assert_array_equal(before.image, after.image)
    np.testing.assert_array_equal(before.answer, after.answer)
    np.testing.assert_array_equal(np.flatnonzero(before.term != after.term), again)  # nothing else moved


def test_distinct_negatives_are_alike_frequent_and_end_where_wrong_terms_do() -> None:
    true = np.array([[True, True, False, False, False, False]])
    sampler, images = QuestionSampler(true, ~true), np.arange(6000)
    asked = sampler.sample(images, np.zeros(6000, np.int64), 1, np.random.default_rng(0), distinct=True)
    pairs = asked.term[~asked.answer].reshape(-1, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all() and set(np.unique(pairs)) == {2, 3, 4, 5}
    counts = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)[1]
    assert len(counts) == 6 and abs(counts - 1000).max() < 120  # each two of four; 4 standard deviations
    few = sampler.sample(images[:9], np.zeros(9, np.int64), 3, np.random.default_rng(0), distinct=True)
    assert sorted(few.term[few.image == 4].tolist()) == [0, 1, 2, 3, 4, 5]  # of six drawn four are there


def test_sibling_negatives_share_a_hypernym_with_the_right_term() -> None:
    one = protocol("seen_hypernym", negatives="sibling")
    asked = one.train_questions(0)
    names = [one.vocabulary.terms[term] for term in asked.term]
    for image, name, answer in zip(asked.image, names, asked.answer, strict=True):
        leaf = TAXONOMY.leaves[one.leaf[image]]
        if not answer and name in TAXONOMY.leaves:
            assert set(TAXONOMY.hypernyms_of[name]) & set(TAXONOMY.hypernyms_of[leaf])
        elif not answer and "animal" in TAXONOMY.hypernyms_of[leaf]:
            assert name in ("bird", "fish")  # the other kind of animal, not tool and vehicle


def test_fixed_negatives_are_the_same_in_every_epoch_and_for_every_image_of_a_leaf() -> None:
    one = protocol("seen_hypernym", negatives="fixed")
    first, second = one.train_questions(0), one.train_questions(1)
    assert (first.term == second.term).all()
    wrong: dict[int, set[int]] = {}
    for image, term in zip(first.image[~first.answer], first.term[~first.answer], strict=True):
        wrong.setdefault(int(one.leaf[image]), set()).add(int(term))
    assert all(len(terms) <= 1 + len(TAXONOMY.hypernyms_of[TAXONOMY.leaves[leaf]]) for leaf, terms in wrong.items())
    assert (protocol("seen_hypernym", seed=4, negatives="fixed").train_questions(0).term != first.term).any()


def test_every_positive_brings_its_number_of_negatives() -> None:
    asked = protocol("unseen_hypernym", negatives="uniform", negatives_per_positive=3).test("unseen")
    assert asked.answer.mean() == 0.25


def test_leaves_that_share_a_name_are_asked_by_it_and_never_as_each_others_negative() -> None:
    words = dict(TAXONOMY.hypernyms_of) | {"baton1": ("tool",), "baton2": ("vehicle",)}
    toy = dataset(Taxonomy(words, names={"baton1": "baton", "baton2": "baton"}))
    one = Protocol(task("seen_hypernym"), toy, 3)
    assert one.vocabulary.terms.count("baton") == 1 and not {"baton1", "baton2"} & set(one.heldout)
    for epoch in range(8):
        asked = one.train_questions(epoch)
        shown = np.array(toy.taxonomy.leaves)[one.leaf[asked.image]]
        baton = np.array([one.vocabulary.terms[term] == "baton" for term in asked.term])
        for leaf in ("baton1", "baton2"):
            assert asked.answer[(shown == leaf) & baton].all() and ((shown == leaf) & baton).any()


def test_a_term_that_says_the_same_as_a_true_one_is_no_negative_unless_leaks_are_kept() -> None:
    words = dict(TAXONOMY.hypernyms_of) | {"bird": ("animal",), "fishes": ("animal",)}
    for leaks, may in (("drop", False), ("keep", True)):
        spec = task("seen_hypernym").model_copy(update={"leaks": leaks, "heldout_leaves": 0.0})
        one = Protocol(spec, dataset(Taxonomy(words)), 3)
        false_negative = False
        for epoch in range(10):
            asked = one.train_questions(epoch)
            for image, term in zip(asked.image[~asked.answer], asked.term[~asked.answer], strict=True):
                leaf, name = one.dataset.taxonomy.leaves[one.leaf[image]], one.vocabulary.terms[term]
                false_negative |= name in one.dataset.taxonomy.hypernyms_of[leaf] or name == leaf
                false_negative |= name == "fishes" and "fish" in one.dataset.taxonomy.hypernyms_of[leaf]
        assert false_negative == may


def test_a_pair_without_wrong_terms_asks_its_positive_alone() -> None:
    true = np.array([[True, False], [False, True]])
    sampler = QuestionSampler(true, np.array([[False, False], [True, False]]))
    asked = sampler.sample(np.array([5, 6]), np.array([0, 1]), 2, np.random.default_rng(0))
    assert asked.image.tolist() == [5, 6, 6, 6] and asked.answer.tolist() == [True, True, False, False]
    assert asked.term.tolist() == [0, 1, 0, 0]
