"""The whole suite on the embedded default, as a user runs it; and the science that it must show."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

import taxbench
from taxbench.datasets.dataset import load_dataset
from taxbench.features.coherence import Coherence
from taxbench.features.store.index import entries, open_entry
from taxbench.protocol.counterfactual import re_pair
from taxbench.results.predictions import read_predictions
from taxbench.specs.task import AcrossCategory, Graded, WithinCategory

TASKS = "unseen_hypernym,counterfactual_low"
ONE_PASS = ("--set", "epochs=1", "--set", "learning_rate=3e-3")
"""A quarter of the default's training, which shows all that is tested here."""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(cache: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run TASKS with everything at its default but the training."""
    command = [sys.executable, "-m", "taxbench", "run", "--task", TASKS, *ONE_PASS, "--cache", str(cache)]
    return subprocess.run([*command, "--out", str(out), *arguments], capture_output=True, text=True, check=True)


@pytest.fixture(scope="session")
def outcome(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("out")
    shown = run(cache, out, "--json").stdout
    return {"runs": {entry["run"]["task"]["name"]: entry for entry in json.loads(shown)}, "out": out, "shown": shown}


def f1(entry: dict[str, Any], split: str, control: str | None = None) -> float:
    scores = entry["controls"][control] if control else entry["scores"]
    return float(scores[split]["macro_f1"])


def test_a_head_trained_on_leaves_knows_leaves_and_transfers_to_hypernyms(outcome: dict[str, Any]) -> None:
    entry = outcome["runs"]["unseen_hypernym"]
    assert f1(entry, "leaf") > 0.75
    assert f1(entry, "unseen") > 0.75
    assert entry["evidence"]["n_hypernym_questions"] == 0


def test_a_random_lm_fits_leaves_and_knows_no_hypernym(outcome: dict[str, Any]) -> None:
    entry = outcome["runs"]["unseen_hypernym"]
    assert f1(entry, "leaf", "random_lm") > 0.7
    assert f1(entry, "unseen", "random_lm") < f1(entry, "unseen") - 0.2
    assert 0.4 < entry["controls"]["random_lm"]["unseen"]["auroc"] < 0.66


def test_re_pairing_across_categories_destroys_it(outcome: dict[str, Any]) -> None:
    low = outcome["runs"]["counterfactual_low"]
    assert f1(low, "unseen") < f1(outcome["runs"]["unseen_hypernym"], "unseen") - 0.12
    assert f1(low, "heldout_leaf") < f1(outcome["runs"]["unseen_hypernym"], "heldout_leaf") - 0.1
    assert 0.3 < low["scores"]["heldout_leaf"]["auroc"] < 0.7
    assert low["visual_similarity"]["after"] < 0.6 * low["visual_similarity"]["before"]


def test_scores_follow_from_the_predictions_beside_them(outcome: dict[str, Any]) -> None:
    for result in taxbench.load_results(str(outcome["out"])):
        (folder,) = [path.parent for path in outcome["out"].rglob("result.json") if result.digest[:8] in str(path)]
        predictions = read_predictions(folder / "predictions.npz")
        assert set(predictions.controls) == {"random_lm", "no_image", "shuffled_features", "text_only", "feature_probe"}
        for split, scores in result.scores.items():
            rows = predictions.rows_of(split)
            truth, yes = predictions.answer[rows], predictions.margins["none"][rows] > 0
            terms = predictions.term[rows]
            f1 = [f1_score(truth[terms == term], yes[terms == term], average="macro") for term in np.unique(terms)]
            assert scores.macro_f1 == pytest.approx(np.mean(f1), abs=1e-6)


def test_every_control_takes_away_what_it_says(outcome: dict[str, Any]) -> None:
    entry = outcome["runs"]["unseen_hypernym"]
    blind = {name: f1(entry, "leaf", name) for name in ("no_image", "shuffled_features")}
    assert max(blind.values()) < 0.6 < f1(entry, "leaf") < f1(entry, "leaf", "text_only")
    assert all(abs(entry["controls"]["no_image"][split]["auroc"] - 0.5) < 0.02 for split in ("leaf", "unseen"))
    assert f1(entry, "unseen", "shuffled_features") < f1(entry, "unseen") - 0.2


def test_the_same_command_writes_the_same_bytes(cache: Path, outcome: dict[str, Any], tmp_path: Path) -> None:
    assert run(cache, tmp_path, "--json").stdout == outcome["shown"]
    files = [sorted(path for path in out.rglob("*") if path.is_file()) for out in (outcome["out"], tmp_path)]
    for one, two in zip(*files, strict=True):
        if one.name != "timing.json":
            assert one.read_bytes() == two.read_bytes(), one.name


def test_a_finished_run_is_not_repeated(cache: Path, outcome: dict[str, Any]) -> None:
    done = run(cache, outcome["out"])
    assert done.stderr.count("already done") == 2
    assert "unseen_hypernym@2" in done.stdout


def test_a_graded_re_pairing_reaches_the_similarity_it_is_asked_for(cache: Path, outcome: dict[str, Any]) -> None:
    dataset = load_dataset("pocket")
    (entry,) = entries(cache)
    coherence = Coherence(open_entry(entry).pooled(), dataset)
    for seed in (42, 218, 7):
        wanted = np.linspace(0, 1, 11)
        kinds = [Graded(kind="graded", similarity=level) for level in wanted]
        found = np.array([coherence(re_pair(dataset.taxonomy, kind, seed, coherence)) for kind in kinds])
        low = coherence(re_pair(dataset.taxonomy, AcrossCategory(kind="across_category"), seed))
        high = coherence(re_pair(dataset.taxonomy, WithinCategory(kind="within_category"), seed))
        assert (found[0], found[-1]) == (low, high)
        assert np.abs((found - low) / (high - low) - wanted).max() < 0.02
        assert (np.diff(found) > 0).all()


def test_the_worked_example_of_the_tasks_page_works_as_it_is_printed(
    cache: Path, outcome: dict[str, Any], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[1] / "tasks" / "README.md").read_text()
    example, commands = re.findall(r"```(?:yaml|sh)\n(.*?)```", page.partition("<!-- worked example -->")[2], re.S)[:2]
    (tmp_path / "my_photo.yaml").write_text(example)
    lines = [line.partition("#")[0].split() for line in commands.splitlines()]
    assert [line[1] for line in lines] == ["validate", "show", "run"]
    shown = []
    for line in lines:
        fast = ["--cache", str(cache), "--set", "batch_images=128", "--set", "epochs=1"] if line[1] == "run" else []
        command = [sys.executable, "-m", *line, *fast]
        shown.append(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert "Does this photo show " in shown[1]
    assert "| my_photo@1" in shown[2]
