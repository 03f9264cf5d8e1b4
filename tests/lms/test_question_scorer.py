"""However questions are put, answers and gradients are those of asking one by one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BloomConfig,
    CohereConfig,
    FalconH1Config,
    GPTNeoConfig,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    MptConfig,
)

from taxbench.lms.forward import Bucket, Forward, Plain, buckets
from taxbench.lms.frozen import FrozenLM, random_twin
from taxbench.lms.question_scorer import Order, QuestionScorer, equivalence_check
from taxbench.specs.task import PromptSpec
from taxbench.util.errors import ModelError
from tests.conftest import TINY_LMS, save_tiny_lm
from tests.lms.naive import QUESTIONS, YES_NO, load, logits_of, naive_margins, some_soft_tokens, with_model

TERMS = torch.tensor([[0, 1, 2, 3], [3, 1, -1, -1], [2, -1, 2, -1]])
ASKED = TERMS >= 0
SETS = (("Yes", "crow", "a"), ("No", "tool"))
STRINGS = (("Yes yes", "Yes crow hammer"), ("No", "Yes no"))
OWN = {
    "image_first": "a crow {image} image. {question} this Yes",
    "question_first": "a crow {question} image. {image} this Yes",
}


@pytest.fixture(scope="module", params=sorted(TINY_LMS))
def lm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenLM:
    return load(save_tiny_lm(request.param, tmp_path_factory.mktemp("lm") / request.param))


def gradient(margins: Tensor, soft: Tensor) -> Tensor:
    return torch.autograd.grad(margins[ASKED].sum(), soft)[0]


@pytest.mark.parametrize("order", ["image_first", "question_first"])
@pytest.mark.parametrize(("answers", "frame"), [
    (YES_NO, "raw"), (SETS, "raw"), (STRINGS, "raw"), (YES_NO, "qa"), (STRINGS, "plain"), (SETS, "own"),
])  # fmt: skip
def test_all_ways_agree_with_asking_one_by_one(lm: FrozenLM, order: Order, answers: tuple, frame: str) -> None:
    if frame == "own":
        frame = OWN[order]
    scorer = QuestionScorer.of(lm, QUESTIONS, answers, order, PromptSpec(frame=frame))
    assert (scorer.path, scorer.note) == ("packed" if order == "image_first" else order, None)
    if frame == OWN["image_first"]:
        assert scorer.forward.kept == len(scorer.table.opening), "an opening is computed once"
    soft = some_soft_tokens(lm, 3, 3).requires_grad_()
    expected = naive_margins(scorer, soft, TERMS, order == "question_first")
    grad = gradient(expected, soft)
    assert grad.abs().max() > 1e-3
    plain = replace(scorer.forward, layers=None) if order == "question_first" else Plain(lm, scorer.table)
    for way in (scorer, replace(scorer, forward=plain), replace(scorer, forward=plain, own_logits=True)):
        found = way.margins(soft, TERMS)
        torch.testing.assert_close(found[ASKED], expected[ASKED], atol=1e-4, rtol=0)
        torch.testing.assert_close(gradient(found, soft), grad, atol=1e-5, rtol=1e-4)
    if order == "image_first":
        kept = replace(scorer, forward=replace(scorer.forward, chunk=3))
        with torch.inference_mode():
            torch.testing.assert_close(kept.margins(soft, TERMS)[ASKED], expected[ASKED], atol=1e-4, rtol=0)


@pytest.mark.parametrize("frame", ["raw", OWN["image_first"]])
def test_losses_over_texts_are_those_of_whole_rows(lm: FrozenLM, frame: str) -> None:
    scorer = QuestionScorer.of(lm, QUESTIONS, STRINGS, prompt=PromptSpec(frame=frame))
    soft = some_soft_tokens(lm, 3, 3).requires_grad_()
    answers = torch.tensor([[True, False, True, False], [False, True, True, True], [True, True, False, True]])
    expected = torch.zeros(TERMS.shape)
    for image, column in ASKED.nonzero().tolist():
        term, right = int(TERMS[image, column]), scorer.table.answers[not answers[image, column]][0]
        logits = logits_of(scorer, soft[image], term, right[:-1], question_first=False)
        targets = torch.cat([scorer.table.full(term), torch.tensor(right)])
        start = len(logits) - len(targets)
        expected[image, column] = torch.nn.functional.cross_entropy(logits[start:], targets)
    grad = gradient(expected, soft)
    for forward in (scorer.forward, Plain(lm, scorer.table)):
        found = replace(scorer, forward=forward).text_losses(soft, TERMS, answers)
        torch.testing.assert_close(found[ASKED], expected[ASKED], atol=1e-4, rtol=0)
        torch.testing.assert_close(gradient(found, soft), grad, atol=1e-5, rtol=1e-4)


def test_states_are_what_the_output_layer_gets(lm: FrozenLM) -> None:
    scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO)
    soft, seen = some_soft_tokens(lm, 3, 3), []
    hook = lm.model.get_output_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0][0, -1]))
    naive_margins(scorer, soft, TERMS)
    hook.remove()
    states = scorer.states(soft, TERMS)[ASKED]
    torch.testing.assert_close(states, torch.stack(seen)[::2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("answers", [YES_NO, STRINGS])
def test_one_batch_of_unequal_images_gives_the_same(
    answers: tuple, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accelerator takes all images at once, whatever they are asked; one of them is asked nothing."""
    lm = load(tiny_llama)
    packed, first = (QuestionScorer.of(lm, QUESTIONS, answers, order) for order in ("image_first", "question_first"))
    plain = replace(packed, forward=Plain(lm, packed.table))
    soft = some_soft_tokens(lm, 4, 3).requires_grad_()
    terms = torch.cat([TERMS[:1], torch.full((1, 4), -1), TERMS[1:]])
    asked = terms >= 0

    def together(forward: Forward, texts: Tensor, k: int) -> list[Bucket]:
        widest = int(forward.widths[texts.clamp(min=0)].max())
        return [Bucket(torch.arange(len(texts)), len(texts), texts.shape[1], widest)]

    for scorer in (packed, plain, first):
        asks = [scorer.margins, scorer.states]
        if scorer is not first:
            asks.append(lambda x, terms, scorer=scorer: scorer.text_losses(x, terms, terms > 1))
        for ask in asks:
            found = []
            for patch in (buckets, together):
                monkeypatch.setattr("taxbench.lms.question_scorer.buckets", patch)
                values = ask(soft, terms)[asked]
                found.append((values, torch.autograd.grad(values.sum(), soft)[0]))
            torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)


_WIDE = {"vocab_size": 300, "hidden_size": 512}
_FOUR = {**_WIDE, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8}
PLAIN_LMS = {
    "mpt": lambda: MptConfig(vocab_size=300, d_model=512, n_layers=8, n_heads=8),  # ALiBi
    "bloom": lambda: BloomConfig(vocab_size=300, hidden_size=512, n_layer=8, n_head=8),  # ALiBi
    "mamba": lambda: MambaConfig(**_WIDE, num_hidden_layers=2),  # recurrent
}
PACKED_LMS = {
    "llama": lambda: LlamaConfig(**{**_FOUR, "num_hidden_layers": 12}),
    "granite": lambda: GraniteConfig(**_FOUR, logits_scaling=8.0),  # rescaled logits
    "cohere": lambda: CohereConfig(**_FOUR, logit_scale=0.06, pad_token_id=2),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [*PLAIN_LMS, *PACKED_LMS])
def test_the_start_up_check_tells_rounding_from_a_model_that_cannot_be_packed(
    kind: str, dtype: torch.dtype, tiny_llama: Path
) -> None:
    lm = with_model(load(tiny_llama), {**PLAIN_LMS, **PACKED_LMS}[kind](), dtype)
    scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO)
    assert scorer.path == ("plain" if kind in PLAIN_LMS else "packed")
    assert (scorer.note is None) == (kind in PACKED_LMS)
    assert not scorer.own_logits


def test_margins_that_happen_to_stay_on_their_step_do_not_count_as_exact(tiny_llama: Path) -> None:
    lm = with_model(load(tiny_llama), LlamaConfig(**_FOUR), torch.bfloat16)
    zeros = torch.zeros(4, 2)
    check = equivalence_check(lm, 2, lambda soft, terms: zeros, lambda soft, terms: torch.full((4, 2, 2), 12.0))
    assert check.problem(lambda soft, terms: zeros + 0.0625) is None  # the step of 12.0 in bfloat16
    assert check.problem(lambda soft, terms: zeros + 0.5) is not None


def test_an_lm_that_rescales_the_tokens_it_looks_up_reads_vectors_as_tokens(tiny_llama: Path) -> None:
    mamba = {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
    config = FalconH1Config(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, head_dim=8,
        num_key_value_heads=2, initializer_range=0.2, embedding_multiplier=5.6, lm_head_multiplier=0.04,
        bos_token_id=0, mamba_n_groups=1, **mamba,
    )  # fmt: skip
    lm = with_model(load(tiny_llama), config)
    words = torch.tensor([lm.encode(" crow bird")])
    scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO)
    (((yes,),), ((no,),)) = scorer.table.answers
    for term in range(len(QUESTIONS)):
        ids = torch.cat([scorer.table.opening, words[0], scorer.table.full(term)])
        logits = lm.model(input_ids=ids[None], use_cache=False).logits[0, -1]
        found = scorer.margins(lm.embed(words), torch.tensor([[term]]))
        torch.testing.assert_close(found[0, 0], logits[yes] - logits[no], atol=1e-4, rtol=1e-4)


def test_an_lm_that_does_more_with_tokens_than_to_embed_them_is_refused(tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    embedding, forward = lm.model.get_input_embeddings(), lm.model.model.forward

    def twice(input_ids: Tensor | None = None, **more: Any) -> Any:  # reads tokens where it is given some
        if input_ids is not None:
            more["inputs_embeds"] = embedding(input_ids) + embedding(input_ids.flip(1))
        return forward(**more)

    lm.model.model.forward = twice
    with pytest.raises(ModelError, match="answers otherwise to a token's embedding than to the token"):
        FrozenLM(lm.spec, lm.model, lm.tokenizer, "", lm.device)


_SMALL = {"vocab_size": 300, "initializer_range": 0.2}
SMALL_LMS = {
    "mpt": lambda: MptConfig(**_SMALL, d_model=64, n_layers=2, n_heads=4),
    "bloom": lambda: BloomConfig(**_SMALL, hidden_size=64, n_layer=2, n_head=4),
    "mamba": lambda: MambaConfig(**_SMALL, hidden_size=64, num_hidden_layers=2),
}


@pytest.mark.parametrize("kind", SMALL_LMS)
def test_models_that_cannot_be_packed_are_asked_plainly(kind: str, tiny_llama: Path) -> None:
    lm = with_model(load(tiny_llama), SMALL_LMS[kind]())
    for order in ("image_first", "question_first"):
        scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO, order)
        assert scorer.path == "plain" and "several times slower" in (scorer.note or "")
        soft = some_soft_tokens(lm, 3, 2).requires_grad_()
        expected, found = naive_margins(scorer, soft, TERMS, order == "question_first"), scorer.margins(soft, TERMS)
        torch.testing.assert_close(found[ASKED], expected[ASKED], atol=1e-4, rtol=0)
        torch.testing.assert_close(gradient(found, soft), gradient(expected, soft), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("order", ["image_first", "question_first"])
def test_logits_that_are_changed_in_unknown_ways_are_read_from_the_model_itself(order: Order, tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    lm.model.lm_head.register_forward_hook(lambda module, args, output: output * 3)
    scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO, order)
    assert scorer.path == "plain" and scorer.own_logits and "margins move" in (scorer.note or "")
    soft = some_soft_tokens(lm, 3, 2)
    expected = naive_margins(scorer, soft, TERMS, order == "question_first")
    torch.testing.assert_close(scorer.margins(soft, TERMS)[ASKED], expected[ASKED], atol=1e-4, rtol=0)
    assert scorer.states(soft, TERMS).shape == (3, 4, lm.width)


@pytest.mark.parametrize("order", ["image_first", "question_first"])
def test_rows_beyond_a_sliding_window_are_asked_plainly(order: Order, tmp_path: Path) -> None:
    lm = load(save_tiny_lm("gemma3", tmp_path / "gemma3"))
    scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO, order)
    soft = some_soft_tokens(lm, 3, 70)  # the window is 64
    expected = naive_margins(scorer, soft, TERMS, order == "question_first")
    torch.testing.assert_close(scorer.margins(soft, TERMS)[ASKED], expected[ASKED], atol=1e-4, rtol=0)


def test_rows_of_many_questions_beyond_a_window_of_the_row_are_asked_plainly(tiny_llama: Path) -> None:
    kinds = [[["global", "local"], 1]]
    config = GPTNeoConfig(**_SMALL, hidden_size=32, num_layers=2, num_heads=4, attention_types=kinds, window_size=64)
    lm = with_model(load(tiny_llama), config)
    scorer = QuestionScorer.of(lm, QUESTIONS, YES_NO)
    assert scorer.path == "packed"
    soft, terms = some_soft_tokens(lm, 2, 3), torch.arange(36).reshape(2, 18) % 4
    expected = naive_margins(scorer, soft, terms)
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient):
            torch.testing.assert_close(scorer.margins(soft, terms), expected, atol=1e-4, rtol=0)


def test_rows_longer_than_the_model_knows_are_refused(tmp_path: Path) -> None:
    scorer = QuestionScorer.of(load(save_tiny_lm("gpt2", tmp_path / "gpt2")), QUESTIONS, YES_NO)
    with pytest.raises(ModelError, match="512 positions"):
        scorer.margins(some_soft_tokens(scorer.lm, 1, 510), TERMS[:1])


def test_asking_without_a_gradient_first_does_not_spoil_training(tiny_llama: Path) -> None:
    scorer = QuestionScorer.of(load(tiny_llama), QUESTIONS, STRINGS)
    soft = some_soft_tokens(scorer.lm, 3, 2)
    with torch.inference_mode():
        scorer.text_losses(soft, TERMS, ASKED)
        scorer.margins(soft, TERMS)
    soft.requires_grad_()
    (scorer.text_losses(soft, TERMS, ASKED) + scorer.margins(soft, TERMS)).sum().backward()
    assert soft.grad.isfinite().all()


def test_losses_over_texts_need_the_image_first(tiny_llama: Path) -> None:
    scorer = QuestionScorer.of(load(tiny_llama), QUESTIONS, YES_NO, "question_first")
    with pytest.raises(ModelError, match="order=image_first"):
        scorer.text_losses(some_soft_tokens(scorer.lm, 3, 2), TERMS, ASKED)


def test_a_model_that_answers_with_nan_is_refused(tiny_llama: Path) -> None:
    lm = random_twin(load(tiny_llama), 0)
    lm.model.lm_head.weight.data[:] = torch.nan
    with pytest.raises(ModelError, match="NaN"):
        QuestionScorer.of(lm, QUESTIONS, YES_NO)
