"""The one door to the language model for rows with a mask and positions of their own, and caches for such rows."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor

from taxbench.lms.frozen import FrozenLM
from taxbench.util.errors import ModelError

Layers = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of each layer.  # (b, heads, n, h) each"""


def masked_forward(lm: FrozenLM, rows: Tensor, mask: Tensor, positions: Tensor, past: Any = None) -> Tensor:
    """Run rows through the LM and return its last hidden states.

    Without a mask, transformers takes positions that restart for texts packed side by side and cuts the image off; a
    boolean mask is silently wrong under eager attention. So a mask of numbers is a must.

    Args:
        rows: Input embeddings.  # (b, n, d)
        mask: 0 where a position may look, the most negative number elsewhere.  # (b, 1, n, past + n)
        positions: Position ids.  # (b, n)
        past: A cache made by `cache_of`; it grows by the rows.

    Raises:
        ModelError: the mask is missing, not of the model's number type, or not of this shape.
    """
    b, n = rows.shape[:2]
    before = past.get_seq_length() if past is not None else 0
    if not isinstance(mask, Tensor) or mask.dtype != lm.dtype or mask.shape != (b, 1, n, before + n):
        found = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else repr(mask)
        expected = f"{lm.dtype} {(b, 1, n, before + n)}"
        raise ModelError(f"Rows of questions need an additive mask ({expected}), not {found}; a fault of taxbench.")
    base = lm.model.base_model
    cache = {} if past is None else {_cache_name(base): past}
    output = base(inputs_embeds=rows, attention_mask=mask, position_ids=positions, use_cache=past is not None, **cache)
    return cast(Tensor, output.last_hidden_state)


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn "may look" into the mask that is added to attention scores.  # (b, n, m) bool → (b, 1, n, m)"""
    return torch.where(allowed, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]


def look_back(used: Tensor) -> Tensor:
    """Let each position see the used ones before it and itself: a row of nothing but −inf would be NaN.

    Args:
        used: Which positions hold something.  # (b, n)

    Returns:
        Whether row i sees column j.  # (b, n, n)
    """
    n = used.shape[1]
    causal = torch.ones(n, n, dtype=torch.bool, device=used.device).tril()
    return (causal[None] & used[:, None, :]) | torch.eye(n, dtype=torch.bool, device=used.device)[None]


def cache_of(layers: Layers = ()) -> Any:
    """Return a cache that holds keys and values, and all of them: no layer forgets beyond its window."""
    from transformers import DynamicCache

    cache = DynamicCache()
    for number, (keys, values) in enumerate(layers):
        cache.update(keys, values, number)
    return cache


def layers_of(cache: Any) -> Layers:
    """Return the keys and values that a forward pass left in a cache."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def _cache_name(base: Any) -> str:
    """Return what this version of transformers calls the cache."""
    return "cache" if "cache" in signature(base.forward).parameters else "past_key_values"
