"""Packing must not change a single answer."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, GraniteConfig, LlamaConfig, MambaConfig, MptConfig

from taxbench.errors import ModelError
from taxbench.lms.answers import first_tokens
from taxbench.lms.frozen import FrozenLM, load_lm, random_twin
from taxbench.lms.packing import check_packing, margins, tokenise
from taxbench.specs.models import LMSpec
from tests.conftest import TINY_LMS, save_tiny_lm

QUESTIONS = (
    "Is there a crow in this image?",
    "Is there a fire salamander in this image?",
    "Is there clothing in this image?",
    "Is there an animal in this image?",
)


def load(folder: Path) -> FrozenLM:
    return load_lm(LMSpec(name=folder.name, source=str(folder)), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [*((kind, (("Yes",), ("No",))) for kind in sorted(TINY_LMS)), ("llama", (("Yes", "crow", "a"), ("No", "tool")))],
)
def test_packed_answers_and_gradients_equal_one_question_a_row(
    kind: str, answers: tuple[tuple[str, ...], tuple[str, ...]], tmp_path: Path
) -> None:
    lm = load(save_tiny_lm(kind, tmp_path / kind))
    table = tokenise(lm, QUESTIONS, answers)
    assert [len(tokens) for tokens in table.answers] == [len(texts) for texts in answers]
    soft = torch.randn(2, 3, lm.width, generator=torch.Generator().manual_seed(1)) * 0.1
    terms = torch.tensor([[0, 1, 2, 3], [3, 1, -1, -1]])
    packed_input = soft.clone().requires_grad_()
    packed = margins(lm, table, packed_input, terms)
    (packed * (terms >= 0)).sum().backward()

    plain_input = soft.clone().requires_grad_()
    total = torch.tensor(0.0)
    for image in range(2):
        for column in range(4):
            term = int(terms[image, column])
            if term < 0:
                continue
            ids = torch.tensor(lm.encode(QUESTIONS[term]))
            row = torch.cat([lm.embed(torch.tensor(lm.bos())), plain_input[image], lm.embed(ids)])[None]
            logits = lm.model(inputs_embeds=row).logits[0, -1]
            odds = [logits.softmax(-1)[list(tokens)].sum().log() for tokens in table.answers]
            margin = odds[0] - odds[1]
            torch.testing.assert_close(packed[image, column], margin, atol=1e-5, rtol=1e-4)
            total = total + margin
    total.backward()
    torch.testing.assert_close(packed_input.grad, plain_input.grad, atol=1e-5, rtol=1e-3)
    check_packing(lm, table)


def test_the_start_up_check_refuses_a_model_whose_logits_are_rescaled(tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    table = tokenise(lm, QUESTIONS, (("Yes",), ("No",)))
    lm.model.lm_head.register_forward_hook(lambda module, args, output: output * 3)
    with pytest.raises(ModelError, match="packed"):
        check_packing(lm, table)


_WIDE = {"vocab_size": 300, "hidden_size": 512}
WIDE_LMS = {
    "llama": lambda: LlamaConfig(**_WIDE, intermediate_size=1024, num_hidden_layers=12, num_attention_heads=8),
    "granite": lambda: GraniteConfig(**_WIDE, num_hidden_layers=4, num_attention_heads=8, logits_scaling=8.0),
    "mpt": lambda: MptConfig(vocab_size=300, d_model=512, n_layers=8, n_heads=8),  # ALiBi
    "mamba": lambda: MambaConfig(**_WIDE, num_hidden_layers=2),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", sorted(WIDE_LMS))
def test_the_start_up_check_tells_rounding_from_a_model_that_cannot_be_packed(
    kind: str, dtype: torch.dtype, tiny_llama: Path
) -> None:
    small = load(tiny_llama)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(WIDE_LMS[kind](), attn_implementation="eager").to(dtype).eval()
    lm = FrozenLM(small.spec, model.requires_grad_(False), small.tokenizer, kind, small.device)
    table = tokenise(lm, QUESTIONS, (("Yes",), ("No",)))
    if kind == "llama":
        check_packing(lm, table)
    else:
        with pytest.raises(ModelError, match=r"packed questions|are packed"):
            check_packing(lm, table)


def test_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    folder = save_tiny_lm("llama", tmp_path / "lm")
    before = load(folder).digest
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"add_prefix_space":false', '"add_prefix_space":true')
                    .replace('"add_prefix_space": false', '"add_prefix_space": true'))  # fmt: skip
    assert load(folder).digest != before


def test_answers_that_share_their_first_token_are_refused(tiny_llama: Path) -> None:
    with pytest.raises(ModelError, match="same token"):
        first_tokens(load(tiny_llama).encode, QUESTIONS[0], (("Maybe", "Yes"), ("Yes yes",)))


def test_the_random_twin_follows_its_seed_and_differs_from_the_model(tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    first, again, other = (random_twin(lm, seed).model.get_input_embeddings().weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, lm.model.get_input_embeddings().weight)
    assert random_twin(lm, 1).digest != lm.digest
