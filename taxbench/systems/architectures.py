"""How each architecture of transformers that is a whole system is asked. A new one is an entry of `ARCHITECTURES`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from taxbench.registry.models import BY_TEXTS
from taxbench.specs.sources import SystemSpec
from taxbench.specs.task import IMAGE
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
    pairs: Callable[[Any, Tensor, Any], Tensor] | None = None
    """The model, what is kept of pictures (n, t, f), n tokenised texts → log odds that they match (n,)."""
    masked: Callable[[Any, Tensor, Any], Tensor] | None = None
    """The model, what is kept of pictures (n, t, f), n tokenised texts → logits of all words (n, l, words)."""
    answers: "Answering | None" = None
    """How its language model is asked."""
    view: Callable[[Any], int] | None = None
    """The side of the one view that is taken, in pixels, where its own processor takes several, or keeps shapes."""


@dataclass(frozen=True, slots=True)
class Answering:
    """How a language model that sees pictures as vectors among its words is asked."""

    chat: str
    """What the chat template of its releases makes of a picture and `{question}`; that of a checkpoint itself goes
    before it."""
    whole: Callable[[Any, Tensor, Tensor], dict[str, Any]]
    """What the model's own forward takes beside tokens: the model, pictures, which tokens are of the image (n, l)."""
    halves: Callable[[Any], tuple[Any, Any]] = lambda model: (model.model.language_model, model.lm_head)
    """Its language model without output layer, and that layer."""
    vectors: Image = lambda model, kept: kept
    """The model, what is kept of pictures → what stands in rows (b, k, d), what layers add to it behind it."""
    image: tuple[str, str] = ("<image>", IMAGE)
    """What chat templates say for a picture, and what the processor of its releases puts there around its tokens."""
    instructed: bool = True
    """Whether the question is followed by the answers that it may have."""
    tokens: Callable[[Any, int], list[int]] = lambda config, k: [config.image_token_id] * k
    """The configuration, k → the tokens that the vectors stand for."""
    opens: bool = True
    """Whether a row begins with the tokenizer's own first token."""
    block: bool = False
    """Whether the tokens of an image see each other both ways."""
    deep: bool = False
    """Whether layers add vectors to those of the image, and positions are those of a grid."""
    forbidden: Callable[[Any], list[int]] = lambda model: []
    """The tokens that the model never answers with."""


def _embedded(model: Any, pixels: Tensor) -> Tensor:
    """Return the pictures' vectors in the space that they share with texts."""
    found: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
    return found[:, None]


def _dual_embedded(model: Any, pixels: Tensor) -> Tensor:
    """Return the projected pooled vector, which convolutional encoders give two dimensions of size 1."""
    pooled = model.vision_model(pixel_values=pixels).pooler_output.flatten(1)
    found: Tensor = model.visual_projection(pooled)
    return found[:, None]


def _flava_embedded(model: Any, pixels: Tensor) -> Tensor:
    """Return the projected class tokens; FLAVA's `pooler_output` has all tokens."""
    found: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
    return found[:, :1]


def _blip2_queries(model: Any, pixels: Tensor) -> Tensor:
    """Return the projected output of every query of the Q-Former."""
    seen, queries = _blip2_seen(model, pixels), model.query_tokens.expand(len(pixels), -1, -1)
    found: Tensor = model.vision_projection(model.qformer(queries, encoder_hidden_states=seen).last_hidden_state)
    return found


def _text_features(model: Any, tokens: Any) -> Tensor:
    """Return the texts' vectors in the space that they share with pictures."""
    found: Tensor = model.get_text_features(**tokens).pooler_output
    return found


def _flava_text(model: Any, tokens: Any) -> Tensor:
    """Return the projected class tokens of texts."""
    return _text_features(model, tokens)[:, 0]


def _flava_text_of(model: Any, tokens: Any) -> Tensor:
    """Return the same of a model that is FLAVA and more."""
    return _flava_text(model.flava, tokens)


def _blip2_text(model: Any, tokens: Any) -> Tensor:
    """Return the projected first token of texts, which go through the Q-Former without queries."""
    rows = model.embeddings(input_ids=tokens["input_ids"])
    found = model.qformer(rows, query_length=0, attention_mask=tokens["attention_mask"]).last_hidden_state
    vectors: Tensor = model.text_projection(found[:, 0])
    return vectors


def _flava_joint(model: Any, pixels: Tensor) -> Tensor:
    """Return all tokens of pictures, before the image encoder's last norm, as the encoder of both takes them."""
    inner = model.flava
    found: Tensor = inner.image_to_mm_projection(inner.image_model(pixels, output_hidden_states=True).hidden_states[-1])
    return found


def _flava_both(model: Any, image: Tensor, tokens: Any) -> Tensor:
    """Return the states of the encoder of pictures and texts, which does not see what fills texts up."""
    inner = model.flava
    text = inner.text_model(**tokens, output_hidden_states=True).hidden_states[-1]
    both = torch.cat([image.to(text), inner.text_to_mm_projection(text)], dim=1)
    seen = image.shape[1] + int(inner.multimodal_model.use_cls_token)
    mask = functional.pad(tokens["attention_mask"], (seen, 0), value=1)
    found: Tensor = inner.multimodal_model(both, attention_mask=mask).last_hidden_state
    return found


def _odds(logits: Tensor) -> Tensor:
    """Return the log odds of a match from the logits of none and one; a softmax before would squash them."""
    return logits[:, 1] - logits[:, 0]


def _flava_match(model: Any, image: Tensor, tokens: Any) -> Tensor:
    return _odds(model.itm_head(_flava_both(model, image, tokens)))


def _flava_words(model: Any, image: Tensor, tokens: Any) -> Tensor:
    found: Tensor = model.mmm_text_head(_flava_both(model, image, tokens)[:, -tokens["input_ids"].shape[1] :])
    return found


def _blip2_seen(model: Any, pixels: Tensor) -> Tensor:
    """Return what the image encoder makes of pictures."""
    found: Tensor = model.vision_model(pixel_values=pixels).last_hidden_state
    return found


def _blip2_match(model: Any, image: Tensor, tokens: Any) -> Tensor:
    """Return the log odds of a match, the mean over the queries of the Q-Former."""
    queries = model.query_tokens.expand(len(image), -1, -1)
    n = queries.shape[1]
    found = model.qformer(
        model.embeddings(input_ids=tokens["input_ids"], query_embeds=queries),
        query_length=n,
        attention_mask=functional.pad(tokens["attention_mask"], (n, 0), value=1),
        encoder_hidden_states=image.to(queries),
    ).last_hidden_state
    return _odds(model.itm_head(found[:, :n]).mean(1))


def _pooled(model: Any, pixels: Tensor) -> Tensor:
    """Return the vectors that stand for pictures among words."""
    found = model.get_image_features(pixel_values=pixels).pooler_output
    return found if isinstance(found, Tensor) else torch.stack(list(found))


def _one_of_several(model: Any, pixels: Tensor) -> Tensor:
    """Return the vectors of pictures, each the only one of its row."""
    return _pooled(model, pixels[:, None])


def _one_view(model: Any, pixels: Tensor) -> Tensor:
    """Return the vectors of the whole picture, and the one that ends it; releases add views of its parts."""
    layers, inner = model.config.vision_feature_layer, model.model
    hidden = inner.vision_tower(pixels, output_hidden_states=True).hidden_states
    seen = torch.cat([hidden[each] for each in ([layers] if isinstance(layers, int) else layers)], dim=-1)
    seen = seen[:, 1:] if model.config.vision_feature_select_strategy == "default" else seen
    found: Tensor = inner.multi_modal_projector(seen)
    return torch.cat([found, inner.image_newline.to(found).expand(len(found), 1, -1)], dim=1)


def _image_ids(model: Any, pixels: Tensor) -> Tensor:
    """Return the tokens of pictures, each as two numbers that every storage type holds.  # (b, t, 2)"""
    ids = model.model.get_image_tokens(pixels).long()
    return torch.stack([ids // 256, ids % 256], dim=-1).float()


def _embedded_ids(model: Any, kept: Tensor) -> Tensor:
    """Return the embeddings of tokens that are kept as two numbers."""
    found: Tensor = model.get_input_embeddings()((kept[..., 0] * 256 + kept[..., 1]).round().long())
    return found


def _molmo_inputs(model: Any, pixels: Tensor) -> dict[str, Tensor]:
    """Return patches, which of them are pooled, and the grid of what comes out, of the whole picture alone."""
    patch, (b, _, height, width) = model.config.vision_config.patch_size, pixels.shape
    rows, columns = height // patch, width // patch
    cut = pixels.unfold(2, patch, patch).unfold(3, patch, patch)  # (b, 3, rows, columns, patch, patch)
    index = torch.arange(rows * columns, device=pixels.device).reshape(1, rows, columns)
    more = columns % 2, rows % 2  # a patch more on the right and below
    index = functional.pad(index, (more[0] // 2, (more[0] + 1) // 2, more[1] // 2, (more[1] + 1) // 2), value=-1)[0]
    pooled = index.unfold(0, 2, 2).unfold(1, 2, 2)  # (rows / 2, columns / 2, 2, 2)
    grid = pooled.shape[:2]
    pooled, first = pooled.reshape(1, -1, 4), torch.arange(b, device=pixels.device)[:, None, None] * rows * columns
    pooled = torch.where(pooled >= 0, pooled + first, -1)
    return {
        "pixel_values": cut.permute(0, 2, 3, 4, 5, 1).reshape(b, rows * columns, -1),
        "image_token_pooling": pooled.flatten(0, 1),
        "image_grids": torch.tensor([[grid[0], grid[1], 0, 0]] * b, device=pixels.device),
    }


def _molmo_tokens(config: Any, k: int) -> list[int]:
    """Return the tokens of an image of k, its beginning and its end; rows of the whole picture end in no token."""
    return [config.low_res_image_start_token_id, *[config.image_patch_id] * (k - 2), config.image_end_token_id]


def _molmo_view(model: Any, pixels: Tensor) -> Tensor:
    """Return the embeddings of an image's tokens, those of patches with their features added."""
    found = torch.stack(list(model.get_image_features(**_molmo_inputs(model, pixels)).pooler_output))
    ids = torch.tensor(_molmo_tokens(model.config, found.shape[1] + 2), device=pixels.device)
    block: Tensor = model.get_input_embeddings()(ids).to(found).repeat(len(found), 1, 1)
    block[:, 1:-1] += found
    return block


def _qwen_inputs(model: Any, pixels: Tensor) -> dict[str, Tensor]:
    """Return patches in the order in which they are merged, each picture twice as a film of two frames."""
    vision, b = model.config.vision_config, len(pixels)
    patch, merge, frames = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    rows, columns = pixels.shape[2] // patch, pixels.shape[3] // patch
    cut = pixels.reshape(b, 3, rows // merge, merge, patch, columns // merge, merge, patch)
    cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None].expand(*[-1] * 6, frames, -1, -1)
    grid = torch.tensor([[1, rows, columns]] * b, device=pixels.device)
    return {"pixel_values": cut.reshape(b * rows * columns, -1), "image_grid_thw": grid}


def _qwen_deep(model: Any, pixels: Tensor) -> Tensor:
    """Return the vectors of pictures, and behind each those that layers add."""
    found = model.get_image_features(**_qwen_inputs(model, pixels))
    return torch.cat([torch.stack(list(each)) for each in (found.pooler_output, *found.deepstack_features)], dim=-1)


def _typed(name: str, inputs: Callable[[Any, Tensor], dict[str, Tensor]]) -> Callable[..., dict[str, Any]]:
    """Return what a model takes that must be told which tokens are of the image, also where nothing is trained."""
    return lambda model, pixels, image: {**inputs(model, pixels), name: image.long()}


def _pixels(model: Any, pixels: Tensor, image: Tensor) -> dict[str, Any]:
    return {"pixel_values": pixels}


def _given(model: Any, pixels: Tensor, image: Tensor) -> dict[str, Any]:
    """Return the vectors of one view, which no input of the model's own asks for."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    found = BaseModelOutputWithPooling(pooler_output=tuple(_one_view(model, pixels)))
    return {"mm_encoder_outputs": {"image": found}}


# What releases make of a picture and a question. Of those whose checkpoints bring a chat template it is what that says,
# as their documentation asks for; what processors put around an image's tokens is in transformers' processing_*.py.
_LLAVA = Answering("USER: <image>\n{question} ASSISTANT:", _pixels)  # huggingface.co/llava-hf/llava-1.5-7b-hf
_BLIP2 = Answering(  # huggingface.co/Salesforce/blip2-opt-2.7b; image tokens come before the first token of the text
    "<image></s>Question: {question} Answer:",
    _pixels,
    halves=lambda model: (model.language_model.model, model.language_model.lm_head),
    instructed=False,
    opens=False,
)
_CHAMELEON = Answering(  # huggingface.co/docs/transformers/model_doc/chameleon: its processor ends a user's turn
    "<image>{question}<reserved08706>",
    _pixels,
    halves=lambda model: (model.model, model.lm_head),
    vectors=_embedded_ids,
    image=("<image>", f"<racm3:break>{IMAGE}<eoss>"),
    forbidden=lambda model: list(model.model.vocabulary_mapping.image_tokens),
)
_IDEFICS = Answering(  # huggingface.co/HuggingFaceM4/Idefics3-8B-Llama3, HuggingFaceTB/SmolVLM2-500M-Video-Instruct
    "User:<image>{question}<end_of_utterance>\nAssistant:",
    lambda model, pixels, image: {"pixel_values": pixels[:, None]},
    halves=lambda model: (model.model.text_model, model.lm_head),
    image=("<image>", f"<fake_token_around_image><global-img>{IMAGE}<fake_token_around_image>"),
)
_GEMMA = Answering(  # huggingface.co/google/gemma-3-4b-it
    "<start_of_turn>user\n<start_of_image>{question}<end_of_turn>\n<start_of_turn>model\n",
    _typed("token_type_ids", lambda model, pixels: {"pixel_values": pixels}),
    image=("<start_of_image>", f"\n\n<start_of_image>{IMAGE}<end_of_image>\n\n"),
    block=True,
)
_QWEN = Answering(  # huggingface.co/Qwen/Qwen3-VL-2B-Instruct
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n",
    _typed("mm_token_type_ids", _qwen_inputs),
    image=("<|image_pad|>", IMAGE),
    deep=True,
)
_MOLMO = Answering(  # huggingface.co/allenai/Molmo2-4B: images come before all turns
    "<|image|><|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
    _typed("mm_token_type_ids", _molmo_inputs),
    image=("<|image|>", IMAGE),
    tokens=_molmo_tokens,
    block=True,
)


def _side(config: Any) -> int:
    """Return the side of the pictures that the image encoder of a system takes."""
    size = config.vision_config.image_size
    return int(size[0] if isinstance(size, list | tuple) else size)


# SigLIP is trained on texts filled up to 64 tokens and has no mask for them (https://arxiv.org/abs/2303.15343).
_SIGLIP = {"padding": "max_length", "max_length": 64, "return_attention_mask": False}
_FLAVA = {"padding": "max_length", "max_length": 77}  # as its processor does
ARCHITECTURES: dict[tuple[str, str], Architecture] = {
    ("clip", "match"): Architecture("CLIPModel", _embedded, _text_features),
    ("siglip", "match"): Architecture("SiglipModel", _embedded, _text_features, _SIGLIP),
    # https://arxiv.org/abs/2111.07991
    ("vision-text-dual-encoder", "match"): Architecture("VisionTextDualEncoderModel", _dual_embedded, _text_features),
    ("flava", "match"): Architecture("FlavaModel", _flava_embedded, _flava_text),
    # https://arxiv.org/abs/2301.12597: the similarity of an image is that of its best query.
    ("blip-2", "match"): Architecture("Blip2ForImageTextRetrieval", _blip2_queries, _blip2_text),
    ("flava", "pair"): Architecture("FlavaForPreTraining", _flava_joint, _flava_text_of, _FLAVA, pairs=_flava_match),
    ("flava", "masked"): Architecture("FlavaForPreTraining", _flava_joint, _flava_text_of, _FLAVA, masked=_flava_words),
    ("blip-2", "pair"): Architecture("Blip2ForImageTextRetrieval", _blip2_seen, _blip2_text, pairs=_blip2_match),
    # https://arxiv.org/abs/2301.12597 (those of OPT: T5 is no decoder), https://arxiv.org/abs/2310.03744
    ("blip-2", "answer"): Architecture("Blip2ForConditionalGeneration", _pooled, answers=_BLIP2),
    ("llava", "answer"): Architecture("LlavaForConditionalGeneration", _pooled, answers=_LLAVA),
    ("llava_next", "answer"): Architecture(
        "LlavaNextForConditionalGeneration", _one_view, answers=replace(_LLAVA, whole=_given), view=_side
    ),
    # https://arxiv.org/abs/2405.09818: pictures are tokens of its own vocabulary, which it never answers with.
    ("chameleon", "answer"): Architecture("ChameleonForConditionalGeneration", _image_ids, answers=_CHAMELEON),
    ("smolvlm", "answer"): Architecture(
        "SmolVLMForConditionalGeneration", _one_of_several, answers=_IDEFICS, view=_side
    ),
    ("idefics3", "answer"): Architecture(
        "Idefics3ForConditionalGeneration", _one_of_several, answers=_IDEFICS, view=_side
    ),
    ("gemma3", "answer"): Architecture("Gemma3ForConditionalGeneration", _pooled, answers=_GEMMA),
    ("molmo2", "answer"): Architecture(
        "Molmo2ForConditionalGeneration",
        _molmo_view,
        answers=_MOLMO,
        view=_side,
    ),
    ("qwen3_vl", "answer"): Architecture(
        "Qwen3VLForConditionalGeneration",
        _qwen_deep,
        answers=_QWEN,
        view=lambda config: 448,
    ),
}
"""By `model_type` and reader."""


def architecture_of(spec: SystemSpec, config: Any) -> Architecture:
    """Return how a system is asked.

    Raises:
        ModelError: its class cannot be asked like that.
    """
    found = ARCHITECTURES.get((config.model_type, "match" if spec.reads in BY_TEXTS else spec.reads))
    if found is None:
        ways = [f"{kind} by {reader}" for kind, reader in ARCHITECTURES]
        raise ModelError(
            f"'{spec.source}' ({config.model_type}) cannot be asked by {spec.reads}. Known: {'; '.join(ways)}."
        )
    inner = config.get_text_config()
    if found.answers and inner.is_encoder_decoder:
        raise ModelError(
            f"'{spec.source}' answers through an encoder and a decoder ({inner.model_type}), and questions can be put "
            "to a decoder alone. Give a checkpoint such as Salesforce/blip2-opt-2.7b."
        )
    return found
