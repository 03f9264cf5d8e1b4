"""Publishing: what was checked is copied, and nothing else; and the hub's troubles are said in words."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import yaml
from huggingface_hub import errors

from taxbench.board.submit.publish import add, push, push_space
from taxbench.results.records import result_bytes
from taxbench.specs.side_files import LossCurve, TrainingLosses
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import CacheError, TaxbenchError, UsageError
from taxbench.util.progress import Reporter
from tests.board.hostile import edited, honest

# httpx, under the name by which this release of the hub's library has it.
http = import_module(errors.HfHubHTTPError.__bases__[0].__module__.partition(".")[0])
REGISTRY = find_tasks()
QUIET = Reporter(quiet=True)


@pytest.fixture
def results(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path / "results" / "run")
    return tmp_path / "results"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_times_and_losses_are_copied_and_nothing_else(results: Path, tmp_path: Path) -> None:
    (results / "run" / "notes.txt").write_text("mine")
    curve = LossCurve.of([0.7, 0.6], [(2, 0.65)])
    (results / "run" / "losses.json").write_bytes(result_bytes(TrainingLosses(heads={"mlp": curve})))
    (added,) = add([results], tmp_path / "board", REGISTRY, QUIET)
    assert added.status == "added" and added.place is not None
    assert added.place.parent == tmp_path / "board" / "results" / "unseen_hypernym"
    own = files(results / "run")
    kept = ("result.json", "predictions.npz", "timing.json", "losses.json")
    assert files(added.place) == {name: own[name] for name in kept}
    (results / "run" / "timing.json").write_text('{"machine": "?", "seconds": "long"}')  # of another form
    (results / "run" / "losses.json").write_text("[]")
    (again,) = add([results], tmp_path / "other", REGISTRY, QUIET)
    assert again.place is not None and set(files(again.place)) == {"result.json", "predictions.npz"}


def test_the_same_again_is_already_there_and_another_of_the_same_run_is_refused(results: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    add([results], board, REGISTRY, QUIET)
    before = files(board)
    (again,) = add([results], board, REGISTRY, QUIET)
    assert again.status == "already there"
    edited("validation.auroc", 0.5)(results / "run")
    (other,) = add([results], board, REGISTRY, QUIET)
    assert other.status == "refused" and "also lies in" in other.reasons[0]
    assert files(board) == before


def test_one_in_the_place_of_a_broken_one_is_refused_with_what_to_do(results: Path, tmp_path: Path) -> None:
    (first,) = add([results], tmp_path / "board", REGISTRY, QUIET)
    assert first.place is not None
    (first.place / "predictions.npz").write_bytes(b"broken")
    (second,) = add([results], tmp_path / "board", REGISTRY, QUIET)
    assert second.status == "refused" and "remove that folder and add this one again" in second.reasons[0]


def test_one_that_is_refused_stops_no_other(results: Path, tmp_path: Path) -> None:
    honest(results / "another", seed=7)
    edited("scores.unseen.macro_f1", 1.0)(results / "run")
    outcomes = add([results, results / "another"], tmp_path / "board", REGISTRY, QUIET)
    assert [each.status for each in outcomes] == ["added", "refused"]
    assert str(outcomes[1]).startswith("refused: ") and "scores.unseen.macro_f1 is 1.0" in str(outcomes[1])
    assert len(files(tmp_path / "board")) == 3


def test_what_is_written_half_is_taken_back(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "result.json" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CacheError, match="No space left"):
        add([results], tmp_path / "board", REGISTRY, QUIET)
    assert files(tmp_path / "board") == {} and not list((tmp_path / "board").rglob("*seed42*"))


def test_a_folder_without_records_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="taxbench run"):
            add([folder], tmp_path / "board", REGISTRY, QUIET)
    (tmp_path / "mine" / "readme.txt").write_text("no record")
    with pytest.raises(UsageError, match="No record lies below"):
        add([tmp_path / "mine"], tmp_path / "board", REGISTRY, QUIET)


class Hub:
    """A hub that takes note of what it is asked, or fails."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.trouble = trouble

    def create_repo(self, name: str, **options: Any) -> None:
        self.asked.append({"repo_id": name, **options})

    def upload_folder(self, **options: Any) -> SimpleNamespace:
        if self.trouble:
            raise self.trouble
        self.asked.append(options)
        return SimpleNamespace(commit_url="https://hub/commit/1", pr_url="https://hub/pr/1")


@pytest.mark.parametrize(("direct", "said"), [(False, "Pull request: https://hub/pr/1"), (True, "Committed: ")])
def test_a_leaderboard_is_uploaded_as_a_pull_request_unless_told_otherwise(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: bool, said: str
) -> None:
    add([results], tmp_path / "board", REGISTRY, QUIET)
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    assert push(tmp_path / "board", "me/board", direct=direct).startswith(said)
    made, upload = hub.asked
    assert made == {"repo_id": "me/board", "repo_type": "dataset", "space_sdk": None, "exist_ok": True}
    assert upload["create_pr"] is not direct and upload["commit_message"] == "Leaderboard of taxbench: 1 records"
    assert upload["folder_path"] == tmp_path / "board" and upload["repo_type"] == "dataset"


def test_a_space_gets_the_page_with_what_the_hub_reads_and_no_records(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add([results], tmp_path / "board", REGISTRY, QUIET)
    with pytest.raises(UsageError, match=r"has no index\.html.*taxbench leaderboard build"):
        push_space(tmp_path / "board", "me/space")
    for name in ("index.html", "board.csv", "board.json", "board.tex"):
        (tmp_path / "board" / name).write_text(name)
    seen: dict[str, bytes] = {}

    class Looking(Hub):
        def upload_folder(self, **options: Any) -> SimpleNamespace:
            seen.update(files(Path(options["folder_path"])))
            return super().upload_folder(**options)

    hub = Looking()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    assert push_space(tmp_path / "board", "me/space", direct=True).startswith("Committed")
    made, upload = hub.asked
    assert made == {"repo_id": "me/space", "repo_type": "space", "space_sdk": "static", "exist_ok": True}
    assert upload["repo_type"] == "space"
    assert set(seen) == {"README.md", "index.html", "board.csv", "board.json", "board.tex"}
    front = yaml.safe_load(seen["README.md"].decode().split("---")[1])
    assert front["sdk"] == "static" and front["app_file"] == "index.html" and front["license"] == "apache-2.0"


def refused() -> errors.HfHubHTTPError:
    return errors.HfHubHTTPError(
        "403 Forbidden", response=http.Response(403, request=http.Request("POST", "https://h"))
    )


@pytest.mark.parametrize(("trouble", "said"), [
    (errors.OfflineModeIsEnabled("offline mode is enabled"), "hub cannot be reached .*type the same command again"),
    (http.ConnectError("Name or service not known"), "hub cannot be reached .*Name or service"),
    (errors.LocalTokenNotFoundError("no token"), "Type 'hf auth login'"),
    (refused(), "refuses the upload to 'me/board': 403 Forbidden"),
    (errors.HFValidationError("Repo id must"), "not the name of a repository: expected owner/name"),
])  # fmt: skip
def test_the_hub_s_troubles_are_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception, said: str
) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(trouble))
    with pytest.raises(TaxbenchError, match=said):
        push(tmp_path, "me/board")


def test_nothing_outside_the_leaderboard_is_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    with pytest.raises(UsageError, match="is not a leaderboard: it has no folder results"):
        push(tmp_path, "me/board")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "keys").symlink_to(Path.home())
    with pytest.raises(TaxbenchError, match="Links would be followed"):
        push(tmp_path, "me/board")
    assert json.dumps(hub.asked) == "[]"
