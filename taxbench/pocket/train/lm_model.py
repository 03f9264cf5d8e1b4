"""The network: a plain Hugging Face Llama, and the same forward pass written lean for training on a CPU.

`LlamaForCausalLM` is what is saved and loaded. Training runs `loss` below on the same parameters: one function without
module calls compiles to half the time of the library's forward (measured: 3,500 -> 8,000 tokens/s on one core in bf16),
and the answer is scored against its two candidates instead of 12,288 tokens. A test holds the two forwards equal.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from taxbench.pocket.train.lm_batches import TokenBatch

_BLOCKED = -1e30
_ROPE_BASE = 10_000.0
_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class Layer:
    """The parameters of one block."""

    norm_in: Tensor  # (d,)
    query: Tensor  # (d, d)
    key: Tensor  # (d, d)
    value: Tensor  # (d, d)
    output: Tensor  # (d, d)
    norm_mlp: Tensor  # (d,)
    gate: Tensor  # (m, d)
    up: Tensor  # (m, d)
    down: Tensor  # (d, m)


def build_model(vocabulary: int, width: int, depth: int, mlp: int) -> LlamaForCausalLM:
    """Return an untrained model; the caller seeds torch."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=depth,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=256,
        rms_norm_eps=_EPSILON,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def layers_of(model: LlamaForCausalLM) -> list[Layer]:
    """Return the model's own parameters in the order the lean forward uses them."""
    return [
        Layer(
            block.input_layernorm.weight,
            block.self_attn.q_proj.weight,
            block.self_attn.k_proj.weight,
            block.self_attn.v_proj.weight,
            block.self_attn.o_proj.weight,
            block.post_attention_layernorm.weight,
            block.mlp.gate_proj.weight,
            block.mlp.up_proj.weight,
            block.mlp.down_proj.weight,
        )
        for block in model.model.layers
    ]


def block_mask(segment: Tensor) -> Tensor:
    """Return the additive mask: each segment sees the context and itself, causally.  # (b, 1, l, l)"""
    length = segment.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=segment.device).tril()
    seen = (segment[:, None, :] == 0) | (segment[:, None, :] == segment[:, :, None])
    return torch.where(earlier & seen, 0.0, _BLOCKED)[:, None]


def _normalise(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Divide by the root mean square; the norm's weight is folded into the next matrix."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + _EPSILON)).to(dtype)


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Apply rotary positions (Su et al. 2021), halves as in Hugging Face's Llama."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)


def hidden_states(x: Tensor, layers: list[Layer], segment: Tensor, position: Tensor) -> Tensor:
    """Run the blocks on embedded rows; the final norm's weight is left to the caller.  # (b, l, d) in x's dtype"""
    rows, length, width = x.shape
    dtype, heads, size = x.dtype, width // 64, 64
    mask = block_mask(segment)
    frequency = _ROPE_BASE ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angle = position[:, None, :, None].float() * frequency
    cosine, sine = angle.cos().to(dtype), angle.sin().to(dtype)
    for layer in layers:
        projection = (torch.cat((layer.query, layer.key, layer.value)) * layer.norm_in).to(dtype)
        mixed = F.linear(_normalise(x, dtype), projection).view(rows, length, 3, heads, size)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind()
        query, key = _rotate(query, cosine, sine), _rotate(key, cosine, sine)
        scores = torch.matmul(query, key.transpose(-1, -2)).float() * size**-0.5 + mask
        read = torch.matmul(torch.softmax(scores, -1).to(dtype), value)
        x = x + F.linear(read.transpose(1, 2).reshape(rows, length, width), layer.output.to(dtype))
        widening = (torch.cat((layer.gate, layer.up)) * layer.norm_mlp).to(dtype)
        gate, up = F.linear(_normalise(x, dtype), widening).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, layer.down.to(dtype))
    return _normalise(x, dtype)


def losses(
    x: Tensor, model_parts: tuple[list[Layer], Tensor], table: Tensor, batch: TokenBatch
) -> tuple[Tensor, Tensor]:
    """Return the yes/no loss of the questions and the next-token loss of the statements.

    x: embedded rows (b, l, d); model_parts: layers and final norm weight; table: the tied embedding (v, d).
    """
    layers, final = model_parts
    hidden = hidden_states(x, layers, batch.segment, batch.position).flatten(0, 1)
    output = table * final
    candidates = output[batch.candidates].to(x.dtype)
    margin = F.linear(hidden[batch.answer_at], candidates[:1] - candidates[1:]).squeeze(-1).float()
    answer = F.binary_cross_entropy_with_logits(margin, batch.answer_yes, weight=batch.answer_weight, reduction="sum")
    logits = F.linear(hidden[batch.token_at], output.to(x.dtype)).float()
    nll = F.cross_entropy(logits, batch.token_next, reduction="none")
    return answer, (nll * batch.token_weight).sum()
