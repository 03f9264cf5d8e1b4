"""The command line: wrong names end in one clear sentence, with the right exit code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from PIL import Image

from taxbench.cli.main import call, cli
from taxbench.registry.settings import settings
from tests.datasets.test_folder import make

RUN = ["-q", "run"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--task", "unseen_hypernim"], "Did you mean 'unseen_hypernym'?"),
        (["run", "--model", "lama"], "Did you mean 'llama'?"),
        (["run", "--encoder", "dino2"], "Did you mean 'dinov2'?"),
        (["run", "--dataset", "poket"], "Did you mean 'pocket'?"),
        (["run", "--head", "mpl"], "Did you mean 'mlp'?"),
        (["run", "--seeds", "1,two"], "expected whole numbers"),
        (["run", "--seeds", "-1"], "not negative"),
        (["run", "--set", "epoch=3"], "Did you mean 'epochs'?"),
        (["run", "--set", "epochs=none"], "--set epochs=none"),
        (["run", "--set", "hidden=-4"], "Setting 'hidden' of the head 'mlp'"),
        (["run", "--set", "epochs=yes"], "--set epochs=yes: Input should be a valid integer"),
        (["run", "--set", "epochs=true"], "--set epochs=true: Input should be a valid integer"),
        (["run", "--set", "epochs=2020-13-45"], "valid integer"),
        (["run", "--set", "learning_rate=.inf"], "finite number"),
        (["run", "--set", "hidden=999999999999"], "less than or equal to"),
        (["run", "--set", "epochs=["], "--set 'epochs=['"),
        (["run", "--set", "foo=1"], "nothing has the setting 'foo'"),
        (["run", "--set", "epochs"], "expected KEY=VALUE"),
        (["run", "--include-path", ""], "the name of a folder is empty"),
        (["run", "--encoder", "imported:"], "say which features"),
        (["run", "--encoder", "random-random-pocket"], "Unknown encoder 'random-random-pocket'"),
        (["run", "--system", "random-random-pocket-clip"], "Unknown system 'random-random-pocket-clip'"),
        (["run", "--out", ""], "--out '': the name of the folder is empty"),
        (["run", "--taxonomy", "no.tsv", "--dataset", "folder:."], "No such taxonomy file: 'no.tsv'"),
        (["run", "--dataset", "hf:./nowhere"], "No such folder: './nowhere'"),
        (["run", "--task", "."], "Its tasks can be named with --include-path ."),
        (["run", "--set", "pool=both"], "expected pooled, tokens or gridK"),
        (["run", "--device", "tpu7"], "Invalid device"),
        (["runn"], "Did you mean 'run'?"),
        (["leaderboard", "show", "nowhere"], "No such folder: 'nowhere'"),
        (["leaderboard", "check", "nowhere"], "No such folder: 'nowhere'"),
        (["leaderboard", "add", "nowhere"], "No such folder: 'nowhere'"),
        (["leaderboard", "build", "--board", "nowhere"], "'nowhere' is not a leaderboard"),
        (["leaderboard", "push", "someone/board"], "is not a leaderboard"),
        (["leaderboard", "shwo"], "Did you mean 'show'?"),
    ],
)
def test_a_wrong_name_is_a_usage_error_with_the_nearest_match(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["-q", *arguments, *(["--cache", str(tmp_path)] if arguments[0] == "run" else [])]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err and captured.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "words"), [("llama", "gated"), ("smollm2-135m", "hf download HuggingFaceTB/SmolLM2-135M")]
)
def test_a_model_that_is_not_here_says_what_to_do(
    model: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    root, taxonomy = make(tmp_path / "photos")
    arguments = ["--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--cache", str(tmp_path / "cache")]
    assert call([*RUN, "--model", model, "--encoder", "pocket", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_a_corrupt_image_ends_the_run_and_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (root / "test" / "n2" / "test1.png").write_bytes(b"")
    arguments = ["--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--cache", str(tmp_path / "cache")]
    assert call([*RUN, *arguments, "--out", str(tmp_path / "out")]) == 1
    assert "test1.png' cannot be decoded" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("result.json"))


def test_a_truncated_cache_file_ends_the_run_and_is_left_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, taxonomy = make(tmp_path / "photos")
    arguments = [*RUN, "--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--task", "leaf",
                 "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--set", "epochs=1"]  # fmt: skip
    assert call(arguments) == 0
    (path,) = (tmp_path / "cache").rglob("*.h5")
    path.write_bytes(path.read_bytes()[:-900])
    assert call(arguments) == 1
    assert f"rm '{path}'" in capsys.readouterr().err and path.exists()


def test_a_task_that_the_dataset_cannot_serve_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: leaf\ndeprivation: {kind: systematic, n: 14}\n")
    arguments = ["run", "--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--cache", str(tmp_path / "cache"),
                 "--task", f"{tmp_path}/mine.yaml,leaf", "--out", str(tmp_path / "out"), "-q"]  # fmt: skip
    assert call(arguments) == 1
    said = capsys.readouterr()
    assert "| leaf@2 " in said.out
    assert said.err.startswith("taxbench: 1 of 2 runs failed.\nmine seed 42: The task removes 14 hypernyms")


def test_every_run_reports_its_own_wall_times(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    arguments = [*RUN, "--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--task", "leaf", "--seeds", "1,2",
                 "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]  # fmt: skip
    assert call(arguments) == 0
    first, second = (
        json.loads(next((tmp_path / "out").glob(f"leaf/*seed{seed}*/timing.json")).read_text())["seconds"]
        for seed in (1, 2)
    )
    assert set(first) == {"dataset", "features", "lm", "train", "evaluate"}  # what runs share stands with the first
    assert set(second) == {"train", "evaluate"}


def test_python_dash_m_is_the_same_program_and_its_exit_code_reaches_the_shell() -> None:
    done = subprocess.run([sys.executable, "-m", "taxbench", "ls", "things"], capture_output=True, text=True)
    assert done.returncode == 2 and "things" in done.stderr
    assert shutil.which("taxbench")


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        (["run", "--model"], "smollm2-13", ["smollm2-135m-q4", "smollm2-135m"]),
        (["run", "--model"], "pocket,smollm2-135m-", ["pocket,smollm2-135m-q4"]),
        (["run", "--encoder"], "dinov2-reg-l", ["dinov2-reg-large"]),
        (["extract", "--encoder"], "pix", ["pixels"]),
        (["run", "--head"], "line", ["linear", "linear_k"]),
        (["run", "--head"], "al", ["all"]),
        (["run", "--head"], "mlp,v", ["mlp,vq"]),
        (["run", "--head", "linear", "--set"], "", [f"{each.name}=" for each in settings("linear")]),
        (["run", "--device"], "cu", ["cuda"]),
        (["run", "--dataset"], "th", ["things"]),
        (["run", "--dataset"], "folder:ph", ["folder:photos"]),
        (["ls", "--tag"], "curv", ["curve"]),
    ],
)
def test_names_are_completed(
    words: list[str], begun: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    complete = ShellComplete(cli, {}, "taxbench", "_TAXBENCH_COMPLETE")
    assert [item.value for item in complete.get_completions(words, begun)] == found


def test_settings_are_listed_with_owner_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["ls", "settings", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    (epochs,) = (each for each in listed if each["name"] == "epochs")
    assert {"default": 4, "owner": "trainer"}.items() <= epochs.items()
    assert all(len(entry["summary"].partition(": ")[2]) > 10 for entry in listed)


def test_an_unknown_tag_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["ls", "--tag", "curv"]) == 2
    assert "Did you mean 'curve'?" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["completion", shell]) == 0
    assert "_TAXBENCH_COMPLETE" in capsys.readouterr().out


def test_the_contact_sheet_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sheet.of"
    assert call(["pocket", "sheet", "--out", str(path), "--per-concept", "1"]) == 0
    with Image.open(path) as picture:
        assert picture.width > 300 and np.asarray(picture).std() > 10


def test_messages_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a\x1b[31mb\nc"
    folder.mkdir()
    (folder / "result.json").write_text("{")
    assert call(["leaderboard", "show", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\\x1b[31mb" in said
