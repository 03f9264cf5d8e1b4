"""What counts as a language model, and its random twin."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPTJConfig, T5Config, T5ForConditionalGeneration

from taxbench.lms import frozen
from taxbench.lms.frozen import random_twin
from taxbench.util.errors import ModelError
from tests.conftest import save_tiny_lm
from tests.lms.naive import load, with_model

_BERT = BertConfig(vocab_size=300, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
_T5 = T5Config(vocab_size=300, d_model=8, num_layers=1, num_heads=2, d_ff=8, d_kv=4)


@pytest.mark.parametrize(
    ("model", "kind"),
    [(lambda: BertForMaskedLM(_BERT), "an encoder"), (lambda: T5ForConditionalGeneration(_T5), "encoder-decoder")],
)
def test_what_is_no_causal_language_model_is_refused(model: object, kind: str, tmp_path: Path) -> None:
    model().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"{kind}.*causal language models"):
        load(tmp_path)


def test_a_model_of_pictures_and_text_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "gemma3", "vision_config": {"hidden_size": 8}, "text_config": {"hidden_size": 8}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="pictures"):
        load(tmp_path)


def test_a_tokenizer_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = save_tiny_lm("llama", tmp_path / "lm")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match="has no tokenizer, such as"):
        load(folder)


@pytest.mark.parametrize("removes", [
    {"normalizer": {"type": "Replace", "pattern": {"Regex": "[\\s\\S]"}, "content": ""}},
    {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Removed", "invert": False}},
    {"model": {"type": "BPE", "vocab": {"<s>": 0}, "merges": []}},
])  # fmt: skip
def test_a_tokenizer_that_leaves_nothing_of_a_text_is_named(removes: dict, tmp_path: Path) -> None:
    folder = save_tiny_lm("llama", tmp_path / "lm")
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | removes))
    with pytest.raises(ModelError, match=r"The tokenizer of '.*' removes all of 'Yes': no token is left"):
        load(folder)


def test_a_text_of_which_a_tokenizer_leaves_nothing_is_named(tmp_path: Path) -> None:
    folder = save_tiny_lm("llama", tmp_path / "lm")
    path = folder / "tokenizer.json"
    other_letters = {"type": "Replace", "pattern": {"Regex": "[^ -~]"}, "content": ""}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": other_letters}))
    lm = load(folder)
    assert lm.encode("") == [] and lm.encode("crow")
    with pytest.raises(ModelError, match="removes all of '\u8d8a': no token is left"):
        lm.encode("\u8d8a")


def test_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    folder = save_tiny_lm("llama", tmp_path / "lm")
    before = load(folder).digest
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"add_prefix_space":false', '"add_prefix_space":true')
                    .replace('"add_prefix_space": false', '"add_prefix_space": true'))  # fmt: skip
    assert load(folder).digest != before


def test_weights_in_torchs_own_format_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    folder = save_tiny_lm("llama", tmp_path / "lm")
    before = load(folder)
    torch.save(before.model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    after = load(folder)
    assert torch.equal(after.model.lm_head.weight, before.model.lm_head.weight)
    assert after.digest != before.digest


def test_the_random_twin_follows_its_seed_and_differs_from_the_model(tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    first, again, other = (random_twin(lm, seed).model.get_input_embeddings().weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, lm.model.get_input_embeddings().weight)
    assert random_twin(lm, 1).digest != lm.digest


def test_what_is_made_on_a_device_is_made_there_in_its_type() -> None:
    with frozen._made_on(torch.device("meta"), torch.bfloat16):
        made = torch.nn.Linear(2, 2).weight
    assert (made.device.type, made.dtype, torch.get_default_dtype()) == ("meta", torch.bfloat16, torch.float32)


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({}, None),
        ({"sliding_window": 7}, 7),
        ({"sliding_window": 7, "layer_types": ["full_attention"]}, None),
        ({"sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"]}, 7),
    ],
)
def test_how_far_a_model_looks_back(changes: dict, window: int | None, tiny_llama: Path) -> None:
    lm = with_model(load(tiny_llama), GPTJConfig(vocab_size=300, n_embd=32, n_layer=1, n_head=4, rotary_dim=4))
    assert lm.positions == 2048
    for name, value in changes.items():
        setattr(lm.model.config, name, value)
    assert lm.window == window
