"""What stands for tokens where a language model is given vectors: it must answer to both alike."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from taxbench.util.errors import ModelError

# What models that cannot be asked in a way are seen to raise.
REFUSALS = (ValueError, RuntimeError, LookupError, TypeError, AttributeError)


@torch.inference_mode()
def token_embedding(model: Any, name: str) -> Any:
    """Return what makes vectors of tokens that a model answers to as to the tokens themselves; seen on eight of them.

    Most models rescale embeddings inside their embedding layer, or whatever they are given. Falcon-H1 does it where it
    looks tokens up and nowhere else, so its vectors have to come rescaled.

    Raises:
        ModelError: there is no such scale: the model does more with tokens than to embed them.
    """
    table, config = model.get_input_embeddings(), model.config.get_text_config()
    n = table.weight.shape[0]
    limit = _EXACT if table.weight.dtype == torch.float32 else _ROUNDED
    ids = (torch.arange(8, device=table.weight.device) * (n // 16) + n // 8)[None]
    try:
        own = model.base_model(input_ids=ids, use_cache=False).last_hidden_state.float()
        scales = (1.0, *(config_number(config, each) for each in ("embedding_multiplier", "embed_scale", "scale_emb")))
        far = []
        for scale in filter(None, scales):
            given = model.base_model(inputs_embeds=table(ids) * scale, use_cache=False).last_hidden_state.float()
            far.append(float((given - own).square().mean().sqrt() / own.square().mean().sqrt()))
            if not far[-1] > limit:  # NaN is for the check of its answers
                return table if scale == 1 else _scaled(table, scale)
    except REFUSALS:
        return table  # what it says to vectors will be told when it is asked
    raise ModelError(
        f"'{name}' answers otherwise to a token's embedding than to the token (its states move by {min(far):.1%}): "
        "what stands in the place of an image would not be read as it reads words."
    )


_EXACT, _ROUNDED = 1e-3, 0.05  # shares of the size of states: beyond the rounding of float32, and of shorter numbers


def _scaled(table: Any, scale: float) -> Callable[[Tensor], Tensor]:
    """Return a table of embeddings whose vectors are multiplied by a number."""
    return lambda ids: table(ids) * scale


def config_number(config: Any, name: str) -> float | None:
    """Return a number of a language model's configuration; None where it has none."""
    value = getattr(config, name, None)
    return float(value) if isinstance(value, int | float) else None  # mpt has a word here
