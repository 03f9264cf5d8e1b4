"""Tasks in other languages: what is asked and trained, what drops out, and what stays as in English."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxbench.cli.main import call
from taxbench.datasets.dataset import Dataset, load_dataset
from taxbench.protocol.left_out import left_out, unlabelled_terms
from taxbench.protocol.protocol import Protocol
from taxbench.specs.language_pair import LanguagePair
from taxbench.specs.run import TRAINING_FIELDS
from taxbench.specs.spec import identity_of
from taxbench.specs.task import TaskSpec
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import DataError, TaskError
from tests.tasks.reading import write_german

PLAIN = find_tasks().tasks["unseen_hypernym"]


@pytest.fixture(scope="module")
def pocket() -> Dataset:
    return load_dataset("pocket")


def protocol(dataset: Dataset, test: str, train: str = "en", task: TaskSpec = PLAIN) -> Protocol:
    return Protocol(task.in_languages(LanguagePair(train=train, test=test)), dataset, 42)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("code", "question", "answers"),
    [
        ("de", "Ist auf diesem Bild ein Vogel zu sehen?", (("Ja",), ("Nein",))),
        ("fr", "Y a-t-il un oiseau sur cette image ?", (("Oui",), ("Non",))),
        ("es", "¿Hay un pájaro en esta imagen?", (("Sí",), ("No",))),
        ("zh", "这张图片里有鸟吗？", (("有", "是"), ("没有", "不是"))),
    ],
)
def test_the_test_asks_in_its_language_and_training_in_english(
    pocket: Dataset, code: str, question: str, answers: Any
) -> None:
    asked = protocol(pocket, code)
    bird = asked.vocabulary.terms.index("bird")
    assert (asked.questions[bird], asked.asked_texts.answers) == (question, answers)
    assert asked.taught[bird] == "Is there a bird in this image?"
    assert asked.taught_texts.answers == (("Yes",), ("No",))


def test_all_four_cells_ask_and_teach_as_they_say(pocket: Dataset) -> None:
    for train, test in (("en", "de"), ("de", "en"), ("de", "de"), ("en", "en")):
        found = protocol(pocket, test, train)
        crow = found.vocabulary.terms.index("owl")
        for text, code in ((found.taught[crow], train), (found.questions[crow], test)):
            assert ("Eule" in text) == (code == "de")


def test_the_same_questions_are_asked_of_the_same_images_in_every_language(pocket: Dataset) -> None:
    english = protocol(pocket, "en").test("unseen")
    for code in ("de", "zh"):
        other = protocol(pocket, code).test("unseen")
        for column in ("image", "term", "answer"):
            assert (getattr(english, column) == getattr(other, column)).all()


def test_terms_without_a_reviewed_label_are_not_asked_and_are_named(pocket: Dataset, folder: Path) -> None:
    write_german(folder, "nd", "bird", "owl")
    english, other = protocol(pocket, "en"), protocol(pocket, "nd")
    assert other.unlabelled == ("bird", "owl")
    asked = english.test("unseen")
    kept = asked.where(asked.term != english.vocabulary.terms.index("bird"))
    assert (other.test("unseen").image == kept.image).all() and (other.test("unseen").term == kept.term).all()
    assert english.vocabulary.terms.index("owl") not in other.test("leaf").term
    assert (other.train_questions(0).term == english.train_questions(0).term).all()  # training is in English
    assert tuple(unlabelled_terms(english)) == ()
    assert tuple(unlabelled_terms(other)) == (
        "1 of 14 hypernyms has no reviewed label in 'nd' and is not asked in it: bird",
        "1 of 104 names of leaves has no reviewed label in 'nd' and is not asked in it: owl",
    )


@pytest.mark.parametrize("kind", ["none", "graded"])
def test_show_says_what_a_language_leaves_out(
    kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_german(folder, "nd", "bird", "fish")
    path, more = tmp_path / "mine.yaml", "counterfactual: {kind: graded, similarity: 0.5}\n" if kind == "graded" else ""
    path.write_text(f"name: mine\nversion: 1\nextends: unseen_hypernym\nquestions: {{language: {{test: nd}}}}\n{more}")
    assert call(["show", str(path)]) == 0
    assert (
        "\n  2 of 14 hypernyms have no reviewed label in 'nd' and are not asked in it: bird, fish\n"
        in capsys.readouterr().out
    )


def test_what_has_no_label_in_the_language_of_training_is_not_trained(pocket: Dataset, folder: Path) -> None:
    write_german(folder, "nd", "owl", "bird")
    task = find_tasks().tasks["seen_hypernym"]
    asked = protocol(pocket, "en", "nd", task)
    terms = {asked.vocabulary.terms[term] for term in np.unique(asked.train_questions(0).term)}
    assert not {"owl", "bird"} & terms and {"duck", "animal"} <= terms
    assert "bird" in asked.denied


@pytest.mark.parametrize("more", ["", "counterfactual: {kind: graded, similarity: 0.5}\n"])
def test_where_no_leaf_has_a_label_leaves_are_asked_as_training_did(
    more: str, pocket: Dataset, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    taxonomy = pocket.taxonomy
    write_german(folder, "nd", *map(taxonomy.display_name, taxonomy.leaves))
    asked = protocol(pocket, "nd")
    assert not asked.asks_names
    said = "no leaf has a reviewed label in 'nd'; leaves are asked in the language of training"
    assert list(unlabelled_terms(asked)) == [said] == list(left_out(asked))
    assert next(unlabelled_terms(protocol(pocket, "nd", "nd"))).startswith("104 of 104 names of leaves have no")
    path.write_text(f"name: mine\nversion: 1\nextends: unseen_hypernym\nquestions: {{language: {{test: nd}}}}\n{more}")
    assert call(["show", str(path)]) == 0
    assert f"\n  {said}\n" in capsys.readouterr().out
    assert len(asked.validation()) == len(protocol(pocket, "en").validation())
    assert len(asked.test("unseen"))
    with pytest.raises(DataError, match="104 have no reviewed label in the language of training, 'nd'"):
        protocol(pocket, "nd", "nd").train_questions(0)


def test_a_language_without_any_of_the_hypernyms_is_one_sentence(pocket: Dataset, folder: Path) -> None:
    write_german(folder, "nd", *pocket.taxonomy.hypernyms)
    with pytest.raises(DataError, match="no hypernym of it has a reviewed label in the language 'nd'"):
        protocol(pocket, "nd").test("unseen")


def test_an_unknown_language_in_a_task_is_named_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nversion: 1\nextends: unseen_hypernym\nquestions: {language: {test: xx}}\n")
    with pytest.raises(TaskError, match=r"mine\.yaml:4:24: questions\.language\.test: Unknown language 'xx'"):
        find_tasks().file(str(path))


def test_two_lines_of_a_file_are_what_the_setting_makes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: unseen_hypernym_de\nextends: unseen_hypernym\nquestions: {language: {test: de}}\n")
    (task,) = find_tasks().file(str(path)).tasks
    assert task.identity == PLAIN.in_languages(LanguagePair(test="de")).identity


def test_a_task_that_says_english_is_the_task_that_says_nothing() -> None:
    assert PLAIN.in_languages(LanguagePair()) == PLAIN
    assert PLAIN.model_copy(update={"questions": PLAIN.questions.model_copy()}).digest == PLAIN.digest


def test_languages_of_the_test_share_what_is_trained_and_languages_of_training_do_not() -> None:
    def taught(pair: LanguagePair) -> Any:
        named = identity_of(PLAIN.in_languages(pair).as_taught())
        return {key: value for key, value in named.items() if key in TRAINING_FIELDS}

    assert taught(LanguagePair(test="de")) == taught(LanguagePair(test="zh")) == taught(LanguagePair())
    assert taught(LanguagePair(train="de")) == taught(LanguagePair(train="de", test="de")) != taught(LanguagePair())


def test_runs_in_another_language_have_its_controls_and_english_ones_may_not(pocket: Dataset) -> None:
    run = PLAIN.in_languages(LanguagePair(test="de")).as_run()
    assert set(run.controls) - set(PLAIN.as_run().controls) == {"translated_name", "nonsense"}
    with pytest.raises(ValueError, match="'nonsense' is of tasks that are asked in another language"):
        TaskSpec.model_validate({**dict(PLAIN), "controls": ("nonsense",)})


def test_nonsense_stands_in_the_place_of_hypernyms_alone(pocket: Dataset) -> None:
    asked = protocol(pocket, "de")
    n, nonsense = asked.vocabulary.n_names, asked.nonsense_texts
    assert nonsense.questions[:n] == asked.questions[:n]
    assert nonsense.questions[n] == "Ist auf diesem Bild ein Blorf zu sehen?"
    assert not set(nonsense.questions[n:]) & set(asked.questions)


def test_answers_are_told_apart_by_language_where_words_differ(pocket: Dataset) -> None:
    german, spanish = (protocol(pocket, code).asked_texts.in_either_language() for code in ("de", "es"))
    assert german is not None and german.answers == (("Ja", "Nein"), ("Yes", "No"))
    assert spanish is not None and spanish.answers == (("Sí",), ("Yes",))  # No is a word of both


def test_the_digest_goes_by_what_is_asked_and_by_nothing_else(pocket: Dataset, folder: Path) -> None:
    write_german(folder, "na")
    write_german(folder, "nb", "seafood")  # which pocket does not ask
    write_german(folder, "nc", "owl")
    one, other, less = (protocol(pocket, code).asked_texts.digest for code in ("na", "nb", "nc"))
    assert one == other != less
    assert protocol(pocket, "en").asked_texts.digest is None


def test_properties_are_in_english_only() -> None:
    task = find_tasks().tasks["property_alive"]
    with pytest.raises(ValueError, match="wordings of properties are in English only"):
        TaskSpec.model_validate(
            {**dict(task), "questions": task.questions.model_copy(update={"language": LanguagePair(test="de")})}
        )
