"""Tiny random models of every class that is a whole system, saved as their real checkpoints are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn

from tests.features.tiny_encoders import SIZE, VIT, save_preprocessing

Saved = Callable[[str], Path]
"""Returns the folder of a tiny system."""
SPECIAL = ("<pad>", "<s>", "[MASK]", "</s>", "<image>")
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = 400
PAD, BOS, MASK, EOS, IMAGE = range(len(SPECIAL))


def tokenizer(
    more: tuple[str, ...] = (), row: str = "<s> $A </s>", normalizer: Any = None, words: Sequence[str] = ()
) -> hf.PreTrainedTokenizerFast:
    """Return a tokenizer that takes each byte for a token, so that no word is unknown.

    Args:
        more: Special tokens beside the usual ones.
        row: What it makes of a text.
        normalizer: What it does to texts between special tokens.
        words: Texts of which it knows whole words too.
    """
    special = [*SPECIAL, *more]
    vocabulary = {token: number for number, token in enumerate([*special, *BYTES])}
    assert len(vocabulary) <= VOCABULARY
    raw = Tokenizer(models.BPE(vocabulary, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    if words:
        trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=BYTES)
        raw.train_from_iterator(words, trainer)
    raw.post_processor = processors.TemplateProcessing(row, None, [("<s>", BOS), ("</s>", EOS)])
    if normalizer is not None:
        raw.normalizer = normalizer
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token=row.split()[0], eos_token="</s>", mask_token="[MASK]",
        additional_special_tokens=["<image>", *more], model_max_length=77,
    )  # fmt: skip


TEXT = {**SIZE, "vocab_size": VOCABULARY, "max_position_embeddings": 512, "pad_token_id": PAD}


@dataclass(frozen=True, slots=True)
class TinySystem:
    """A whole system of one class."""

    make: Callable[[], nn.Module]
    reads: tuple[str, ...] = ("match",)
    size: tuple[int, int] = (32, 32)
    tokens: dict[str, Any] = field(default_factory=dict)
    """Of its tokenizer; see `tokenizer`."""

    def save(self, folder: Path, words: Sequence[str] = ()) -> Path:
        """Save the model, its preprocessing and a tokenizer; no weight is zero or one: none can be forgotten."""
        torch.manual_seed(0)
        model: Any = self.make()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        model.save_pretrained(folder)
        save_preprocessing(folder, self.size)
        tokenizer(**self.tokens, words=words).save_pretrained(folder)
        return folder


def _clip() -> nn.Module:
    text = {**TEXT, "eos_token_id": EOS, "bos_token_id": BOS}
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=VIT, projection_dim=12))


def _siglip() -> nn.Module:
    return hf.SiglipModel(hf.SiglipConfig(text_config={**TEXT, "projection_size": 16}, vision_config=VIT))


def _dual() -> nn.Module:
    text = {**TEXT, "model_type": "bert"}
    vision = {**VIT, "model_type": "vit"}
    config = hf.VisionTextDualEncoderConfig(vision_config=vision, text_config=text, projection_dim=12)
    return hf.VisionTextDualEncoderModel(config)


def _flava_config() -> hf.FlavaConfig:
    return hf.FlavaConfig(
        image_config=VIT, text_config=TEXT, multimodal_config=SIZE, projection_dim=12, hidden_size=16,
        image_codebook_config={"hidden_size": 8, "num_groups": 1, "num_blocks_per_group": 1},
    )  # fmt: skip


def _blip2_config() -> dict[str, Any]:
    qformer = {**SIZE, "vocab_size": VOCABULARY, "encoder_hidden_size": 16, "cross_attention_frequency": 1,
               "use_qformer_text_input": True, "max_position_embeddings": 512, "pad_token_id": PAD}  # fmt: skip
    return {"vision_config": VIT, "qformer_config": qformer, "num_query_tokens": 4, "image_text_hidden_size": 12}


LLAMA = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "vocab_size": VOCABULARY, "initializer_range": 0.2,
         "max_position_embeddings": 2048, "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}  # fmt: skip


def _llava(kind: str) -> nn.Module:
    text = {**LLAMA, "model_type": "llama"}
    fields = {
        "vision_config": {**VIT, "model_type": "clip_vision_model"},
        "text_config": text,
        "image_token_index": IMAGE,
    }
    return getattr(hf, f"{kind}ForConditionalGeneration")(getattr(hf, f"{kind}Config")(**fields))


def _blip2() -> nn.Module:
    text = {"model_type": "opt", "hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "init_std": 0.2, "vocab_size": VOCABULARY, "max_position_embeddings": 512,
            "pad_token_id": PAD}  # fmt: skip
    config = _blip2_config() | {"text_config": text, "image_token_index": IMAGE}
    config["qformer_config"] = {**config["qformer_config"], "use_qformer_text_input": False}
    return hf.Blip2ForConditionalGeneration(hf.Blip2Config(**config))


def _chameleon() -> nn.Module:
    tokens = {"<image>": IMAGE} | {f"IMGIMG{'ABCDEFGH'[i]}Z": 300 + i for i in range(8)}
    vq = {"embed_dim": 8, "num_embeddings": 8, "latent_channels": 8, "resolution": 32, "base_channels": 32,
          "channel_multiplier": [1, 1], "num_res_blocks": 1}  # fmt: skip
    config = hf.ChameleonConfig(**LLAMA, vq_config=vq, vocabulary_map=tokens, swin_norm=False)
    return hf.ChameleonForConditionalGeneration(config)


def _idefics(kind: str) -> nn.Module:
    vision = {**SIZE, "image_size": 32, "patch_size": 8}
    text = {**LLAMA, "model_type": "llama"}
    config = getattr(hf, f"{kind}Config")(
        vision_config=vision, text_config=text, image_token_id=IMAGE, scale_factor=2, pad_token_id=PAD
    )
    return getattr(hf, f"{kind}ForConditionalGeneration")(config)


def _gemma3() -> nn.Module:
    text = {**LLAMA, "sliding_window": 512, "layer_types": ["sliding_attention", "full_attention"]}
    vision = {**VIT, "model_type": "siglip_vision_model", "vision_use_head": False}
    return hf.Gemma3ForConditionalGeneration(
        hf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=IMAGE)
    )


def _molmo2() -> nn.Module:
    vision = {**SIZE, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8, "image_size": [40, 40],
              "patch_size": 8, "num_position_embeddings": 25}  # fmt: skip
    adapter = {"vision_feature_layer": [-1, -2], "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
               "head_dim": 8, "intermediate_size": 32, "text_hidden_size": 32}  # fmt: skip
    text = {**LLAMA, "additional_vocab_size": 8}
    return hf.Molmo2ForConditionalGeneration(
        hf.Molmo2Config(
            vision_config=vision,
            adapter_config=adapter,
            text_config=text,
            image_patch_id=IMAGE,
            low_res_image_start_token_id=300,
            image_end_token_id=301,
            image_start_token_id=302,
        )
    )


def _qwen3_vl() -> nn.Module:
    vision = {"hidden_size": 16, "depth": 3, "num_heads": 2, "intermediate_size": 32, "patch_size": 8,
              "out_hidden_size": 32, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    return hf.Qwen3VLForConditionalGeneration(
        hf.Qwen3VLConfig(
            text_config={**LLAMA, "rope_parameters": rope},
            vision_config=vision,
            image_token_id=IMAGE,
            vision_start_token_id=300,
            vision_end_token_id=301,
        )
    )


def _answering(make: Callable[[], nn.Module], *more: str, size: tuple[int, int] = (32, 32)) -> TinySystem:
    """Return a system that answers, with some special tokens; its texts begin as they do in releases."""
    return TinySystem(make, ANSWER, size, {"more": more, "row": "<s> $A"})


ANSWER = ("answer",)
_CHATML = ("<|im_start|>", "<|im_end|>")
_IDEFICS = ("<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
TINY = {
    "clip": TinySystem(_clip),
    "siglip": TinySystem(_siglip),
    "dual": TinySystem(_dual),
    "flava": TinySystem(lambda: hf.FlavaForPreTraining(_flava_config()), ("match", "pair", "masked")),
    "blip-2-itm": TinySystem(
        lambda: hf.Blip2ForImageTextRetrieval(hf.Blip2Config(**_blip2_config())), ("match", "pair")
    ),
    "llava": _answering(lambda: _llava("Llava")),
    "llava-next": _answering(lambda: _llava("LlavaNext")),
    "blip-2": TinySystem(_blip2, ANSWER, tokens={"row": "</s> $A"}),
    "chameleon": _answering(_chameleon, "<racm3:break>", "<eoss>", "<reserved08706>"),
    "smolvlm": _answering(lambda: _idefics("SmolVLM"), *_IDEFICS),
    "idefics3": _answering(lambda: _idefics("Idefics3"), *_IDEFICS),
    "gemma3": _answering(_gemma3, "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"),
    "molmo2": _answering(_molmo2, *_CHATML, size=(40, 40)),
    "qwen3-vl": _answering(_qwen3_vl, *_CHATML, "<|vision_start|>", "<|vision_end|>"),
}
