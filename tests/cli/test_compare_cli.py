"""`taxbench compare`: the table, the terms, JSON, and what is no comparison."""

import json
from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.specs.run import HeadSpec
from tests.board.records import record


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    record(folder, 42, 2.0)
    record(folder, 42, 0.5, head=HeadSpec(name="linear"))
    return folder


def test_two_heads_are_compared(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "head=mlp", "head=linear", "--results", str(results), "--terms", "2"]
    assert call(words) == 0
    said = capsys.readouterr()
    assert "They differ in head (mlp | linear)." in said.out and "| unseen_hypernym@2 | unseen | 42 " in said.out
    assert "**Where they differ on unseen_hypernym@2, unseen** (2 of " in said.out
    assert "McNemar" in said.err and "Holm" not in said.out  # of one task there is nothing to adjust
    assert call(["-q", *words, "--json"]) == 0
    said = capsys.readouterr()
    (task,) = json.loads(said.out)["tasks"]
    assert len(task["comparison"]["terms"]) > 2 and task["holm_p"] == task["comparison"]["permutation_p"]
    assert not said.err


def test_a_side_that_is_no_one_system_is_a_usage_error(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["compare", str(results), "head=mlp", "--results", str(results), "--task", "leaf"]) == 2
    said = capsys.readouterr().err
    assert "holds 2 systems, and a side is one" in said
    assert f"taxbench compare head=linear head=mlp --results {results} --task leaf\n" in said


def test_names_from_records_are_shown_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 42), ("b", 42)):
        made = record(tmp_path / name, seed)
        path = next((tmp_path / name).rglob("result.json"))
        path.write_text(path.read_text().replace(f'"name": "{made.encoder}"', f'"name": "\\u001b[31m|{name}<i>"'))
    assert call(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and r"\[31m\|a\<i\>" in said
