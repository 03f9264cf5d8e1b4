"""`taxbench score`: every figure anew from the predictions, without a model."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from taxbench.cli.score import command
from tests.board.hostile import edited, honest

OLD = Path(__file__).parents[1] / "results" / "golden" / "version1-c4272b5.json"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    honest(folder / "run")
    return folder


@pytest.fixture
def results(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "results"))


def score(*arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)))


def test_an_honest_record_is_scored_the_same(good: Path) -> None:
    done = score(good)
    assert done.exit_code == 0
    header, *lines = done.stdout.splitlines()
    assert header.split()[:4] == ["task", "split", "F1", "recorded"]
    assert [line.split()[1] for line in lines] == ["leaf", "heldout_leaf", "unseen"]
    for line in lines:
        _, _, f1, f1_anew, auroc, auroc_anew, same, _ = line.split()
        assert f1 == f1_anew and auroc == auroc_anew and same == "yes"


@pytest.mark.parametrize(("place", "value", "said"), [
    ("scores.unseen.macro_f1", 0.99, "scores.unseen.macro_f1 is 0.99, but 0."),
    ("controls.random_lm.unseen.auroc", 0.1, "controls.random_lm.unseen.auroc is 0.1, but 0."),
    ("categories.0.f1", None, "categories.leaf.airplane.f1 is no score, but 0."),
    ("categories", [], "categories.leaf.airplane.f1 is absent"),
])  # fmt: skip
def test_a_figure_that_differs_is_named(results: Path, place: str, value: object, said: str) -> None:
    edited(place, value)(results / "run")
    done = score(results)
    assert done.exit_code == 1 and said in done.stdout
    assert " no " in done.stdout and len(done.stdout.splitlines()) < 30
    found = json.loads(score(results, "--json").stdout)
    assert found[0]["same"] is False and any(split["differences"] for split in found[0]["splits"])


def test_what_cannot_be_scored_is_said_and_stops_no_other(results: Path) -> None:
    for name in ("broken", "torn", "old"):
        shutil.copytree(results / "run", results / name)
    (results / "broken" / "predictions.npz").write_bytes(b"PK")
    (results / "torn" / "result.json").write_text("{")
    shutil.copy(OLD, results / "old" / "result.json")
    done = score(results)
    assert done.exit_code == 1
    for said in ("not a file of predictions", "not JSON at line 1", "older form", " yes "):
        assert said in done.stdout
    assert sum(record["same"] for record in json.loads(score(results, "--json").stdout)) == 1
