"""Run files: the same run as the options they hold, every mistake at its line, and what is typed counts."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from taxbench.cli.main import call
from taxbench.runs.config import resolve
from taxbench.runs.run_file import RunFile, resolve_file, run_file_schema
from taxbench.runs.run_options import Options
from taxbench.util.errors import UsageError

GRID = """\
task: [unseen_hypernym, leaf]
model: pocket
encoder: [pocket, pixels]
head: [mlp, linear]
seeds: [42, 7]
set:
  learning_rate: [1e-3, 3e-3]
  frame: qa
limit: 6
out: mine
"""
TYPED = Options(task="unseen_hypernym,leaf", encoder="pocket,pixels", head="mlp,linear", seeds="42,7", limit=6,
                out="mine", settings=("learning_rate=0.001,0.003", "frame=qa"))  # fmt: skip


def write(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def refused(path: Path, **typed: object) -> list[str]:
    """Return what is said of a run file, without its folder."""
    with pytest.raises(UsageError) as caught:
        resolve_file(path, typed)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_a_run_file_asks_for_what_its_options_ask_for(tmp_path: Path) -> None:
    path = write(tmp_path, GRID)
    assert resolve_file(path, {}) == resolve(TYPED)
    jsonschema.validate(yaml.safe_load(GRID.replace("1e-3, 3e-3", "0.001, 0.003")), run_file_schema())


def test_every_option_of_a_run_can_stand_in_a_run_file() -> None:
    from dataclasses import fields

    from taxbench.cli.run import command

    typed = {option.opts[-1].removeprefix("--").replace("-", "_") for option in command.params}
    assert set(RunFile.model_fields) == {"set" if name == "settings" else name for name in typed} - {"file", "json"}
    assert len(RunFile.model_fields) == len(fields(Options))
    for name, field in RunFile.model_fields.items():
        option = {"set": "settings", "include_path": "include"}.get(name, name)
        usual = field.get_default(call_default_factory=True)
        said = ",".join(map(str, usual)) if isinstance(usual, list) else usual
        assert said == (getattr(Options(), option) or None) or not usual, name


def test_what_is_typed_stands_in_place_of_the_file_s(tmp_path: Path) -> None:
    path = write(tmp_path, GRID)
    config = resolve_file(path, {"head": "linear", "seeds": "3", "settings": ("learning_rate=2e-3", "epochs=1")})
    assert config.seeds == (3,) and config.limit == 6
    assert {cell.head.name for cell in config.cells} == {"linear"}
    assert {(cell.trainer.learning_rate, cell.trainer.epochs, cell.prompt.frame) for cell in config.cells} == {
        (2e-3, 1, "qa")
    }
    assert call(["run", str(path), "--head", "nosuch"]) == 2


def test_all_unknown_names_are_said_at_once_at_their_places(tmp_path: Path) -> None:
    path = write(tmp_path, "task: [unseen_hypernym, leef]\nhead: [mlp, linaer]\nmodel: llam\nencoder: [pocket, dino9]\n"
                           "dataset: pockt\nset: {epochs: 1}\n")  # fmt: skip
    said = refused(path)
    assert [line.partition(" Unknown")[0] for line in said] == [
        "grid.yaml:1:25:", "grid.yaml:2:13:", "grid.yaml:3:1:", "grid.yaml:4:19:", "grid.yaml:5:1:"
    ]  # fmt: skip
    hints = ("leaf", "linear", "llama", "dinov3", "pocket")
    assert all(f"Did you mean '{near}'?" in line for near, line in zip(hints, said, strict=True))
    path = write(tmp_path, "task: leaf\nset: {epoch: 3}\n")
    assert refused(path)[0].startswith("grid.yaml:2:7: --set epoch=3: nothing has the setting 'epoch'.")
    (said_of_typed,) = refused(path, settings=("epoch=4",))
    assert said_of_typed.startswith("--set epoch=4: nothing has")
    path = write(tmp_path, "task: leaf\nset: {epochs: 1, language: [de, xx]}\n")
    assert refused(path)[0].startswith("grid.yaml:2:18: Unknown language 'xx'.")
    assert refused(path, settings=("language=yy",))[0].startswith("Unknown language 'yy'.")
    assert (
        refused(path, settings=("laguage=yy", "language=de"))[0]
        .partition(" Settings: ")[0]
        .endswith("Did you mean 'language'?")
    )
    assert refused(path, settings=("language",)) == ["--set 'language': expected KEY=VALUE."]
    said = refused(write(tmp_path, "head: match\nencoder: dino9\nout: ''\n"))
    assert [line.partition(": ")[0] for line in said] == ["grid.yaml:1:1", "grid.yaml:2:1", "grid.yaml:3:1"]
    said = refused(write(tmp_path, "set:\n  hidden: 8\n  epochs: [3, 0]\n"))
    assert [line.partition(" Input")[0] for line in said] == ["grid.yaml:3:3: --set epochs=0:"]


def test_what_is_no_run_file_and_what_is_unknown_are_said_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "seeds: [42, x]\nhead: [mlp, linaer]\nset: {epoch: 3}\ndtype: float8\nmodle: pocket\ntask: leef\n"
    said = refused(write(tmp_path, text))
    assert [line.partition(": ")[0] for line in said] == [
        f"grid.yaml:{place}" for place in ("1:13", "2:13", "3:7", "4:1", "5:1", "6:1")
    ]
    said = refused(write(tmp_path, "head: [linear_k, 5]\nset: {tokens: 3}\nlimit: 1\n"))
    assert [line.partition(": ")[0] for line in said] == ["grid.yaml:1:18", "grid.yaml:3:1"]  # tokens are linear_k's
    said = refused(write(tmp_path, "modle: pocket\n"), head="linaer")
    assert said[0].startswith("grid.yaml:1:1: unknown field") and said[1].startswith("Unknown head 'linaer'")


def test_what_is_no_run_file_is_told_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "task: [1, leaf]\nmodle: pocket\nseeds: a\nset: {epochs: [1, {a: b}], pool: []}\nlimit: x\n")
    assert refused(path) == [
        "grid.yaml:1:8: task[0]: expected text, found 1",
        "grid.yaml:2:1: unknown field 'modle'. Did you mean 'model'?",
        "grid.yaml:3:1: seeds[0]: expected a whole number, found 'a'",
        "grid.yaml:4:19: set.epochs[1]: expected a number, text, true or false",
        "grid.yaml:4:28: set.pool: expected at least 1 of them, found 0",
        "grid.yaml:5:1: limit: expected a whole number, found 'x'",
    ]
    assert refused(write(tmp_path, "- task\n"))[0].startswith("grid.yaml:1:1: expected a mapping")
    assert refused(tmp_path / "none.yaml") == ["none.yaml:1:1: 'none.yaml' cannot be read (No such file or directory)."]
    assert refused(write(tmp_path, "task: leaf\nlimit: 1\n"))[0].startswith("grid.yaml:2:1: --limit 1: expected 2")


def test_the_schema_of_run_files_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["schema", "run"]) == 0
    assert json.loads(capsys.readouterr().out) == run_file_schema()
