"""A prompt is chosen by names alone, once, and is part of a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxbench
from taxbench.datasets.dataset import load_dataset
from taxbench.lms.frozen import load_lm, random_twin
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.registry.models import find_lm
from taxbench.runs import prompts
from taxbench.runs.config import resolve
from taxbench.runs.prompts import PromptScore, Wording, choose_prompt, frame_margins, identity_questions, name_scores
from taxbench.runs.run_options import Options
from taxbench.specs.task import RAW, PromptSpec
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import UsageError
from taxbench.util.progress import Reporter
from tests.made import make_photos

QUIET = Reporter(quiet=True)
AUTO = PromptSpec(frame="auto")


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Wording]:
    protocol = Protocol(find_tasks().tasks["unseen_hypernym"], load_dataset("pocket"), 0)
    return load_lm(find_lm("pocket"), torch.device("cpu"), torch.float32), Wording.of(protocol, "image_first")


@pytest.mark.parametrize("n", [2, 3, 7, 300])
def test_every_name_is_asked_of_itself_once_and_of_others(n: int) -> None:
    asked = identity_questions(n)
    assert (asked.answer == (asked.image == asked.term)).all()
    for term in np.unique(asked.term):
        own = asked.term == term
        assert asked.answer[own].sum() == 1 and (~asked.answer[own]).sum() == min(3, n - 1)
    assert len(np.unique(asked.term)) == min(n, 64)


def test_one_pass_gives_what_every_form_gives_alone(pocket: tuple[Any, Wording]) -> None:
    lm, wording = pocket
    asked = identity_questions(20)
    together = frame_margins(lm, wording, "qa", asked, lambda *_: None)
    assert [prompt.answer_form for prompt in together] == ["blank", "bare", "both"]
    for prompt, margins in together.items():
        alone = QuestionScorer.of(lm, wording.questions, wording.answers, wording.order, prompt)
        scores = name_scores(alone, wording.names, asked, lambda *_: None)
        half = len(alone.table.answers[0])
        expected = np.logaddexp.reduce(scores[:, :half], axis=1) - np.logaddexp.reduce(scores[:, half:], axis=1)
        np.testing.assert_allclose(margins, expected, atol=1e-4)


def test_names_are_asked_in_smaller_parts_where_memory_runs_out(
    pocket: tuple[Any, Wording], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, wording = pocket
    whole, sizes, own = [], list[int](), QuestionScorer.answer_scores

    def small(self: QuestionScorer, soft: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        if len(soft) > 9:
            raise torch.OutOfMemoryError("too large")
        sizes.append(len(soft))
        return own(self, soft, terms)

    for patched in (own, small):
        monkeypatch.setattr(QuestionScorer, "answer_scores", patched)
        whole.append(frame_margins(lm, wording, "raw", identity_questions(40), lambda *_: None))
    for prompt, margins in whole[0].items():
        np.testing.assert_allclose(whole[1][prompt], margins, atol=1e-4)
    assert max(sizes) <= 9


def test_the_embedded_lm_keeps_the_published_prompt_and_is_asked_once(
    pocket: tuple[Any, Wording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = choose_prompt(*pocket, AUTO, tmp_path, QUIET)
    assert found[0] == RAW and found[1] is not None and found[1] > 0.99
    typed = choose_prompt(*pocket, PromptSpec(frame="qa"), tmp_path, QUIET)
    assert typed[0] == PromptSpec(frame="qa") and typed[1] is not None
    bare, auroc = choose_prompt(*pocket, PromptSpec(frame="auto", answer_form="bare"), tmp_path, QUIET)
    assert bare.answer_form == "bare" and auroc is not None and auroc < found[1]
    monkeypatch.setattr(prompts, "score_prompts", lambda *_: pytest.fail("asked again"))
    assert choose_prompt(*pocket, AUTO, tmp_path, QUIET) == found
    assert choose_prompt(*pocket, PromptSpec(frame="qa"), tmp_path, QUIET) == typed
    lm, wording = pocket
    elsewhere = replace(lm, device=torch.device("cuda"))
    assert prompts._path(tmp_path, lm, wording, AUTO) != prompts._path(tmp_path, elsewhere, wording, AUTO)


@pytest.mark.parametrize("content", [
    "", "[]", "null", "{}", "[1]", '[{"prompt": {"frame": "qa"}, "auroc": NaN}]', '[{"prompt": {}, "auroc": 2}]',
    "\xff",
    '[{"prompt": {"frame": "nonsense"}, "auroc": 0.9}]', '[{"prompt": {"frame": "qa"}}]',
])  # fmt: skip
def test_a_kept_choice_that_says_nothing_is_made_anew(
    pocket: tuple[Any, Wording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    score = PromptScore(RAW, 0.75)
    monkeypatch.setattr(prompts, "score_prompts", lambda *_: [score])
    assert choose_prompt(*pocket, AUTO, tmp_path, QUIET) == (RAW, 0.75)
    (kept,) = (tmp_path / "prompts").iterdir()
    before = kept.read_bytes()
    kept.write_bytes(content.encode("latin-1"))
    assert choose_prompt(*pocket, AUTO, tmp_path, QUIET) == (RAW, 0.75) and kept.read_bytes() == before


def test_an_lm_that_hardly_tells_names_apart_is_named_before_training(
    pocket: tuple[Any, Wording], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm, wording = pocket
    found = choose_prompt(random_twin(lm, 3), wording, RAW, tmp_path, Reporter())
    assert found[0] == RAW and found[1] is not None and found[1] < 0.65
    said = capsys.readouterr().err
    assert "hardly tells names apart" in said and "in this prompt; --set frame=auto looks for a better one" in said


def test_a_frame_is_a_property_of_the_run_that_a_task_gives_a_default(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: unseen_hypernym\nquestions: {frame: qa}\n")
    task = str(tmp_path / "mine.yaml")
    (cell,) = resolve(Options(task=task)).cells
    assert cell.prompt == PromptSpec(frame="qa")
    own = "So, {image}, tell me, {question}"
    (cell,) = resolve(Options(task=task, settings=(f"frame={own}", "answer_form=bare"))).cells
    assert cell.prompt == PromptSpec(frame=own, answer_form="bare")
    assert len(resolve(Options(task=task, settings=("frame=raw,qa,chat",))).cells) == 3
    for typed in ("{image}: {question} # Answer:", "{question} {image}", "{image}\\nQuestion: {question}\n"):
        (cell,) = resolve(Options(task=task, settings=(f"frame={typed}",))).cells
        assert cell.prompt.frame == typed.replace("\\n", "\n")
    (plain,) = resolve(Options(task=task, settings=("frame=raw",))).cells
    assert plain.task.digest == cell.task.digest and plain.task.as_run() == cell.task.as_run()
    with pytest.raises(UsageError, match="--set frame=qqa: expected raw, plain, caption, qa, chat, auto, or a text"):
        resolve(Options(task=task, settings=("frame=qqa",)))


def test_a_run_in_another_frame_is_another_run(tiny_llama: Path, tmp_path: Path) -> None:
    make_photos(tmp_path, 6)
    options: dict[str, Any] = {
        "dataset": f"folder:{tmp_path / 'photos'}", "taxonomy": str(tmp_path / "photos.tsv"),
        "task": "leaf", "model": str(tiny_llama), "encoder": "pixels", "head": "ridge_token", "quiet": True,
        "cache": str(tmp_path / "cache"), "out": str(tmp_path / "out"),
    }  # fmt: skip
    raw, qa = taxbench.run(settings=("frame=raw,qa",), **options)
    assert raw.run.prompt == RAW and qa.run.prompt == PromptSpec(frame="qa") and raw.digest != qa.digest
    assert raw.task == qa.task and raw.scores != qa.scores
    (auto,) = taxbench.run(settings=("frame=auto",), **options)
    assert auto.run.prompt.frame != "auto" and (tmp_path / "cache" / "prompts").is_dir()
