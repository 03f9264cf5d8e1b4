"""The protocol: what training sees, what it may not see, and that everything is a function of the seed."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord, assign_splits
from taxbench.protocol.counterfactual import Measure, Pairing
from taxbench.protocol.deprivation import choose_heldout
from taxbench.protocol.protocol import Protocol
from taxbench.specs.task import TaskSpec
from taxbench.tasks.registry import find_tasks
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError


def alike(taxonomy: Taxonomy) -> Measure:
    """Measure a re-pairing by how many leaves keep their hypernyms: stands for features where there are none."""

    def measure(pairing: Pairing) -> float:
        return float(np.mean([taxonomy.hypernyms_of[a] == taxonomy.hypernyms_of[b] for a, b in pairing.items()]))

    return measure


GROUPS = {"bird": 6, "fish": 5, "tool": 7, "vehicle": 4}
TAXONOMY = Taxonomy(
    {
        f"{name}{i}": ("animal", name) if name in ("bird", "fish") else (name,)
        for name, n in GROUPS.items()
        for i in range(n)
    }
)


def dataset(taxonomy: Taxonomy = TAXONOMY, per_leaf: int = 20) -> Dataset:
    images = [ImageRecord(f"{leaf}/{i:02d}", leaf, f"{leaf}{i}") for leaf in taxonomy.leaves for i in range(per_leaf)]
    return Dataset("toy", tuple(images), taxonomy, "none", lambda image: Image.new("RGB", (8, 8)))


TASKS = find_tasks().tasks


def task(name: str) -> TaskSpec:
    return TASKS[name]


@pytest.mark.parametrize("name", ["unseen_hypernym", "counterfactual_high", "counterfactual_low"])
def test_training_never_asks_a_hypernym_nor_a_heldout_leaf(name: str) -> None:
    protocol = Protocol(task(name), dataset(), seed=3)
    words = {protocol.vocabulary.terms[term] for epoch in range(3) for term in protocol.train_questions(epoch).term}
    assert words == set(TAXONOMY.leaves) - set(protocol.heldout)
    trained_images = protocol.train_questions(0).image
    assert not {protocol.dataset.taxonomy.leaves[i] for i in protocol.leaf[trained_images]} & set(protocol.heldout)


def test_test_pictures_that_training_has_seen_are_counted() -> None:
    whole = dataset()
    assert Protocol(task("unseen_hypernym"), whole, seed=3).evidence().seen_images == 0
    images = [replace(image, split="test" if image.id.endswith("5") else "train") for image in whole.images]
    bird, fish, tool = (
        next(i for i, image in enumerate(images) if image.id == f"{name}0/05") for name in ("bird", "fish", "tool")
    )
    images[bird] = replace(images[bird], digest=images[bird - 1].digest)  # of its own leaf
    images[fish] = replace(images[fish], digest=images[tool].digest)  # both are test pictures
    protocol = Protocol(task("seen_hypernym"), replace(whole, images=tuple(images)), seed=3)
    assert protocol.evidence().seen_images == ("bird0" not in protocol.heldout)


def test_a_leaf_without_a_training_picture_is_neither_trained_nor_asked_and_is_recorded() -> None:
    whole = dataset()
    lacking = ("bird0", "tool1")  # all their pictures are test pictures
    images = [replace(image, split="test" if image.leaf in lacking or image.id.endswith(("0", "1", "2")) else "train")
              for image in whole.images]  # fmt: skip
    protocol = Protocol(task("unseen_hypernym"), replace(whole, images=tuple(images)), seed=3)
    assert protocol.evidence().unpictured_leaves == protocol.leaves_without_images
    assert set(protocol.leaves_without_images) == set(lacking) - set(protocol.heldout)
    names = protocol.vocabulary.terms
    questions = (protocol.train_questions(0), protocol.test("leaf"), protocol.validation())
    assert not {names[term] for asked in questions for term in asked.term} & set(lacking)
    re_paired = Protocol(task("counterfactual_low"), protocol.dataset, seed=3)
    trained = {names[term] for term in re_paired.train_questions(0).term}
    assert len(re_paired.leaves_without_images) <= 2 and trained.isdisjoint(re_paired.leaves_without_images)


def test_what_cannot_be_asked_says_why() -> None:
    bare = Taxonomy({leaf: () for leaf in TAXONOMY.leaves})
    with pytest.raises(DataError, match="no hypernym"):
        Protocol(task("unseen_hypernym"), dataset(bare), seed=3).test("unseen")
    with pytest.raises(DataError, match=r"Of the 22 leaves of 'toy', \d are held out, 0 .* and \d+ have no training"):
        Protocol(task("unseen_hypernym"), dataset(per_leaf=1), seed=3).train_questions(0)
    trained = replace(dataset(), images=tuple(replace(image, split="train") for image in dataset().images))
    with pytest.raises(DataError, match=r"no image in the split 'test': .* need both"):
        Protocol(task("leaf"), trained, seed=3).test("leaf")


def test_of_a_name_that_leaves_share_terms_have_the_share_of_its_images() -> None:
    forms = {"bird0": "baton", "tool0": "baton"}
    taxonomy = Taxonomy(TAXONOMY.hypernyms_of, forms)
    protocol = Protocol(task("seen_hypernym").model_copy(update={"heldout_leaves": 0.0}), dataset(taxonomy), seed=3)
    shares, prior = protocol.name_shares()
    terms = list(protocol.vocabulary.terms)
    row = shares[terms.index("baton")]
    found = {terms[i]: float(row[i]) for i in np.flatnonzero(row)}
    assert found == {"animal": 0.5, "baton": 1, "bird": 0.5, "tool": 0.5}
    assert prior.sum() == pytest.approx(1) and prior[terms.index("baton")] == pytest.approx(2 / 22)
    asked = protocol.test("leaf")
    names = protocol.vocabulary.name_of[protocol.leaf[asked.image]]
    np.testing.assert_array_equal(shares[names, asked.term] > 0, asked.answer)


def test_seen_training_asks_hypernyms_too() -> None:
    protocol = Protocol(task("seen_hypernym"), dataset(), seed=3)
    asked = protocol.train_questions(0)
    assert {protocol.vocabulary.terms[term] for term in asked.term} >= set(TAXONOMY.hypernyms)
    assert protocol.evidence().removed_fraction == 0.0


# Removing 80 % of the toy's five hypernyms leaves one, and so no wrong one to ask.
FITTING = sorted(name for name, each in TASKS.items()  # the toy has no properties
                 if not (name.startswith("paper") or name.endswith("-0.8") or each.property_questions))  # fmt: skip


@pytest.mark.parametrize("name", FITTING)
def test_answers_are_true_balanced_and_about_the_right_images(name: str) -> None:
    protocol = Protocol(task(name), dataset(), 5, alike(TAXONOMY))
    sets = {"train": protocol.train_questions(1), "val": protocol.validation()}
    sets |= {split: protocol.test(split) for split in protocol.task.evaluate}
    splits = assign_splits(protocol.dataset, 5)
    for kind, asked in sets.items():
        whole = kind in ("val", "leaf", "heldout_leaf") or protocol.task.deprivation.kind in ("none", "full")
        assert asked.answer.mean() == 0.5 if whole else 0 < asked.answer.mean() < 1
        expected = kind if kind in ("train", "val") else "test"
        assert set(splits[asked.image]) == {expected}
        for image, term, answer in zip(asked.image, asked.term, asked.answer, strict=True):
            leaf = TAXONOMY.leaves[protocol.leaf[image]]
            truths = {leaf, *TAXONOMY.hypernyms_of[leaf]}
            assert (protocol.vocabulary.terms[term] in truths) == answer
            assert (leaf in protocol.heldout) == (kind == "heldout_leaf")


def test_a_leaf_that_is_itself_a_denied_hypernym_is_not_trained() -> None:
    words = dict(TAXONOMY.hypernyms_of) | {"bird": ("animal",)}
    protocol = Protocol(task("unseen_hypernym"), dataset(Taxonomy(words)), seed=1)
    assert protocol.dropped == ("bird",)
    texts = {protocol.questions[term] for term in protocol.train_questions(0).term}
    assert not texts & set(protocol.questions[protocol.vocabulary.n_names :])
    assert Protocol(task("seen_hypernym"), protocol.dataset, seed=1).dropped == ()


def test_heldout_leaves_follow_the_seed_and_leave_every_hypernym_a_trained_leaf() -> None:
    held = choose_heldout(TAXONOMY, 0.15, seed=1)
    assert len(held) == round(0.15 * len(TAXONOMY.leaves))
    assert held == choose_heldout(TAXONOMY, 0.15, seed=1) != choose_heldout(TAXONOMY, 0.15, seed=2)
    for leaves in TAXONOMY.leaves_of.values():
        assert set(leaves) - set(choose_heldout(TAXONOMY, 0.9, seed=1))


def test_what_to_do_where_no_leaf_can_be_held_out_can_be_done(tmp_path: Path) -> None:
    few = dataset(Taxonomy({"goose": ("bird",), "kart": ("vehicle",), "train": ("vehicle",)}))
    with pytest.raises(DataError, match=r"'heldout_leaf'.* says heldout_leaves: 0 and evaluates no heldout_leaf\."):
        Protocol(task("unseen_hypernym"), few, 1).test("heldout_leaf")
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: unseen_hypernym\nheldout_leaves: 0\nevaluate: [leaf, unseen]\n")
    mine = Protocol(find_tasks([tmp_path]).tasks["mine"], few, 1)
    assert all(len(mine.test(split)) for split in ("leaf", "unseen"))


def test_the_same_share_of_small_and_large_groups_is_held_out() -> None:
    groups = {**{f"odd{i}": 1 for i in range(120)}, **{f"few{i}": 4 for i in range(30)}, "many": 120}
    taxonomy = Taxonomy({f"{name}_{i}": (name, "thing") for name, n in groups.items() for i in range(n)})
    both = Taxonomy({leaf: above[1:] if above[0].startswith("odd") else above
                     for leaf, above in taxonomy.hypernyms_of.items()})  # fmt: skip
    held = [leaf for seed in range(20) for leaf in choose_heldout(both, 0.15, seed)]
    assert len(held) == 20 * round(0.15 * 360)
    for kind in ("odd", "few", "many"):
        assert 0.12 < sum(leaf.startswith(kind) for leaf in held) / 20 / 120 < 0.18


def test_leaves_that_could_not_be_asked_are_not_held_out() -> None:
    words = {**TAXONOMY.hypernyms_of, "bird": ("animal",), **{f"bare{i}": () for i in range(20)}}
    held = choose_heldout(Taxonomy(words), 0.4, 1, pictured=set(words) - {"fish1"})
    assert held and not [leaf for leaf in held if leaf.startswith("bare") or leaf in ("bird", "fish1")]


@pytest.mark.parametrize("seed", range(6))
def test_training_never_teaches_that_a_hypernym_is_never_true(seed: int) -> None:
    protocol = Protocol(task("deprivation_random-0.9"), dataset(per_leaf=4), seed)
    asked = protocol.train_questions(0)
    asked = asked.where(protocol.vocabulary.is_hypernym(asked.term))
    assert set(asked.term) == set(asked.term[asked.answer])
    named = {protocol.vocabulary.terms[term] for term in asked.term[asked.answer]}
    assert set(protocol.denied) == set(TAXONOMY.hypernyms) - named


def test_questions_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from tests.protocol.test_protocol import *; import hashlib;"
        "p = Protocol(task('counterfactual_high'), dataset(), 42); q = [p.train_questions(2), p.test('unseen')];"
        "print(hashlib.sha256(b''.join(c.image.tobytes() + c.term.tobytes() for c in q)).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1]


def test_another_seed_changes_the_questions() -> None:
    protocol = Protocol(task("unseen_hypernym"), dataset(), 1)
    mine, other = (Protocol(protocol.task, protocol.dataset, seed).test("unseen").term for seed in (1, 2))
    assert len(mine) != len(other) or (mine != other).any()
    assert (replace(protocol, seed=1).test("unseen").term == protocol.test("unseen").term).all()


@pytest.mark.parametrize(("negatives", "digest"), [("uniform", "550f31f3e5d36b38"), ("distinct", "495168c1c1617ec0")])
def test_the_questions_of_a_seed_are_these_on_every_machine(negatives: str, digest: str) -> None:
    spec = task("counterfactual_high")
    questions = spec.questions.model_copy(update={"negatives": negatives})
    protocol = Protocol(spec.model_copy(update={"questions": questions}), dataset(), 42)
    sets = [protocol.train_questions(2), protocol.validation(), *map(protocol.test, protocol.task.evaluate)]
    columns = [column.astype("<i8").tobytes() for asked in sets for column in (asked.image, asked.term)]
    # Changes only when questions are drawn differently; the tasks' versions must then be raised.
    assert hashlib.sha256(b"".join(columns)).hexdigest()[:16] == digest
