"""`taxbench analyze`: what is read, and what is printed."""

import json
from pathlib import Path

import pytest

from taxbench.board.references import SOURCE
from taxbench.cli.main import call
from tests.board.records import record


def test_the_published_table_is_analysed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["analyze", "--published"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"**F1 of hypernyms, pairing original** ({SOURCE}; 7 systems)")
    for words in ("| both; fixed: system ", "Spearman", "Visual similarity predicts", "Limits: ", "dinov2+1b-random"):
        assert words in said
    assert call(["analyze", "--published", "--pairing", "original", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["n"] == 371 and len(found["analysis"]["joint"]["coefficients"]) > 3


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "No such folder: 'results'"), (["--published", "x"], "takes no folders"),
    (["made"], "There is nothing to analyse"), (["broken.csv"], "no column is named like f1_SYSTEM-things"),
])  # fmt: skip
def test_nothing_to_analyse_is_said(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    record(Path("made"))  # without visual similarities
    Path("broken.csv").write_text("category,x\na,1\n")
    assert call(["analyze", *arguments]) in (1, 2)
    assert said in capsys.readouterr().err


def test_consistency_is_told_of_records_with_its_controls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        record(tmp_path, seed, 2.0)
    record(tmp_path, 1, 2.0, "leaf")  # asks no hypernyms
    assert call(["analyze", "--consistency", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "hypernyms given leaf" in table and "random LM" in table and table.count("unseen_hypernym@2") == 1
    assert call(["analyze", "--consistency", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["consistency"]["low"] < row["consistency"]["mean"] < row["consistency"]["high"]
    assert row["consistency"]["mean"] > 3 * row["controls"]["random_lm"]["mean"] and row["chance"]["mean"] == 0.0625
    assert call(["analyze", "--consistency", str(tmp_path / "leaf")]) == 2
    assert "taxbench run --task unseen_hypernym" in capsys.readouterr().err


def test_alignment_is_told_of_a_pair_at_hand_and_why_not_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXBENCH_CACHE", str(tmp_path / "cache"))
    options = ["--head", "ridge_token", "--encoder", "pixels", "--limit", "2", "--set", "epochs=1"]
    assert call(["--quiet", "run", *options, "--out", str(tmp_path / "out")]) == 0
    record(tmp_path / "out")
    capsys.readouterr()
    assert call(["--quiet", "analyze", "--alignment", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    line = [cell.strip() for cell in said.splitlines()[2].split("|")]
    assert line[1:5] == ["pocket (first 2)", "pocket", "pixels", "104"] and 0 < float(line[7]) < 1
    assert "cannot tell whether alignment predicts transfer, of 6 that can: ridge_token (epochs=1) 1." in said
    assert "Left out: eye and speaker on made." in said
