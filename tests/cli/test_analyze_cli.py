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
