"""`taxbench leaderboard`: one table, a board that is built, and records that are checked before they are added."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

import taxbench
from taxbench.board.build import FORMS
from taxbench.board.load import RESULTS
from taxbench.board.resampling import FILE
from taxbench.cli.main import call
from tests.board.records import record
from tests.made import assert_light


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (1, 2):
        record(tmp_path / "results", seed, 1.5)
    return tmp_path / "results"


def test_results_are_shown_in_every_form(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {"table": "| unseen_hypernym@2 |", "md": "## Dataset made", "csv": "task,dataset,", "tex": "booktabs",
             "html": "<!doctype html>", "json": '"schema_version"'}  # fmt: skip
    for form, words in forms.items():
        assert call(["-q", "leaderboard", "show", str(results), "--format", form]) == 0
        shown = capsys.readouterr().out
        assert words.lower() in shown.lower(), form
    (row,) = json.loads(shown)["rows"]
    assert call(["-q", "leaderboard", "show", str(results), "--columns", "task,head,F1", "--sort", "f1"]) == 0
    assert "| task " in (chosen := capsys.readouterr().out) and "| head " in chosen and "| transfer " not in chosen
    assert call(["-q", "leaderboard", "show", str(results), "--sort", "F2"]) == 2
    assert "There is no column 'F2'. Did you mean 'f1'?" in capsys.readouterr().err
    with monkeypatch.context() as patch:  # known before hours of resampling
        patch.setattr("taxbench.board.build.make_board", pytest.fail)
        assert call(["-q", "leaderboard", "show", str(results), "--columns", "LM,F2"]) == 2
    assert call(["-q", "leaderboard", "show", str(results), "--sort", "F1", "--format", "csv"]) == 2
    assert "are of the table" in capsys.readouterr().err
    assert row["seeds"] == [1, 2] and row["f1"]["low"] < row["f1"]["mean"] < row["f1"]["high"]


def test_records_are_added_once_checked_and_the_board_is_built(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    add = ["-q", "leaderboard", "add", str(results), "--board", str(board), "--json"]
    assert call(add) == 0
    assert [each["status"] for each in json.loads(capsys.readouterr().out)] == ["added", "added"]
    assert call(add) == 0
    assert [each["status"] for each in json.loads(capsys.readouterr().out)] == ["already there"] * 2
    assert {path.name for path in (board / RESULTS).rglob("*.*")} == {"result.json", "predictions.npz", "timing.json"}
    assert call(["-q", "leaderboard", "build", "--board", str(board)]) == 0
    assert {path.name for path in board.iterdir()} >= set(FORMS.values())
    capsys.readouterr()
    for place in ([str(board)], ["--board", str(board)]):
        assert call(["-q", "leaderboard", "check", *place]) == 0
        assert capsys.readouterr().out == "fine: 2\n"


def test_a_tampered_record_is_refused_with_the_reason_and_the_others_go_on(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted(results.rglob("result.json"))[0]
    path.write_text(path.read_text().replace('"macro_f1": 0.', '"macro_f1": 0.9', 1))
    assert call(["-q", "leaderboard", "add", str(results), "--board", str(tmp_path / "board")]) == 1
    shown = capsys.readouterr().out
    assert "refused: 1" in shown and "added: 1" in shown and "taxbench leaderboard build" in shown
    assert len(list((tmp_path / "board").rglob("result.json"))) == 1


def test_what_a_board_keeps_is_not_resampled_by_its_readers(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXBENCH_CACHE", str(tmp_path / "cache"))
    assert call(["-q", "leaderboard", "build", "--board", str(tmp_path)]) == 0
    with monkeypatch.context() as patch:
        patch.setattr("taxbench.board.resampling.replicates", lambda *_: pytest.fail("resampled again"))
        for place in (tmp_path, results):
            assert call(["-q", "leaderboard", "show", str(place), "--json"]) == 0
            out = ["--out", str(tmp_path / "exported")]
            assert call(["-q", "leaderboard", "export", str(place), "--format", "every-eval-ever", *out]) == 0
            assert taxbench.load_table(place, quiet=True).f1_low[0] > 0
    (tmp_path / FILE).unlink()
    monkeypatch.setattr("taxbench.util.progress._FIRST_LINE", 0.0)
    capsys.readouterr()
    taxbench.load_table(tmp_path)
    assert "resample: 100%" in capsys.readouterr().err


def test_verbs_about_finished_results_never_import_torch(results: Path) -> None:
    lines = [f"{verb} {results}" for verb in ("leaderboard show", "leaderboard check", "score")]
    lines.append(f"compare {results} {results}")
    assert_light(("torch", "transformers", "h5py", "matplotlib"), lines)


def test_records_follow_their_schema(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["schema", "result"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    found = json.loads(next(results.rglob("result.json")).read_text())
    Draft202012Validator(schema).validate(found)
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(found | {"scores": {"leaf": 0.5}})
    assert all("description" in each or "$ref" in each for each in schema["properties"].values())
    assert schema["$defs"]["Scores"]["properties"]["macro_f1"]["anyOf"][0]["maximum"] == 1
