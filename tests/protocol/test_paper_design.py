"""The published design on the real concept list: THINGS as it is downloaded, with tiny pictures in place of photos."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from taxbench.datasets.dataset import Dataset, assign_splits, load_dataset
from taxbench.protocol.protocol import Protocol
from taxbench.specs.task import TaskSpec
from taxbench.tasks.registry import find_tasks
from tests.datasets.things_tree import make_things

TEN = {"bird", "candy", "container", "dessert", "drink", "fruit", "plant", "tool", "toy", "vegetable"}
SEEDS = (42, 218, 7)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_things(tmp_path_factory.mktemp("things"), lambda concept: 12 + len(concept) % 6)
    return load_dataset(f"things:{root}")


@pytest.fixture(scope="module")
def tasks() -> dict[str, TaskSpec]:
    return find_tasks().tasks


def test_every_leaf_is_split_70_5_25(things: Dataset) -> None:
    counts: dict[str, Counter[str]] = {leaf: Counter() for leaf in things.taxonomy.leaves}
    for image, split in zip(things.images, assign_splits(things, 42), strict=True):
        counts[image.leaf][str(split)] += 1
    for count in counts.values():
        n = count.total()
        assert count["test"] == math.ceil(n / 4) and count["val"] == round(n / 20) and count["train"] > 0.6 * n


def test_the_published_tasks_ask_what_was_published(things: Dataset, tasks: dict[str, TaskSpec]) -> None:
    one = Protocol(tasks["paper_full"], things, 42)
    train = one.train_questions(0)
    splits = assign_splits(things, 42)
    assert len(train) == 2 * (splits == "train").sum() and train.answer.mean() == 0.5
    assert set(np.bincount(train.image[train.answer])) == {0, 1}  # one positive an image
    assert not one.vocabulary.is_hypernym(train.term).any()
    unseen = one.test("unseen")
    expected = sum(len(things.taxonomy.hypernyms_of[image.leaf])
                   for image, split in zip(things.images, splits, strict=True) if split == "test")  # fmt: skip
    assert unseen.answer.sum() == expected == (~unseen.answer).sum()  # one negative for every positive
    assert len(one.test("leaf")) == 2 * (splits == "test").sum()
    assert one.evidence().removed_fraction == 1.0 and one.heldout == ()


def test_the_published_strings_are_asked_word_for_word(things: Dataset, tasks: dict[str, TaskSpec]) -> None:
    asked = set(Protocol(tasks["paper_full"], things, 42).questions)
    ours = set(Protocol(tasks["unseen_hypernym"], things, 42).questions)
    assert len(asked) == 1216 + 53 - len(TEN)
    assert {"Is there a furniture in this image?", "Is there an outerwear in this image?"} <= asked - ours
    assert {"Is there furniture in this image?", "Is there outerwear in this image?"} <= ours - asked
    assert "Is there an aardvark in this image?" in asked


def test_leaves_that_are_hypernyms_are_kept_and_reported_as_published_or_dropped(
    things: Dataset, tasks: dict[str, TaskSpec]
) -> None:
    published = Protocol(tasks["paper_full"], things, 42)
    assert {leak.leaf for leak in published.leaks if leak.kind == "exact"} == TEN
    assert published.evidence().dropped_leaves == ()
    ours = Protocol(tasks["unseen_hypernym"].model_copy(update={"heldout_leaves": 0.0}), things, 42)
    assert set(ours.evidence().dropped_leaves) >= TEN
    assert {str(leak) for leak in ours.leaks if leak.kind != "exact"} == {
        "jewelry (lemma of piece of jewelry)",
        "arm (synonym of weapon)",
    }
    texts = {ours.questions[term] for term in ours.train_questions(0).term}
    assert not texts & {ours.questions[term] for term in ours.test("unseen").term}


def test_random_deprivation_by_concept_removes_more_than_it_says_and_by_pair_what_it_says(
    things: Dataset, tasks: dict[str, TaskSpec]
) -> None:
    published = {0.1: 0.175, 0.3: 0.482, 0.5: 0.700, 0.7: 0.854, 0.9: 0.959}
    for nominal, effective in published.items():
        for name, wanted in ((f"paper_random-{nominal:g}", effective), (f"deprivation_random-{nominal:g}", nominal)):
            found = [Protocol(tasks[name], things, seed).evidence().removed_fraction for seed in SEEDS]
            assert np.mean([value or 0.0 for value in found]) == pytest.approx(wanted, abs=0.015), name


def test_the_published_systematic_split_mixes_removed_and_kept_hypernyms_and_ours_does_not(
    things: Dataset, tasks: dict[str, TaskSpec]
) -> None:
    for n, share in ((10, 0.2), (40, 0.8)):
        for name, mixed in ((f"paper_systematic-{n}", True), (f"deprivation_systematic_keep-{share:g}", False)):
            one = Protocol(tasks[name], things, 42)
            removed = set(one.evidence().removed_hypernyms)
            assert removed and len(removed) >= (n if mixed else round(share * 53))
            asked = {one.vocabulary.terms[term] for term in one.test("unseen").term}
            assert removed <= asked and (asked > removed) == mixed


@pytest.mark.parametrize("name", ["paper_full_within", "paper_full_across"])
def test_published_re_pairings_are_one_to_one_without_fixed_points(
    name: str, things: Dataset, tasks: dict[str, TaskSpec]
) -> None:
    one = Protocol(tasks[name], things, 42)
    pairing, hypernyms_of = one.pairing, things.taxonomy.hypernyms_of
    assert sorted(pairing.values()) == sorted(pairing) and one.evidence().fixed_points == ()
    kept = np.mean([bool(set(hypernyms_of[a]) & set(hypernyms_of[b])) for a, b in pairing.items()])
    assert kept == 1.0 if name.endswith("within") else kept < 0.2


def test_questions_do_not_depend_on_directory_order(tmp_path: Path, tasks: dict[str, TaskSpec]) -> None:
    first, second = make_things(tmp_path / "a", lambda concept: 4), tmp_path / "b"
    for path in sorted(first.rglob("*.bmp"), reverse=True):  # the same files, written in the opposite order
        copy = second / path.relative_to(first)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())

    def digest(root: Path) -> bytes:
        one = Protocol(tasks["deprivation_random-0.5"], load_dataset(f"things:{root}"), 42)
        sets = [one.train_questions(3), one.test("unseen"), one.test("heldout_leaf")]
        return b"".join(part.image.tobytes() + part.term.tobytes() + part.answer.tobytes() for part in sets)

    assert digest(first) == digest(second)
