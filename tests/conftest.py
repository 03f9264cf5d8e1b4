"""What the tests share: tiny random models of real architectures, saved to disk and loaded through the real code."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    Olmo2Config,
    OPTConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    SmolLM3Config,
)

from taxbench.taxonomy.wordnet import Nouns, read_nouns

settings.register_profile("any machine", deadline=None)  # a busy one takes longer than a bug would
settings.load_profile("any machine")

_WORDS = "Is there a an crow bird in this image? Yes No animal hammer tool fire salamander guitar clothing yes no " * 4

# Weights ten times larger than usual, so that two random layers already answer differently to different words.
_SMALL = {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.2}
_LLAMA = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, **_SMALL}
_INIT = {"init_std": 0.2, "vocab_size": 300, "bos_token_id": 0, "eos_token_id": 1}
TINY_LMS = {
    "llama": lambda: LlamaConfig(**_LLAMA, num_key_value_heads=2),
    "qwen3": lambda: Qwen3Config(**_LLAMA, num_key_value_heads=2, head_dim=8),
    "olmo2": lambda: Olmo2Config(**_LLAMA, num_key_value_heads=4),
    "gpt2": lambda: GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=512, **_SMALL),
    "gptj": lambda: GPTJConfig(n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=512, **_SMALL),
    # Layers of both kinds, a window that short rows fit into, and capped logits.
    "gemma3": lambda: Gemma3TextConfig(
        **_LLAMA,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=64,
        final_logit_softcapping=3.0,
        pad_token_id=2,
        layer_types=["sliding_attention", "full_attention"],
    ),
    # The last layer has no positions.
    "smollm3": lambda: SmolLM3Config(**_LLAMA, num_key_value_heads=2, no_rope_layers=[1, 0], pad_token_id=2),
    "opt": lambda: OPTConfig(
        hidden_size=32,
        word_embed_proj_dim=16,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        **_INIT,
        max_position_embeddings=512,
        pad_token_id=2,
    ),
    "gpt_neox": lambda: GPTNeoXConfig(**_LLAMA, max_position_embeddings=512),
}


def save_tiny_lm(kind: str, folder: Path) -> Path:
    """Save a random language model of a real architecture with a real tokenizer; returns the folder."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([_WORDS], trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(TINY_LMS[kind]()).save_pretrained(folder)
    return folder


def with_one_thread() -> Iterator[None]:
    """Compute with one thread: products this small take longer with more, far longer on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# In front of a command, takes from root the right to read everything.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def wordnet() -> Nouns:
    return read_nouns()


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_lm("llama", tmp_path_factory.mktemp("lm") / "tiny-llama")
