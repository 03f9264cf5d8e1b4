"""Checking records: an honest one passes, and every broken or hostile one is refused with its own reason."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxbench.board.check import check_all, check_record
from taxbench.board.check_names import visible
from taxbench.errors import UsageError
from taxbench.progress import Reporter
from taxbench.registry.tasks import find_tasks
from tests.board.hostile import BROKEN, columns, edited, honest, named, record

REGISTRY = find_tasks()
QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "run"
    honest(folder)
    return folder


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "tree" / "run"))


def test_an_honest_record_passes_quickly(good: Path) -> None:
    took = []
    for _ in range(4):
        start = time.perf_counter()
        assert check_record(good, REGISTRY) == []
        took.append(time.perf_counter() - start)
    assert min(took) < 0.3


@pytest.mark.parametrize("task", ["counterfactual_low", "seen_hypernym", "leaf"])
def test_an_honest_record_of_any_task_and_seed_passes(tmp_path: Path, task: str) -> None:
    honest(tmp_path, 7, task)
    assert check_record(tmp_path, REGISTRY) == []


@pytest.mark.parametrize("change", [
    named("dataset", "hf:owner/birds"), named("lm", "Qwen/Qwen3-0.6B"), named("encoder", "random-pocket"),
    named("encoder", "imported:my features (2)"), edited("run.encoder.reading", "grid4, layer -2", sealed=True),
    edited("run.task.summary", "Said in other words.", sealed=True), edited("fitted", {"alpha": 0.1}),
    edited("run.head", {"name": "theirs", "settings": {"depth": 3}, "source": "0123456789abcdef"}, sealed=True),
])  # fmt: skip
def test_other_honest_records_pass(copy: Path, change) -> None:  # type: ignore[no-untyped-def]
    change(copy)
    assert check_record(copy, REGISTRY) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_or_hostile_record_is_refused_with_its_reason(copy: Path, name: str) -> None:
    change, said = BROKEN[name]
    change(copy)
    reasons = check_record(copy, REGISTRY)
    assert any(re.search(said, reason) for reason in reasons), reasons
    assert all(reason.isprintable() and len(reason) < 700 for reason in reasons), reasons
    assert len(reasons) <= 13 and not Path("pwned").exists()


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 100


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
    (found,) = check_all([copy.parents[1]], REGISTRY, QUIET)
    assert found.status == "fine" and found.folder.parent.name == "results"
    with pytest.raises(UsageError, match=r"There is no folder '.*nowhere'.*taxbench run"):
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


def test_what_is_printed_can_be_seen() -> None:
    assert visible("a\x1b[2J\u202e\ud800") == r"a\u{1b}[2J\u{202e}\u{d800}"
    assert visible("x" * 1000, 10) == "xxxxxxxxxx… (1,000 letters)"


def test_checking_loads_no_model_library() -> None:
    code = "import sys, taxbench.board.publish, taxbench.board.score_table as t; "
    code += "print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["torch", "transformers", "h5py", "sklearn", "matplotlib", "huggingface_hub"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
