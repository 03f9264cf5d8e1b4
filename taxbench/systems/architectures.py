"""How each architecture of transformers that is a whole system is asked. A new one is an entry of `ARCHITECTURES`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from taxbench.specs.sources import SystemSpec
from taxbench.util.errors import ModelError

Image = Callable[[Any, Tensor], Tensor]
"""The whole model, normalised pictures (b, 3, height, width) → what is kept of them (b, t, f)."""
Texts = Callable[[Any, Any], Tensor]
"""The whole model, tokenised texts → their vectors (v, d)."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """How the systems of one class are asked in one way."""

    model: str
    """The class of transformers."""
    image: Image
    """What is kept of pictures, computed once; its name is a part of the feature key."""
    texts: Texts | None = None
    """The vectors of texts that pictures are compared with."""
    tokenised: dict[str, Any] = field(default_factory=dict)
    """How texts are tokenised, where it is not as the tokenizer says."""


def _embedded(model: Any, pixels: Tensor) -> Tensor:
    """Return the pictures' vectors in the space that they share with texts."""
    found: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
    return found[:, None]


def _flava_embedded(model: Any, pixels: Tensor) -> Tensor:
    """Return the projected class tokens; FLAVA's `pooler_output` has all tokens."""
    found: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
    return found[:, :1]


def _blip2_queries(model: Any, pixels: Tensor) -> Tensor:
    """Return the projected output of every query of the Q-Former."""
    seen = model.vision_model(pixel_values=pixels).last_hidden_state
    queries = model.query_tokens.expand(len(pixels), -1, -1)
    found: Tensor = model.vision_projection(model.qformer(queries, encoder_hidden_states=seen).last_hidden_state)
    return found


def _text_features(model: Any, tokens: Any) -> Tensor:
    """Return the texts' vectors in the space that they share with pictures."""
    found: Tensor = model.get_text_features(**tokens).pooler_output
    return found


def _flava_text(model: Any, tokens: Any) -> Tensor:
    """Return the projected class tokens of texts."""
    found: Tensor = model.get_text_features(**tokens).pooler_output
    return found[:, 0]


def _blip2_text(model: Any, tokens: Any) -> Tensor:
    """Return the projected first token of texts, which go through the Q-Former without queries."""
    rows = model.embeddings(input_ids=tokens["input_ids"])
    found = model.qformer(rows, query_length=0, attention_mask=tokens["attention_mask"]).last_hidden_state
    vectors: Tensor = model.text_projection(found[:, 0])
    return vectors


# SigLIP is trained on texts filled up to 64 tokens and has no mask for them (https://arxiv.org/abs/2303.15343).
_SIGLIP = {"padding": "max_length", "max_length": 64, "return_attention_mask": False}
ARCHITECTURES: dict[tuple[str, str], Architecture] = {
    ("clip", "match"): Architecture("CLIPModel", _embedded, _text_features),
    ("siglip", "match"): Architecture("SiglipModel", _embedded, _text_features, _SIGLIP),
    ("flava", "match"): Architecture("FlavaModel", _flava_embedded, _flava_text),
    # https://arxiv.org/abs/2301.12597: the similarity of an image is that of its best query.
    ("blip-2", "match"): Architecture("Blip2ForImageTextRetrieval", _blip2_queries, _blip2_text),
}
"""By `model_type` and reader."""


def architecture_of(spec: SystemSpec, config: Any) -> Architecture:
    """Return how a system is asked.

    Raises:
        ModelError: its class cannot be asked like that.
    """
    found = ARCHITECTURES.get((config.model_type, spec.reads))
    if found is None:
        ways = [f"{kind} by {reader}" for kind, reader in ARCHITECTURES]
        raise ModelError(
            f"'{spec.source}' ({config.model_type}) cannot be asked by {spec.reads}. Known: {'; '.join(ways)}."
        )
    return found
