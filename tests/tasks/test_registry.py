"""Task files: what is refused, where the complaint points, and that one bad file hides no other."""

import time
from pathlib import Path

import pytest

from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import TaskError, UsageError
from tests.tasks.reading import load_task

GOOD = """\
name: mine
version: 1
summary: A task.
deprivation: {kind: full}
evaluate: [leaf, unseen]
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_good_file_loads_with_the_published_defaults(tmp_path: Path) -> None:
    task = load_task(write(tmp_path, GOOD))
    assert task.identity.startswith("mine@1#")
    assert task.headline == "unseen"
    assert task.questions.template == "Is there {a_term} in this image?"
    assert task.controls == ("chance", "random_lm")


def test_words_for_people_do_not_change_the_identity_but_content_does(tmp_path: Path) -> None:
    one = load_task(write(tmp_path, GOOD)).digest
    assert load_task(write(tmp_path, GOOD.replace("A task.", "Other words."))).digest == one
    assert load_task(write(tmp_path, GOOD + "heldout_leaves: 0.2\n")).digest != one


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("summary: A task.", "summary: [A task."), 4, ["not valid YAML"]),
        (("summary: A task.\n", ""), 1, ["field 'summary' is missing"]),
        (("evaluate:", "questions: {answers: {positive: yes, negative: Yes}}\nevaluate:"), 5, ["are the same"]),
    ],
)
def test_a_bad_file_is_refused_at_the_right_line(
    tmp_path: Path, change: tuple[str, str], line: int, words: list[str]
) -> None:
    path = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(TaskError) as caught:
        load_task(path)
    message = str(caught.value)
    assert f"{path}:{line}:" in message
    for word in words:
        assert word in message


def test_a_child_overrides_its_parent_deeply_and_a_choice_as_a_whole(tmp_path: Path) -> None:
    write(
        tmp_path, GOOD + "questions: {negatives_per_positive: 3}\ncounterfactual: {kind: within_category}\n", "_p.yaml"
    )
    text = "name: child\nextends: _p\nquestions: {template: 'A {term}?'}\ncounterfactual: {kind: none}\n"
    child = load_task(write(tmp_path, text, "child.yaml"))
    assert child.questions.negatives_per_positive == 3
    assert child.questions.template == "A {term}?"
    assert child.counterfactual.kind == "none"


def test_a_parent_is_looked_for_beside_the_file_then_in_its_folder_then_among_the_defaults(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(inner, "name: child\nextends: leaf\n", "child.yaml")
    heldout = [find_tasks([tmp_path]).tasks["child"].heldout_leaves]
    for folder, value in ((tmp_path / "a", 0.3), (inner, 0.4)):
        text = f"name: other{value * 10:g}\nextends: leaf\nheldout_leaves: {value}\n"
        write(folder, text, "leaf.yaml")  # extends its own name: the next one of that name is meant
        heldout.append(find_tasks([tmp_path]).tasks["child"].heldout_leaves)
    assert heldout == [0.15, 0.3, 0.4]


def test_a_chain_of_parents_is_no_circle_and_a_file_that_means_only_itself_is_one(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "_a.yaml")
    write(tmp_path, "extends: _a\n", "_b.yaml")
    assert load_task(write(tmp_path, "name: c\nextends: _b\n", "c.yaml")).name == "c"
    with pytest.raises(TaskError, match="circle: d → d"):
        load_task(write(tmp_path, "name: d\nextends: d\n", "d.yaml"))


def test_a_name_is_never_inherited_nor_are_the_figures_of_a_task_that_is_changed(tmp_path: Path) -> None:
    figures = "expected: {source: s, dataset: d, figures: [{encoder: e, lm: l, split: leaf, macro_f1: 0.5}]}\n"
    write(tmp_path, GOOD + figures)
    child = "name: child\nextends: mine\nversion: 3\n"
    assert load_task(write(tmp_path, child, "child.yaml")).expected is None
    with pytest.raises(TaskError, match=r"nameless\.yaml:1:1: field 'name' is missing"):
        load_task(write(tmp_path, "extends: mine\n", "nameless.yaml"))
    write(tmp_path, "expected: {source: s, dataset: d}\n", "_base_of_paper.yaml")
    text = GOOD + "extends: _base_of_paper\nexpected: {figures: []}\n"
    expected = load_task(write(tmp_path, text, "paper.yaml")).expected
    assert expected is not None and (expected.source, expected.figures) == ("s", ())


def test_a_group_cannot_be_extended(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="which is a group"):
        load_task(write(tmp_path, "name: mine\nextends: taxonomic\n"))


def test_an_abstract_file_is_checked_for_what_it_says_only(tmp_path: Path) -> None:
    write(tmp_path, 'deprivation: {fraction: 0.2}\nquestions: {answers: {positive: "No"}}\n', "_open.yaml")
    write(tmp_path, "deprivation: {kind: systematic}\nlevels: {field: deprivation.n}\n", "_curve.yaml")
    write(tmp_path, "depravation: {kind: random}\nversion: x\n", "_wrong.yaml")
    findings = find_tasks([tmp_path]).findings
    assert list(findings) == [tmp_path / "_wrong.yaml"]
    assert [each.line for each in findings[tmp_path / "_wrong.yaml"]] == [1, 2]
    with pytest.raises(TaskError, match="there to be extended"):
        load_task(tmp_path / "_open.yaml")


def test_the_same_file_reached_twice_is_no_clash(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "again.yaml").symlink_to(tmp_path / "mine.yaml")
    found = find_tasks([tmp_path, tmp_path / "link"], [tmp_path / "mine.yaml"])
    assert "mine" in found.tasks and not found.broken


def test_two_tasks_of_one_name_are_not_run_together(tmp_path: Path) -> None:
    other = write(tmp_path, GOOD.replace("name: mine", "name: leaf"))
    assert [task.name for task in find_tasks().resolve([str(other)])] == ["leaf"]
    with pytest.raises(UsageError, match="Two different tasks are named 'leaf'"):
        find_tasks().resolve(["leaf", str(other)])


@pytest.mark.parametrize("line", ["version: 3", "settings: {epochs: 2}", "metrics: [{name: auroc, primary: true}]"])
def test_two_tasks_of_one_name_that_differ_beside_their_digest_are_not_run_together(tmp_path: Path, line: str) -> None:
    one = write(tmp_path, "name: twin\nextends: leaf\n", "a.yaml")
    two = write(tmp_path, f"name: twin\nextends: leaf\n{line}\n", "b.yaml")
    assert load_task(one).digest == load_task(two).digest
    with pytest.raises(UsageError, match="Two different tasks are named 'twin'"):
        find_tasks().resolve([str(one), str(two)])


def test_only_names_can_be_extended_no_paths(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, GOOD)
    for name in ("../mine", str(tmp_path / "mine"), "mine.yaml", "a" * 5000, '"a\\0b"'):
        with pytest.raises(TaskError, match=r"child\.yaml:2:1: extends: expected a name without folder or \.yaml"):
            load_task(write(tmp_path / "inner", f"name: child\nextends: {name}\n", "child.yaml"))


def test_a_long_chain_of_parents_is_read_in_time_that_grows_with_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("mine", "t0"), "t0.yaml")
    for index in range(1, 200):
        write(tmp_path, f"name: t{index}\nextends: t{index - 1}\n", f"t{index}.yaml")
    start = time.perf_counter()
    assert "t199" in find_tasks([tmp_path]).tasks
    assert time.perf_counter() - start < 4  # 0.2 s on a free machine; it was 23


def test_the_default_tasks_all_load_and_the_group_names_them() -> None:
    found = find_tasks()
    assert not found.broken
    names = [task.name for task in found.resolve(["taxonomic"])]
    assert names == ["leaf", "seen_hypernym", "unseen_hypernym", "counterfactual_high", "counterfactual_low"]
    with pytest.raises(UsageError, match="Did you mean 'unseen_hypernym'"):
        found.resolve(["unseen_hypernim"])
