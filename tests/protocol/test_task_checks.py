"""Checks of a task against a dataset: empty splits, one-sided answers, answers that look alike, leaks."""

from dataclasses import replace
from pathlib import Path

import pytest

from taxbench.datasets.dataset import Dataset
from taxbench.protocol import task_checks
from taxbench.protocol.task_checks import check_tasks
from taxbench.protocol.task_preview import report_task
from taxbench.registry.models import lms
from taxbench.specs.sources import PACKAGED, LMSpec
from taxbench.tasks.diagnostics import Diagnostic
from taxbench.tasks.inheritance import BUILTIN, TaskPath
from taxbench.tasks.task_files import read_task_file
from taxbench.taxonomy.taxonomy import Taxonomy
from tests.protocol.test_protocol import dataset

_HYPERNYMS = {"crow": ("animal", "bird"), "duck": ("animal", "bird"), "bird": ("animal",), "cow": ("animal", "mammal"),
         "pig": ("animal", "mammal"), "saw": ("tool",), "axe": ("tool",), "hammer": ("tool",)}  # fmt: skip
SMALL = Taxonomy(_HYPERNYMS)


def check(folder: Path, text: str, data: Dataset) -> list[Diagnostic]:
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\nheldout_leaves: 0.0\n{text}")
    file = read_task_file(path, TaskPath((BUILTIN,)))
    assert not file.findings
    return sorted(check_tasks([file], data, 42))


def test_a_task_in_order_has_no_finding(tmp_path: Path) -> None:
    fitting = Taxonomy({leaf: group for leaf, group in _HYPERNYMS.items() if leaf != "bird"})
    text = "extends: unseen_hypernym\nevaluate: [leaf, unseen]\n"
    assert check(tmp_path, text, dataset(fitting)) == []


def test_leaves_that_say_a_denied_hypernym_are_listed_dropped_or_not(tmp_path: Path) -> None:
    for leaks, words in (("drop", "left out of training: bird"), ("keep", "trained all the same (leaks: keep): bird")):
        text = f"extends: unseen_hypernym\nleaks: {leaks}\nevaluate: [leaf, unseen]\n"
        (finding,) = check(tmp_path, text, dataset(SMALL))
        assert (finding.level, finding.line) == ("warning", 4) and words in finding.message


def test_a_split_without_questions_is_an_error_where_it_is_named(tmp_path: Path) -> None:
    text = "extends: seen_hypernym\nevaluate: [leaf, seen]\n"
    found = check(tmp_path, text, dataset(SMALL, per_leaf=1))
    errors = [(each.line, each.level) for each in found if "no " in each.message]
    assert errors and all(level == "error" for _, level in errors)


def test_terms_with_one_answer_are_counted_and_a_split_with_one_answer_is_an_error(tmp_path: Path) -> None:
    text = "extends: unseen_hypernym\nevaluate: [leaf, unseen]\n"
    (finding,) = check(
        tmp_path, text, dataset(Taxonomy({"crow": ("animal",), "cow": ("animal",), "saw": ("animal", "tool")}))
    )
    assert finding.level == "warning" and "1 of 2 terms are asked with one answer only" in finding.message
    (finding,) = check(tmp_path, text, dataset(Taxonomy({"crow": ("thing",), "cow": ("thing",), "saw": ("thing",)})))
    assert finding.level == "error" and finding.line == 4
    assert "mine: split 'unseen': every answer is positive" in finding.message


def test_answers_that_begin_alike_are_named_with_the_model(tmp_path: Path) -> None:
    text = 'extends: leaf\nquestions:\n  answers: {positive: "Yes", negative: "Yes it is not"}\n'
    (finding, *_) = [each for each in check(tmp_path, text, dataset(SMALL)) if each.level == "error"]
    assert finding.line == 5 and "mine: model 'pocket': The answers" in finding.message


def test_a_package_whose_model_is_gone_hides_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"gone": LMSpec(name="gone", source=f"{PACKAGED}no_such/lm"), **lms()}
    monkeypatch.setattr(task_checks, "lms", lambda: models)
    task_checks._encoders.cache_clear()
    assert "gone" not in task_checks._encoders() and "pocket" in task_checks._encoders()


def test_graded_tasks_are_not_checked_without_features_and_that_is_no_error(tmp_path: Path) -> None:
    text = "extends: leaf\ncounterfactual: {kind: graded, similarity: 0.5}\n"
    (finding,) = check(tmp_path, text, dataset(SMALL))
    assert finding.level == "warning" and "needs features" in finding.message


@pytest.mark.parametrize("seed", [1, 2])
def test_a_report_counts_every_split_and_shows_ten_questions(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: seen_hypernym\n")
    (task,) = read_task_file(path, TaskPath((BUILTIN,))).tasks
    report = report_task(task, dataset(SMALL), seed)
    assert [row.split for row in report.splits] == ["train", "val", "leaf", "heldout_leaf", "seen"]
    assert len(report.samples) == 10 and {each.answer for each in report.samples} == {"Yes", "No"}
    assert report.evidence is not None and report.splits[0].questions == (
        report.evidence.n_leaf_questions + report.evidence.n_hypernym_questions
    )
    assert report == report_task(task, dataset(SMALL), seed)
    noted = report_task(task, replace(dataset(SMALL), notes=("taxonomy.tsv: nobody says 'a_b'",)), seed)
    assert noted.notes == ("taxonomy.tsv: nobody says 'a_b'", *report.notes)
