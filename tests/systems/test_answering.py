"""Systems that answer: kept pictures and packed questions give what the model's own forward gives from pixels."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from taxbench.cli.main import call
from taxbench.lms.forward import QuestionTable, tokenise
from taxbench.lms.frames import frame_of
from taxbench.lms.question_scorer import EquivalenceCheck, QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.registry.models import find_system
from taxbench.specs.result import Result
from taxbench.specs.task import PromptSpec
from taxbench.systems import answering
from taxbench.systems.answering import AnsweringSide, KeptPrefix, own_prompt, own_scores, trial
from taxbench.systems.whole_model import WholeModel
from taxbench.util.errors import ModelError
from tests.features.tiny_encoders import normalised, pictures
from tests.systems.conftest import kept
from tests.systems.tiny_systems import ANSWER, IMAGE, TINY, Saved

CPU = torch.device("cpu")
KINDS = [kind for kind, tiny in TINY.items() if tiny.reads == ANSWER]
QUESTIONS = (
    "Is there a crow in this image?",
    "Is there an old bird in this image?",
    "Is there any gull in this image?",
)
YES_NO = (("Yes",), ("No",))
every = pytest.mark.parametrize("kind", KINDS)


def side_of(folder: Path) -> AnsweringSide:
    return AnsweringSide.of(find_system(str(folder)), CPU, torch.float32)


def table_of(side: AnsweringSide) -> QuestionTable:
    prompt = own_prompt(side, PromptSpec(frame="auto", answer_form="auto"), YES_NO)
    return tokenise(side, QUESTIONS, YES_NO, frame_of(prompt, YES_NO, "image_first", side.tokenizer))


def scorer_of(side: AnsweringSide, chunk: int | None = 16) -> QuestionScorer:
    table = table_of(side)
    frame = frame_of(PromptSpec(frame="plain"), YES_NO, "image_first", side.tokenizer)
    return QuestionScorer(side, frame, table, "packed", None, KeptPrefix(side, table, chunk))


@every
def test_margins_are_those_of_the_model_s_own_forward_from_pixels(kind: str, saved: Saved) -> None:
    folder, size = saved(kind), TINY[kind].size
    side, pixels = side_of(folder), pictures(size, 3)
    seen = kept(folder, pixels)
    terms = torch.tensor([[0, 1, 2], [2, 0, -1], [1, 2, 0]])
    with torch.inference_mode():
        scores = own_scores(side, table_of(side), normalised(pixels), terms.clamp(min=0))
        expected = torch.stack([torch.logsumexp(part, -1) for part in scores.chunk(2, dim=-1)]).diff(dim=0)[0].neg()
        for chunk in (16, 2, None):  # packed; a few at a time; each in a row of its own
            found = scorer_of(side, chunk).margins(side.vectors_of(seen), terms)
            torch.testing.assert_close(found[terms >= 0], expected[terms >= 0], atol=1e-4, rtol=0)
        order = [2, 0, 1]
        moved = scorer_of(side).margins(side.vectors_of(seen)[order], terms[order])
    torch.testing.assert_close(moved[terms[order] >= 0], expected[order][terms[order] >= 0], atol=1e-4, rtol=0)
    assert float(expected.std()) > 1e-3


def problem(side: AnsweringSide, tried: EquivalenceCheck, **changes: Any) -> str | None:
    """Say what the trial finds where a system is asked in another way than its own."""
    how = replace(side.whole.architecture.answers, **changes)  # type: ignore[type-var]
    whole = WholeModel(
        side.whole.spec, side.whole.folder, side.whole.config, replace(side.whole.architecture, answers=how)
    )
    changed = AnsweringSide(side.spec, side.model.whole, side.tokenizer, side.digest, CPU, whole=whole)
    return tried.problem(scorer_of(changed).margins)


def test_few_wide_questions_stand_side_by_side(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    side, lengths, own = side_of(saved("llava")), [], KeptPrefix._run
    scorer = scorer_of(side)

    def counted(self: KeptPrefix, rows: torch.Tensor, *rest: Any) -> torch.Tensor:
        lengths.append(rows.shape[1])
        return own(self, rows, *rest)

    monkeypatch.setattr(KeptPrefix, "_run", counted)
    scorer.margins(torch.randn(1, 16, side.width), torch.tensor([[0, 1, 2] * 10]))
    assert scorer.table.ids.shape[1] > 40 and max(lengths[1:]) <= 16 * 12


@pytest.mark.parametrize(
    ("kind", "without"),
    [
        ("molmo2", {"block": False}),  # its token types: image tokens see each other both ways
        ("gemma3", {"block": False}),
        ("chameleon", {"forbidden": lambda model: []}),  # tokens of images, which it never answers with
        ("qwen3-vl", {"deep": False}),  # what layers add, and positions of a grid
    ],
)
def test_the_trial_finds_what_a_system_would_be_asked_without(kind: str, without: dict[str, Any], saved: Saved) -> None:
    side = side_of(saved(kind))
    tried = trial(side, table_of(side))
    assert problem(side, tried) is None
    assert "margins move" in str(problem(side, tried, **without))


def test_features_of_molmo2_are_added_and_not_put_in_the_place_of_words(saved: Saved) -> None:
    side = side_of(saved("molmo2"))
    tried = trial(side, table_of(side))
    patch = side.embed(torch.tensor(IMAGE))
    replaced = tried.soft_tokens.clone()
    places = torch.tensor(side.how.tokens(side.whole.config, replaced.shape[1])) == IMAGE
    replaced[:, places] -= patch
    assert "margins move" in str(replace(tried, soft_tokens=replaced).problem(scorer_of(side).margins))


def test_images_of_blip2_come_before_the_first_token_of_the_text(saved: Saved) -> None:
    side = side_of(saved("blip-2"))
    table = table_of(side)
    assert len(table.opening) == 0 and side.tokenizer.decode(table.full(0)).startswith("</s>Question: Is there a crow")


def test_images_of_chameleon_are_kept_as_tokens(saved: Saved) -> None:
    folder = saved("chameleon")
    seen = kept(folder, pictures((32, 32), 2))
    assert seen.shape[2] == 2 and torch.equal(seen, seen.half().float()) and torch.equal(seen, seen.bfloat16().float())
    model: Any = hf.ChameleonForConditionalGeneration.from_pretrained(folder)
    with torch.inference_mode():
        own = model.get_image_tokens(normalised(pictures((32, 32), 2)))
    assert torch.equal(seen[..., 0] * 256 + seen[..., 1], own.float()) and len(own.unique()) > 1


def protocol_of() -> Any:
    class Asked:
        questions = QUESTIONS

        class task:
            class questions:
                class answers:
                    positive, negative = YES_NO

    return Asked


def test_on_disagreement_each_question_has_a_row_of_its_own(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    side = side_of(saved("llava"))
    prompt = own_prompt(side, PromptSpec(frame="auto", answer_form="auto"), YES_NO)
    protocol: Protocol = protocol_of()
    fast = answering.answering_scorer(side, protocol, prompt)
    assert (fast.path, fast.note) == ("packed", None)
    monkeypatch.setattr(answering, "layers_of", lambda cache: [(each.keys * 0, each.values) for each in cache.layers])
    slow = answering.answering_scorer(side, protocol, prompt)
    assert slow.path == "plain" and "row of its own" in str(slow.note)
    monkeypatch.setattr(AnsweringSide, "vectors_of", lambda self, kept: torch.zeros_like(kept))
    with pytest.raises(ModelError, match="does not answer about kept pictures as its own forward does"):
        answering.answering_scorer(side, protocol, prompt)


@every
@torch.inference_mode()
def test_names_in_the_place_of_pictures_are_read_as_the_model_reads_a_text(kind: str, saved: Saved) -> None:
    side = side_of(saved(kind))
    prompt = own_prompt(side, PromptSpec(frame="auto", answer_form="blank"), YES_NO)
    read = answering.answering_scorer(side, protocol_of(), prompt).as_text
    assert read.lm is side.as_text  # made once, however many scorers
    table, name, log_p = read.table, read.said("crow"), []
    own = side.model.whole.language_model if kind == "blip-2" else side.model.whole  # which takes no text alone
    for answer in map(torch.tensor, table.strings):
        ids = torch.cat([table.opening, name, table.full(1), answer[:-1]])[None]
        logits = own(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -len(answer) :]
        log_p.append(logits.float().log_softmax(-1).gather(1, answer[:, None]).sum())
    found = read.margins(read.lm.embed(name)[None], torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(found[0, 1], log_p[0] - log_p[1], atol=1e-4, rtol=0)


@every
@pytest.mark.usefixtures("no_processor")
def test_a_system_answers_from_the_command_line_and_reads_each_picture_once(
    kind: str, saved: Saved, asked: list[str], shown: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["-q", *asked, "--system", str(saved(kind))]) == 0
    (result,) = (Result.model_validate(each) for each in json.loads(capsys.readouterr().out))
    assert (result.head, result.is_control, result.lm) == ("answer", True, kind)
    assert "{image}" in result.run.prompt.frame and set(result.controls) >= {"text_only", "no_image", "random_lm"}
    assert result.controls["no_image"]["leaf"].auroc == 0.5 and result.scores["leaf"].n_questions > 0
    assert sum(shown) == 48 + 1  # every picture, and one that shows the shape
