"""The analysis of generalisation: what goes into it, the published direction, and words that follow the figures."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taxbench.board.analysis.generalisation import ALL, ORIGINAL, analyse, observations, published_table
from taxbench.board.analysis.generalisation_text import analysis_text, limits, sentences
from taxbench.util.errors import UsageError
from tests.board.boards import row

NAMES = {"dataset": "pocket", "lm": "a-lm", "encoder": "eye", "head": "mlp", "features": "pooled", "setting": ""}
SHARED = Path(__file__).parents[3] / "shared" / "data" / "paper_visual_coherence.csv"


def table(path: Path, similarity: float, text: float, known: float = 1.0) -> Path:
    """Write a table in which F1 depends on similarity and text-only F1 as told, up to noise."""
    random = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["category", "vc_original", "f1_eye+1b-things", "lm_text_f1_Qwen3-1.7B"])
        for number in range(30):
            x, t = random.uniform(0, 0.5), random.uniform(0.5, 1) if known < 1 else random.uniform(0.4, 1)
            y = (0.2 if similarity >= 0 else 0.6) + similarity * x + text * t + random.normal(0, 0.03)
            lines.writerow([f"c{number}", x, y, 1.0 if known < 1 else t])
    return path


@pytest.mark.parametrize("path", [published_table(), pytest.param(SHARED, marks=pytest.mark.skipif(
    not SHARED.is_file(), reason="the shared file is absent"))], ids=["committed", "shared"])  # fmt: skip
def test_the_published_direction_comes_out(path: Path) -> None:
    found = analyse([path])
    assert [each.pairing for each in found.findings] == [ORIGINAL, ALL]
    for each in found.findings:
        joint = each.analysis.joint
        assert joint is not None and joint.n_clusters == 53
        assert 0.75 < joint["similarity"].value < 0.95 and joint["similarity"].p < 0.001
        assert joint["text_only"].value < 0.3 and joint["text_only"].p > 0.2
        assert each.systems and not any(name.endswith("-random") for name in each.systems)
        about_similarity, about_text = sentences(each)
        assert "Visual similarity predicts generalisation" in about_similarity
        assert "Text-only F1 does not predict generalisation significantly" in about_text
    (qwen,) = analyse([path], ORIGINAL, ["dinov2+1b", "dinov2+500m"]).findings
    assert qwen.n == 106 and qwen.analysis.joint is not None
    assert qwen.analysis.joint["similarity"].value == pytest.approx(0.79, abs=0.02)


@pytest.mark.parametrize(("similarity", "text", "said"), [
    (1.2, 0.0, ["Visual similarity predicts generalisation: F1 is higher by 0.1", "Text-only F1 does not predict"]),
    (0.0, 0.5, ["Visual similarity does not predict", "Text-only F1 predicts generalisation: F1 is higher by 0.05"]),
    (-0.8, 0.0, ["Visual similarity goes against it: F1 is lower by 0.0", "Text-only F1 does not predict"]),
])  # fmt: skip
def test_the_words_follow_the_figures(tmp_path: Path, similarity: float, text: float, said: list[str]) -> None:
    (found,) = analyse([table(tmp_path / "made.csv", similarity, text)]).findings
    assert all(words in line for words, line in zip(said, sentences(found), strict=True))
    (limit,) = limits(found)
    assert "30 hypernyms are few" in limit and "one system only" in limit


def test_text_that_says_nothing_is_left_out_with_the_reason(tmp_path: Path) -> None:
    found = analyse([table(tmp_path / "made.csv", 1.0, 0.0, known=0.0)])
    assert found.findings[0].analysis.joint is None and "text-only F1 is left out" in found.notes[0]
    assert "predicts generalisation" in sentences(found.findings[0])[0]
    assert "Text-only F1: not known" in analysis_text(found)


def test_observations_are_hypernyms_of_the_three_pairings_without_controls() -> None:
    tasks = ("leaf", "unseen_hypernym", "counterfactual_high", "counterfactual_low")
    rows = [row(task, NAMES) for task in tasks]
    rows += [row("unseen_hypernym", NAMES | {"head": "no_image"})]
    blank = rows[1].terms[0]
    rows[1] = replace(rows[1], terms=(replace(blank, similarity=None), *rows[1].terms[1:]))
    notes: list[str] = []
    found = observations(rows, notes)
    assert {each.pairing for each in found} == {"original", "within_category", "across_category"}
    assert len(found) == 3 * 14 - 1 and {each.system for each in found} == {"a-lm ← mlp ← eye, pocket"}
    assert found[0].text_only == rows[1].terms[1].controls["text_only"]
    assert notes == ["Left out: heads that are controls (no_image).",
                     "Left out: 1 hypernyms of runs, without an F1 or a visual similarity."]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), [
    ({"pairing": "orignal"}, "Unknown pairing 'orignal'. Did you mean 'original'"),
    ({"systems": ["dino2+1b"]}, "Unknown system 'dino2.1b'. Did you mean 'dinov2.1b'"),
])  # fmt: skip
def test_wrong_names_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        analyse([published_table()], **given)  # type: ignore[arg-type]
