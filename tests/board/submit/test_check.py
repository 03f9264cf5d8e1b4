"""Checking many records: all of a tree, and what can only be seen where they stand beside each other."""

import shutil
from pathlib import Path

import pytest

from taxbench.board.build import build
from taxbench.board.submit.check import check_all
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import UsageError
from taxbench.util.progress import Reporter
from tests.board.hostile import columns, edited, named, record

REGISTRY = find_tasks()
QUIET = Reporter(quiet=True)


def test_all_of_a_tree_is_checked_and_what_does_not_belong_is_named(copy: Path) -> None:
    tree = copy.parent
    shutil.copytree(copy, tree / "deep" / "er" / "edited")
    edited("validation.auroc", 2.0)(tree / "deep" / "er" / "edited")
    (tree / "outside").symlink_to("/etc")
    (tree / "run" / "index.html").write_text("<script>")
    (tree / "half").mkdir()
    shutil.copy(copy / "predictions.npz", tree / "half")
    found = {each.folder.relative_to(tree).as_posix(): each for each in check_all([tree], REGISTRY, QUIET)}
    assert {name: each.status for name, each in found.items()} == {
        "run": "fine", "deep/er/edited": "refused", "outside": "refused", "run/index.html": "refused",
        "half": "refused",
    }  # fmt: skip
    assert "It is a link, which is never followed" in found["outside"].reasons[0]
    assert "does not belong here" in str(found["run/index.html"]) and "missing" in str(found["half"])


def test_of_a_leaderboard_its_results_are_checked(copy: Path) -> None:
    copy.parent.rename(copy.parents[1] / "results")
    (copy.parents[1] / "README.md").write_text("A board.")
    found, *tables = check_all([copy.parents[1]], REGISTRY, QUIET)
    assert found.status == "fine" and found.folder.parent.name == "results"
    assert [each.folder.name for each in tables] == ["resampling.json"]  # there are none yet
    build(copy.parents[1], REGISTRY.groups.values(), QUIET)
    assert {each.status for each in check_all([copy.parents[1]], REGISTRY, QUIET)} == {"fine"}
    (copy.parents[1] / "board.csv").write_text("forged")
    assert [each.folder.name for each in check_all([copy.parents[1]], REGISTRY, QUIET)][1:] == ["board.csv"]
    with pytest.raises(UsageError, match=r"No such folder: '.*nowhere'.*taxbench run"):
        check_all([copy / "nowhere"], REGISTRY, QUIET)


def test_one_run_has_one_record(copy: Path) -> None:
    twin = Path(shutil.copytree(copy, copy.parent / "twin"))
    assert {each.status for each in check_all([copy.parent], REGISTRY, QUIET)} == {"fine"}
    edited("validation.auroc", 0.5)(twin)
    mine, other = check_all([copy.parent], REGISTRY, QUIET)
    assert mine.status == "fine" and "also lies in" in other.reasons[0] and "other content" in other.reasons[0]


def test_runs_of_one_task_dataset_and_seed_are_asked_the_same(copy: Path) -> None:
    other = Path(shutil.copytree(copy, copy.parent / "theirs"))
    named("dataset", "folder:birds")(copy)
    named("dataset", "folder:birds")(other)
    edited("run.trainer.epochs", 2, sealed=True)(other)
    assert {each.status for each in check_all([copy.parent], REGISTRY, QUIET)} == {"fine"}
    columns(lambda all: all | {"answer": ~all["answer"]})(other)
    mine, theirs = check_all([copy.parent], REGISTRY, QUIET)
    assert mine.status == "fine" and "It was asked other questions" in theirs.reasons[0]
    assert record(other)["run"]["seed"] == 42


def test_nothing_can_be_hidden_in_a_folder_that_is_named_like_a_file(copy: Path) -> None:
    for name in ("timing.json", "predictions.npz"):
        hidden = copy.parent / "deep" / name / "x"
        shutil.copytree(copy, hidden)
        edited("scores.unseen.macro_f1", 0.9999)(hidden)
    (copy / "timing.json").unlink(missing_ok=True)
    (copy / "timing.json").symlink_to("/etc/passwd")
    found = {
        each.folder.relative_to(copy.parent).as_posix(): each for each in check_all([copy.parent], REGISTRY, QUIET)
    }
    assert {name for name, each in found.items() if each.status == "refused"} == {
        "deep", "deep/timing.json/x", "deep/predictions.npz/x", "run/timing.json",
    }  # fmt: skip


@pytest.mark.parametrize("part", ["lm", "encoder"])
def test_on_one_board_a_name_stands_for_the_same_weights(copy: Path, part: str) -> None:
    other = Path(shutil.copytree(copy, copy.parent / "theirs"))
    edited(f"run.{part}.digest", "deadbeef", sealed=True)(other)
    mine, theirs = check_all([copy.parent], REGISTRY, QUIET)
    assert mine.status == "fine" and f"The {part} " in theirs.reasons[0] and "deadbeef" in theirs.reasons[0]


def test_another_commit_is_no_other_content(copy: Path) -> None:
    edited("code.commit", "0" * 40)(Path(shutil.copytree(copy, copy.parent / "twin")))
    assert {each.status for each in check_all([copy.parent], REGISTRY, QUIET)} == {"fine"}
