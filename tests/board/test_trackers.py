"""Results as runs of an experiment tracker, read back from trackio's own database."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from taxbench.cli.main import call
from taxbench.results.records import LOSSES, RESULT
from taxbench.specs.side_files import LossCurve, TrainingLosses
from tests.board.records import record


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two results, of which one has losses beside it; trackio writes next to it."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "tracked"))
    for seed in (1, 2):
        record(tmp_path / "results", seed, 1.5)
    heads = {"none": LossCurve.of([0.7, 0.5, 0.3], [(2, 0.4)]), "random_lm": LossCurve.of([0.7, 0.6, 0.6], [])}
    first = min((tmp_path / "results").rglob(RESULT)).parent
    (first / LOSSES).write_text(TrainingLosses(heads=heads).model_dump_json())
    return tmp_path / "results"


def test_a_tracker_has_settings_losses_and_scores_of_every_result(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["leaderboard", "track", str(results), "--to", "trackio", "--project", "mine", "--json"]) == 0
    names = json.loads(capsys.readouterr().out)
    trackio = pytest.importorskip("trackio")
    runs = {run.name: run for run in trackio.Api().runs("mine")}
    assert sorted(runs) == sorted(names) and len(names) == 2
    first = runs[min(names)]
    assert {"task", "model", "encoder", "head", "learning_rate"} <= set(first.config)
    lines = import_module("trackio.sqlite_storage").SQLiteStorage.get_logs("mine", first.name)
    seen = {key: value for line in lines for key, value in line.items()}
    assert seen["train/loss"] == 0.3 and seen["validation/loss"] == 0.4 and seen["random_lm/train/loss"] == 0.6
    (score,) = (json.loads(path.read_text()) for path in results.rglob("result.json") if first.name in str(path))
    assert seen["unseen/macro_f1"] == pytest.approx(score["scores"]["unseen"]["macro_f1"])
    assert seen["random_lm/unseen/auroc"] == pytest.approx(score["controls"]["random_lm"]["unseen"]["auroc"])


def test_a_tracker_that_is_not_installed_says_what_to_type(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert call(["leaderboard", "track", str(results), "--to", "wandb"]) == 2
    assert "pip install wandb" in capsys.readouterr().err


def test_a_tracker_s_own_errors_are_told(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class OwnError(Exception):
        pass

    def refuse(**given: object) -> None:
        raise OwnError("no API key")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=refuse))
    assert call(["leaderboard", "track", str(results), "--to", "wandb"]) == 1
    assert "wandb: no API key" in capsys.readouterr().err
