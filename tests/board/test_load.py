"""Records on disk: whatever lies there in place of one is named, and nothing hangs on it."""

import json
import os
from pathlib import Path

import pytest

from taxbench.board.load import LoadedResults, load_predictions, load_records
from taxbench.results.records import read_result
from taxbench.util.errors import DataError
from tests.board.records import record


@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
def test_what_is_no_regular_file_is_never_opened(tmp_path: Path, kind: str) -> None:
    record(tmp_path / "good")
    path = tmp_path / "bad" / "result.json"
    path.parent.mkdir()
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is not a regular file"):
        load_records([tmp_path])


def test_names_are_those_below_the_folder_that_was_given_whatever_is_a_link(tmp_path: Path) -> None:
    real, out = tmp_path / "real", tmp_path / "out"
    (path,) = (record(real), *real.rglob("result.json"))[1:]
    out.mkdir()
    (out / "leaf").symlink_to(path.parent.parent)
    (tmp_path / "link").symlink_to(out)
    for root, searched in ((out, out), (tmp_path / "link", tmp_path / "link"), (out, tmp_path / "link")):
        result = read_result(path).lies_in(root / "leaf" / "run")
        assert [*LoadedResults((result,), [searched]).names.values()] == ["leaf/run"]


def test_predictions_that_are_no_file_are_never_opened(tmp_path: Path) -> None:
    result = record(tmp_path)
    (path,) = tmp_path.rglob("predictions.npz")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="is not a regular file"):
        load_predictions(result.lies_in(path.parent))


@pytest.mark.parametrize("task", ["-", "curve-abc", "Leaf", "leaf@1"])
def test_a_task_that_is_not_named_as_tasks_are_is_told(tmp_path: Path, task: str) -> None:
    record(tmp_path)
    (path,) = tmp_path.rglob("result.json")
    made = json.loads(path.read_text())
    made["run"]["task"]["name"] = task
    path.write_text(json.dumps(made))
    with pytest.raises(DataError, match=r"run\.task\.name: String should match"):
        load_records([tmp_path])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    record(tmp_path / "results")
    (tmp_path / "results" / "unseen_hypernym").chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        load_records([tmp_path / "results"])
