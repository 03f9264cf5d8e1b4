"""Questions about properties: answers, cuts, reversed wordings, the guard over names, and the training left alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from taxbench.datasets.dataset import Dataset, ImageRecord, load_dataset
from taxbench.protocol.image_pairs import ids_in, shown_as
from taxbench.protocol.property_questions import asked_property
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.task_checks import check_tasks
from taxbench.specs.property_asked import PropertyQuestions
from taxbench.specs.run import DatasetId
from taxbench.tasks.registry import find_tasks
from taxbench.taxonomy.properties import PropertyColumn, PropertyTable
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError

TASKS = find_tasks().tasks
POCKET = load_dataset("pocket")
LENGTHS = {"ant": 1, "bee": 2, "cat": 60, "cow": 200, "elk": 240, "bighorn": 150, "goldfish": 12}
COLOURS = {"ant": {"black"}, "bee": {"black", "gold"}, "cow": {"brown"}, "goldfish": {"gold"}, "elk": {"brown"}}


def toy() -> Dataset:
    taxonomy = Taxonomy({leaf: ("animal", "beast" if size > 50 else "bug") for leaf, size in LENGTHS.items()})
    images = tuple(ImageRecord(f"{leaf}/{i}", leaf, f"{leaf}{i}") for leaf in taxonomy.leaves for i in range(8))
    columns = {
        "length_cm": PropertyColumn("numbers", {leaf: float(size) for leaf, size in LENGTHS.items()}),
        "big": PropertyColumn("yes or no", {leaf: size > 50 for leaf, size in LENGTHS.items() if leaf != "cat"}),
        "colour": PropertyColumn("words", {leaf: frozenset(some) for leaf, some in COLOURS.items()}),
    }
    read = Image.new("RGB", (8, 8)).copy
    return Dataset("toy", images, taxonomy, "none", lambda image: read(), properties=PropertyTable(columns))


def asks(column: str, word: str, **more: Any) -> PropertyQuestions:
    told = {"wordings": (f"Is it {word}?", f"Yes, {word}?"), "reversed": (f"Is it not {word}?", f"Without {word}?")}
    return PropertyQuestions(column=column, **{**told, **more})


def truth_of(asked: Any, place: int = 0) -> dict[str, int]:
    leaves = toy().taxonomy.leaves
    return {leaf: int(each) for leaf, each in zip(leaves, asked.truth[:, place], strict=True) if each >= 0}


def test_numbers_are_cut_into_thirds_and_the_middle_is_not_asked() -> None:
    asked = asked_property(asks("length_cm", "tall"), toy())
    assert truth_of(asked) == {"ant": 0, "bee": 0, "goldfish": 0, "bighorn": 1, "cow": 1, "elk": 1}
    assert asked.questions == ("Is it tall?", "Yes, tall?", "Is it not tall?", "Without tall?")


def test_a_reference_is_compared_with_and_what_is_as_long_is_not_asked() -> None:
    told = {"wordings": ("Longer than {a_reference}?",), "reversed": ("Is the {reference} longer?",)}
    asked = asked_property(PropertyQuestions(column="length_cm", references={"owl": 50, "pea": 1.5}, **told), toy())
    assert asked.questions == ("Longer than an owl?", "Is the owl longer?", "Longer than a pea?", "Is the pea longer?")
    assert truth_of(asked) == {"ant": 0, "bee": 0, "goldfish": 0, "bighorn": 1, "cow": 1, "elk": 1}  # not the cat of 60
    with pytest.raises(DataError, match=r"'Longer than a pea\?' is true of every leaf of 'toy' that can be asked"):
        asked_property(PropertyQuestions(column="length_cm", references={"pea": 0.1}, **told), toy())


def test_unknown_is_never_asked_and_reversed_wordings_have_the_other_answer() -> None:
    dataset = toy()
    asked = asked_property(asks("big", "strong"), dataset)
    images = np.arange(len(dataset.images))
    leaf = np.repeat(np.arange(len(dataset.taxonomy.leaves)), 8)
    questions = asked.ask(images, leaf, 100, np.random.default_rng(0))
    assert "cat" not in {dataset.images[i].leaf for i in questions.image}
    assert len(questions) == 6 * 8 * 4 and set(questions.term) == {100, 101, 102, 103}
    for image, term, answer in zip(questions.image, questions.term, questions.answer, strict=True):
        big = LENGTHS[dataset.images[image].leaf] > 50
        assert answer == (big if term < 102 else not big)
        assert asked.answers[leaf[image], term - 100] == answer


def test_leaves_whose_name_says_a_word_of_the_question_are_not_asked_it() -> None:
    assert asked_property(asks("big", "big"), toy()).unasked == ("bighorn",)
    assert "bighorn" not in truth_of(asked_property(asks("big", "big"), toy()))
    wording = {"wordings": ("Is it {value}?",), "reversed": ("Is it not {value}?",)}
    asked = asked_property(PropertyQuestions(column="colour", values=("black", "gold"), **wording), toy())
    assert asked.unasked == ("goldfish",)
    assert truth_of(asked, 0)["goldfish"] == 0 and "goldfish" not in truth_of(asked, 1)


def test_of_words_an_image_is_asked_the_true_ones_and_as_many_others() -> None:
    wording = {"wordings": ("Is it {value}?",), "reversed": ("Is it not {value}?",)}
    asked = asked_property(PropertyQuestions(column="colour", values=("black", "gold", "brown"), **wording), toy())
    bee, cat = (toy().taxonomy.leaves.index(leaf) for leaf in ("bee", "cat"))
    questions = asked.ask(np.array([7, 9]), np.array([bee, cat]), 0, np.random.default_rng(0))
    assert set(questions.image) == {7}  # colours of cats are unknown
    assert sorted(zip(questions.term.tolist(), questions.answer.tolist(), strict=True)) == [
        (0, True), (1, False), (2, True), (3, False), (4, False), (5, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (asks("colours", "x"), "no column 'colours'. Did you mean 'colour'? Columns: length_cm, big, colour."),
        (asks("colour", "x"), "The task asks for numbers or yes or no, but the column 'colour' of 'toy' holds words."),
        (asks("big", "x", references={"cat": 1.0}, wordings=("{reference}?",), reversed=("no {reference}?",)),
         "asks for numbers, but the column 'big'"),
        (asks("colour", "x", values=("blak",), wordings=("{value}?",), reversed=("no {value}?",)),
         "The column 'colour' has no 'blak'. Did you mean 'black'? It has black, brown, gold."),
    ],
)  # fmt: skip
def test_what_a_dataset_cannot_be_asked_is_said_in_a_sentence(spec: PropertyQuestions, said: str) -> None:
    with pytest.raises(DataError) as caught:
        asked_property(spec, toy())
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"reversed": ("a?",)}, "expected as many reversed wordings as others, found 1 and 2"),
        ({"reversed": ("Is it x?", "b?")}, "a wording is listed twice"),
        ({"values": ("red",)}, "'Is it x?': expected {value} in it"),
        ({"references": {"cat": 1.0}}, "expected {a_reference} or {reference} in it"),
        ({"wordings": ("a {value}?", "b?")}, "'a {value}?': expected nothing in braces"),
        ({"wordings": ("a {?", "b?")}, "is no wording"),
        ({"references": {"cat": 0.0}}, "greater than 0"),
    ],
)
def test_wordings_that_do_not_fit_are_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        asks("big", "x", **more)
    assert said in str(caught.value)


def test_checking_a_task_says_what_the_dataset_lacks_at_its_place_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nversion: 1\nsummary: x\nextends: property_alive\nproperty_questions:\n  column: alife\n"
    )
    (file,) = (each for each in find_tasks([tmp_path]).all_files if each.path == tmp_path / "mine.yaml")
    (finding,) = check_tasks([file], POCKET, 0)
    assert (finding.line, finding.level) == (6, "error") and "Did you mean 'alive'?" in finding.message
    (finding,) = check_tasks([file], replace(POCKET, properties=PropertyTable()), 0)
    assert finding.level == "warning" and "Tables come by --properties FILE.tsv" in finding.message


def test_training_is_that_of_unseen_hypernym_whatever_property_is_asked() -> None:
    usual = Protocol(TASKS["unseen_hypernym"], POCKET, 42)
    for name in ("property_alive", "property_colour", "compare_word_size"):
        protocol = Protocol(TASKS[name], POCKET, 42)
        assert protocol.taught == usual.taught == usual.questions
        assert protocol.questions[: len(usual.questions)] == usual.questions
        for mine, theirs in (
            (protocol.train_questions(1), usual.train_questions(1)), (protocol.validation(), usual.validation()),
        ):  # fmt: skip
            for column in ("image", "term", "answer"):
                assert np.array_equal(getattr(mine, column), getattr(theirs, column))
        assert protocol.test("unseen").term.min() >= protocol.vocabulary.n_taught


def test_after_a_re_pairing_answers_are_those_of_the_name() -> None:
    protocol = Protocol(TASKS["property_size_within"], POCKET, 7)
    asked, length = protocol.test("unseen"), POCKET.properties.columns["length_cm"].values
    low, high = np.quantile(list(length.values()), [1 / 3, 2 / 3])  # type: ignore[arg-type]
    assert protocol.asked_property is not None
    for image, term, answer in zip(asked.image, asked.term, asked.answer, strict=True):
        picture = POCKET.images[image].leaf
        name = protocol.pairing[picture]
        assert name != picture and set(POCKET.taxonomy.hypernyms_of[name]) & set(POCKET.taxonomy.hypernyms_of[picture])
        size: float = length[name]  # type: ignore[assignment]
        assert size <= low or size >= high
        place = term - protocol.vocabulary.n_taught
        assert answer == ((size >= high) ^ bool(protocol.asked_property.reversed[place]))


def test_a_column_belongs_to_the_identity_of_what_asks_it_and_the_scope_to_none() -> None:
    digest = asked_property(asks("big", "x"), toy()).digest
    changed = toy()
    columns = {**changed.properties.columns, "big": PropertyColumn("yes or no", {"ant": True, "elk": False})}
    other = replace(changed, properties=PropertyTable(columns))
    assert asked_property(asks("big", "x"), other).digest != digest
    assert changed.fingerprint == other.fingerprint
    mine = DatasetId(name="toy", fingerprint="ab")
    assert "properties" not in mine.identity_fields() and mine.model_copy(update={"properties": digest}) != mine
    task = TASKS["property_alive"]
    assert task.world_scope and task.model_copy(update={"world_scope": None}).digest == task.digest


def test_two_images_are_asked_both_ways_round_and_never_those_that_are_too_alike() -> None:
    told = {"wordings": ("Is the first larger?",), "reversed": ("Is the first smaller?",)}
    dataset = toy()
    asked = asked_property(PropertyQuestions(column="length_cm", images=3, partners=2, **told), dataset)
    n, images = len(dataset.images), np.arange(len(dataset.images))
    leaf = np.repeat(np.arange(len(dataset.taxonomy.leaves)), 8)
    questions = asked.ask_pairs(images, leaf, 50, n, np.random.default_rng(0))
    first, second = questions.image % n, questions.image // n - 1
    size = np.array([LENGTHS[image.leaf] for image in dataset.images])
    assert (np.abs(np.log(size[first] / size[second])) >= np.log(1.25)).all()
    assert np.array_equal(questions.answer, (size[first] > size[second]) ^ (questions.term == 51))
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    assert pairs == {(b, a) for a, b in pairs} and len(questions) == 2 * len(pairs)
    assert {int(i) % 8 for i in first} == {0, 1, 2}  # the first three of each leaf
    partners = [len({b for a, b in pairs if a == i}) for i in sorted(set(first.tolist()))]
    assert min(partners) >= 2
    ids = ["a", "b & b", "c"]
    assert shown_as(ids, 1) == "b & b" and shown_as(ids, 2 + 3 * (0 + 1)) == "c & a"
    assert ids_in("b & b", ids) == ("b & b",) and ids_in("c & b & b", ids) == ("c", "b & b")
    assert ids_in("b & b & b & b", ids) == ("b & b", "b & b") and ids_in("elsewhere & a", ids) == ("elsewhere & a",)


def test_pairs_are_of_trained_leaves_or_of_held_out_ones_and_training_shows_one_image_at_a_time() -> None:
    protocol, n = Protocol(TASKS["compare_pair_size"], POCKET, 42), len(POCKET.images)
    held = {POCKET.taxonomy.leaves.index(leaf) for leaf in protocol.heldout}
    for split, there in (("unseen", False), ("heldout_leaf", True)):
        asked = protocol.test(split)  # type: ignore[arg-type]
        for image in (asked.image % n, asked.image // n - 1):
            assert {(int(leaf) in held) for leaf in protocol.leaf[image]} == {there}
        assert abs(asked.answer.mean() - 0.5) < 1e-9  # both orders of all
    assert protocol.train_questions(0).image.max() < n


def test_some_images_of_a_leaf_are_the_first_ones_asked_alone() -> None:
    task = TASKS["property_size"]
    assert task.property_questions is not None
    asks_few, asks_all = task.property_questions, task.property_questions.model_copy(update={"images": None})
    few = Protocol(task, POCKET, 42).test("unseen")
    every = Protocol(task.model_copy(update={"property_questions": asks_all}), POCKET, 42).test("unseen")
    assert len(few) * 4 == len(every) and set(few.image) < set(every.image)
    assert asks_few.identity_fields().keys() - asks_all.identity_fields().keys() == {"images"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"a": 0.0, "b": 3.0}, "expected numbers above zero"), ({"a": 1.0, "b": 1.1}, "some of them 1.25 times others")],
)
def test_a_column_that_cannot_be_compared_is_refused(columns: dict[str, float], said: str) -> None:
    leaves = {"a": "ant", "b": "cow"}
    table = PropertyTable({"x": PropertyColumn("numbers", {leaves[key]: value for key, value in columns.items()})})
    with pytest.raises(DataError, match=said):
        asked_property(asks("x", "x", partners=1), replace(toy(), properties=table))


def test_what_is_told_of_one_image_is_no_control_of_two() -> None:
    task = TASKS["compare_pair_size"]
    with pytest.raises(ValidationError, match="name_probe is told of one image, and two are asked"):
        type(task).model_validate(task.model_dump() | {"controls": ["chance", "name_probe"]})
    with pytest.raises(ValidationError, match="leave values and references out"):
        asks("x", "x", partners=1, references={"cat": 1.0}, wordings=("{reference}?",), reversed=("no {reference}?",))


def test_heads_are_taught_which_image_is_the_first_by_wrong_names_that_are_the_seconds() -> None:
    taught, single, n = (
        Protocol(TASKS["compare_pair_size_taught"], POCKET, 42),
        TASKS["compare_pair_size"],
        len(POCKET.images),
    )
    for asked, images in (
        (taught.train_questions(1), taught.images("train")), (taught.validation(), taught.images("val"))
    ):  # fmt: skip
        first, second = asked.image % n, asked.image // n - 1
        called, beside = (taught.vocabulary.name_of[taught.leaf[i]] for i in (first, second))
        assert set(first) | set(second) <= set(images) and (called != beside).all()
        assert np.array_equal(asked.term == called, asked.answer)
        share = (asked.term == beside)[~asked.answer].mean()
        assert 0.45 < share < 0.56 and len(set(zip(first, second, strict=True))) == len(set(first))
    assert taught.taught[0] == "Is there an airplane in the first image?"
    plain = Protocol(single, POCKET, 42)
    assert np.array_equal(taught.test("unseen").image, plain.test("unseen").image)
    assert taught.task.digest != single.digest and "second_image" not in single.questions.identity_fields()
