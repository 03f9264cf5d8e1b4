"""The verbs about tasks: validate, show, new, schema, ls and run over folders of one's own."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.shell_completion import ShellComplete

from taxbench.cli.main import call, cli
from taxbench.runs.config import resolve
from taxbench.runs.run_options import Options
from taxbench.tasks.inheritance import BUILTIN
from taxbench.tasks.registry import find_tasks
from taxbench.tasks.yaml_file import parse_yaml
from tests.datasets.test_folder import make
from tests.made import assert_light
from tests.tasks.malformed import FILES, write_all
from tests.tasks.reading import load_task

MINE = "name: mine\nextends: unseen_hypernym\nheldout_leaves: 0.3\ntags: [own]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(MINE)
    return tmp_path / "tasks"


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert call([str(each) for each in arguments]) == 0
    return capsys.readouterr().out


def test_ten_malformed_files_are_reported_whole_and_fast(tmp_path: Path) -> None:
    write_all(tmp_path)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "taxbench", "validate", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert time.perf_counter() - start < 2  # 0.3 s on a free machine
    *lines, summary = done.stdout.splitlines()
    wanted = sorted((str(tmp_path / name), line) for name, file in FILES.items() for line, _ in file.found)
    found = [(path, int(line)) for path, line, *_ in (each.split(":") for each in lines)]
    assert [each for each in found if "_back" not in each[0]] == wanted
    assert (done.returncode, done.stderr) == (1, "")
    assert summary == f"11 files, 0 usable tasks: {len(lines)} errors, 0 warnings."


def test_validate_passes_what_is_registered_and_says_so(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert ": no problem." in said(capsys, "validate", "--include-path", folder)
    assert said(capsys, "validate", folder / "mine.yaml") == "1 file, 1 usable task: no problem.\n"


def test_validate_prints_json(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "bad.yaml").write_text("name: bad\nextends: leaf\nfoo: 1\n")
    assert call(["validate", str(folder), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["files"], found["errors"], found["warnings"]) == (2, 1, 0)
    assert found["findings"] == [{"path": str(folder / "bad.yaml"), "line": 3, "column": 1, "key": "foo",
                                  "level": "error", "message": "unknown field 'foo'"}]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["pyproject.toml"], ["/dev/null"], ["a" * 300], ["--include-path", "nowhere"]]
)
def test_validate_of_what_is_not_there_is_wrong_usage(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert call(["validate", *arguments]) == 2


def test_validate_writes_the_lock_of_a_folder(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert f"{folder / 'lock.json'}: 1 added" in said(capsys, "validate", folder, "--lock")
    (folder / "mine.yaml").write_text(MINE.replace("0.3", "0.4"))
    assert call(["validate", str(folder), "--lock"]) == 1
    assert "raise version to 3, or undo" in capsys.readouterr().out


def test_validate_with_data_checks_the_questions(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "many.yaml").write_text("name: many\nextends: deprivation_systematic_drop\nlevels: {values: [0.3, 99]}\n")
    assert call(["validate", str(folder), "--data"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{folder / 'many.yaml'}:3:24: many-99: split 'train': The task removes 99 hypernyms")
    assert lines[-1].startswith("2 files, 3 usable tasks: 1 error")


def test_validate_says_what_is_wrong_in_files_before_it_says_that_there_is_no_data(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "bad.yaml").write_text("name: bad\nextends: leaf\nfoo: 1\n")
    assert call(["validate", str(folder), "--dataset", f"folder:{folder / 'nope'}"]) == 2  # --data goes without saying
    said = capsys.readouterr()
    assert "bad.yaml:3:1: unknown field 'foo'" in said.out and "1 error" in said.out
    assert "No such folder" in said.err


def test_show_says_where_every_value_comes_from_and_reads_back_as_the_task(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    out = said(capsys, "show", "mine", "--include-path", folder)
    resolved, rest = out.split("\nidentity ")
    assert "heldout_leaves: 0.3  # tasks/mine.yaml:3" in resolved
    assert "  kind: full  # tasks/unseen_hypernym.yaml:6" in resolved
    assert "  negatives_per_positive: 1  # tasks/_base.yaml:9" in resolved
    assert "leaks: drop  # default" in resolved
    assert all("  # " in line or line.endswith(":") for line in resolved.splitlines())
    again = folder / "again.yaml"
    again.write_text(resolved)
    assert load_task(again) == find_tasks([folder]).tasks["mine"]
    assert rest.startswith(f"{load_task(again).identity}\n")
    assert "dataset pocket, seed 42: 6656 images, 104 leaves, 14 hypernyms" in rest
    assert sum("? Yes   [" in line or "? No   [" in line for line in rest.splitlines()) == 10
    assert {"train", "val", "leaf", "heldout_leaf", "unseen"} <= {line.split()[0] for line in rest.splitlines() if line}


def test_show_of_a_level_points_at_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "show", "deprivation_random-0.3", "--json"))
    path = Path(found["file"])
    line = parse_yaml(path).positions["levels", "values", 1][0]
    assert found["values"]["deprivation.fraction"] == {"value": 0.3, "from": f"tasks/{path.name}:{line}"}
    assert found["report"]["evidence"]["removed_fraction"] == pytest.approx(0.3, abs=0.1)
    assert [row["split"] for row in found["report"]["splits"]][:2] == ["train", "val"]


def test_show_takes_another_dataset_and_a_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    root, taxonomy = make(folder.parent / "photos")
    out = said(capsys, "show", folder / "mine.yaml", "--dataset", f"folder:{root}", "--taxonomy", taxonomy)
    assert "heldout_leaves: 0.3  # mine.yaml:3" in out and "dataset folder:photos" in out


def test_show_of_a_graded_task_says_what_is_not_known_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert "known in a run only" in said(capsys, "show", "counterfactual_graded-0.5")


def test_show_lists_the_members_of_curves_and_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert "  unseen_hypernym@2#" in said(capsys, "show", "taxonomic")
    found = json.loads(said(capsys, "show", "deprivation_random", "--json"))
    assert (found["kind"], found["weights"], len(found["tasks"])) == ("curve", "equal", len(found["members"]))


def test_new_writes_a_task_that_is_valid_and_does_what_its_parent_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "taxbench validate mine.yaml" in said(capsys, "new", "mine", "--extends", "counterfactual_low")
    task = load_task(Path("mine.yaml"))
    parent = find_tasks().tasks["counterfactual_low"]
    assert task.model_copy(update={"name": parent.name}).digest == parent.digest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine"], "is there already"),
        (["leaf"], "taken by"),
        (["Mine"], "Invalid task name"),
        (["a" * 300], "Invalid task name"),
        (["x", "--extends", "a" * 300], "expected a name"),
        (["x", "--extends", "../leaf"], "expected a name"),
        (["x", "--extends", "laef"], "Did you mean 'leaf'?"),
        (["x", "--extends", "taxonomic"], "is a group"),
        (["x", "--extends", "_base"], "is abstract"),
        (["x", "--extends", "deprivation_random-0.3"], "--extends deprivation_random"),
        (["x", "--extends", "broken"], "unknown field 'foo'"),
    ],
)
def test_new_refuses_what_would_not_be_valid_and_writes_nothing(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.yaml").write_text("name: broken\nextends: leaf\nfoo: 1\n")
    before = sorted(folder.iterdir())
    assert call(["new", *arguments, "--out", str(folder)]) == 2
    assert words in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(said(capsys, "schema"))["$schema"].endswith("2020-12/schema")


def test_ls_shows_own_tasks_by_tag_and_broken_files_beside_them(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "broken.yaml").write_text("name: broken\nextends: leaf\nfoo: 1\n")
    rows = json.loads(said(capsys, "ls", "tasks", "--include-path", folder, "--tag", "own", "--json"))
    assert [row["name"] for row in rows] == ["mine", "broken.yaml"]
    assert rows[1]["error"] == f"{folder / 'broken.yaml'}:3:1: unknown field 'foo'"
    out = said(capsys, "ls", "tasks", "--include-path", folder)
    assert "broken.yaml" in out and "  leaf " in out and "(curve: deprivation_random-0.1, -0.3" in out


def test_run_finds_tasks_of_own_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [task.name for task in resolve(Options(task="mine,leaf", include=(folder,))).tasks] == ["mine", "leaf"]
    arguments = ["run", "--task", "mine", "--encoder", "poket"]  # the task is looked up first
    for include, words in (
        ([], "Unknown task or group 'mine'"),
        (["--include-path", str(folder)], "Unknown encoder 'poket'"),
    ):
        assert call([*arguments, *include]) == 2
        assert words in capsys.readouterr().err


def test_task_names_are_completed(folder: Path) -> None:
    complete = ShellComplete(cli, {}, "taxbench", "_TAXBENCH_COMPLETE")
    found = [item.value for item in complete.get_completions(["run", "--task"], "leaf,counterfactual_l")]
    assert found == ["leaf,counterfactual_low"]
    found = [item.value for item in complete.get_completions(["show", "--include-path", str(folder)], "mi")]
    assert found == ["mine"]


def test_showing_and_checking_need_no_torch() -> None:
    assert_light(["torch"], ["show leaf", f"validate --data {BUILTIN / 'leaf.yaml'}"])


def test_what_show_prints_is_plain_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "show", "paper_random-0.3").split("\nidentity ")[0]
    assert yaml.safe_load(out)["questions"]["answers"] == {"positive": ["Yes"], "negative": ["No"]}


def test_a_property_task_is_shown_where_a_dataset_has_no_such_property(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, taxonomy = make(tmp_path / "photos")
    out = said(capsys, "show", "property_alive", "--dataset", f"folder:{root}", "--taxonomy", taxonomy)
    assert "unseen: The properties of 'folder:photos' have no column 'alive'." in out
