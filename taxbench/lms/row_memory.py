"""The memory that rows of questions take in a language model."""

from dataclasses import dataclass
from typing import Any

import torch

from taxbench.lms.frozen import FrozenLM


@dataclass(frozen=True, slots=True)
class RowShape:
    """What one image amounts to in the LM."""

    rows: int
    columns: int  # of each row, those that are computed
    keys: int  # of each row, those that are looked at, kept ones included
    logits: int  # places where the whole vocabulary is scored


def row_bytes(lm: FrozenLM, shape: RowShape, training: bool) -> int:
    """Estimate the peak memory of the rows in which one image is put to the LM.

    Of each token, training keeps several vectors as wide as the model, as its feed-forward layer and as its heads in
    every layer; without a gradient one layer's are alive at a time, besides kept keys and values. The weights of the
    sum were fitted to the measured peaks of llama, qwen3, gpt2, gpt-j, gpt-neox, opt and gemma3 on a CPU (3 ways of
    asking, 1 or 64 soft tokens, 8 or 32 questions, fp32 and bf16): the estimate is 0.8 to 2 times the measurement.
    """
    config, size = lm.model.config.get_text_config(), torch.finfo(lm.dtype).bits // 8
    layers, width = _of(config, "num_hidden_layers", 1), _of(config, "hidden_size", lm.width)
    heads = _of(config, "num_attention_heads", 1)
    head = _of(config, "head_dim", width // heads)
    inner = _of(config, "intermediate_size", _of(config, "ffn_dim", 4 * width))
    tokens = shape.rows * shape.columns * (width + inner) * size
    attended = shape.rows * (shape.columns + shape.keys) * heads * head * size
    eager = getattr(config, "_attn_implementation", "eager") == "eager"
    scores = shape.rows * shape.columns * shape.keys * size * (heads if eager else 1)  # else only the mask
    logits = shape.logits * _of(config, "vocab_size", 0) * 4
    if training:
        return round(layers * (2.2 * tokens + 4 * attended + 2.2 * scores) + 3.6 * logits)
    pairs = 2 * shape.rows * shape.keys * _of(config, "num_key_value_heads", heads) * head * size
    kept = layers * pairs if shape.keys > shape.columns else 0
    return round(3.5 * tokens + 0.8 * attended + 1.9 * scores + 1.6 * kept + 3 * logits)


def _of(config: Any, name: str, default: int) -> int:
    """Return a positive whole number of the LM's configuration, else a default, for the memory of a row."""
    found = getattr(config, name, None)
    return found if isinstance(found, int) and found > 0 else default
