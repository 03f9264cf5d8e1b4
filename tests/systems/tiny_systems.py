"""Tiny random models of every class that is a whole system, saved as their real checkpoints are."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn

from tests.features.tiny_encoders import SIZE, VIT, save_preprocessing

SPECIAL = ("<pad>", "<s>", "[MASK]", "</s>", "<image>")
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = 320
PAD, BOS, MASK, EOS, IMAGE = range(len(SPECIAL))


def tokenizer(more: tuple[str, ...] = (), **options: Any) -> hf.PreTrainedTokenizerFast:
    """Return a tokenizer that takes each byte for a token, so that no word is unknown."""
    special = (*SPECIAL, *more)
    vocabulary = {token: number for number, token in enumerate([*special, *BYTES])}
    assert len(vocabulary) <= VOCABULARY
    raw = Tokenizer(models.BPE(vocabulary, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    if options.pop("framed", True):
        raw.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", BOS), ("</s>", EOS)])
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", mask_token="[MASK]",
        additional_special_tokens=["<image>", *more], model_max_length=77, **options,
    )  # fmt: skip


TEXT = {**SIZE, "vocab_size": VOCABULARY, "max_position_embeddings": 512, "pad_token_id": PAD}


@dataclass(frozen=True, slots=True)
class TinySystem:
    """A whole system of one class."""

    make: Callable[[], nn.Module]
    reads: tuple[str, ...] = ("match",)
    more: tuple[str, ...] = ()
    size: tuple[int, int] = (32, 32)
    options: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Save the model, its preprocessing and a tokenizer; no weight is zero or one: none can be forgotten."""
        torch.manual_seed(0)
        model: Any = self.make()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        model.save_pretrained(folder)
        save_preprocessing(folder, self.size)
        tokenizer(self.more, **self.options).save_pretrained(folder)
        return folder


def _clip() -> nn.Module:
    text = {**TEXT, "eos_token_id": EOS, "bos_token_id": BOS}
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=VIT, projection_dim=12))


def _siglip() -> nn.Module:
    return hf.SiglipModel(hf.SiglipConfig(text_config={**TEXT, "projection_size": 16}, vision_config=VIT))


def _flava_config() -> hf.FlavaConfig:
    return hf.FlavaConfig(
        image_config=VIT, text_config=TEXT, multimodal_config=SIZE, projection_dim=12, hidden_size=16,
        image_codebook_config={"hidden_size": 8, "num_groups": 1, "num_blocks_per_group": 1},
    )  # fmt: skip


def _blip2_config() -> dict[str, Any]:
    qformer = {**SIZE, "vocab_size": VOCABULARY, "encoder_hidden_size": 16, "cross_attention_frequency": 1,
               "use_qformer_text_input": True, "max_position_embeddings": 512, "pad_token_id": PAD}  # fmt: skip
    return {"vision_config": VIT, "qformer_config": qformer, "num_query_tokens": 4, "image_text_hidden_size": 12}


TINY = {
    "clip": TinySystem(_clip),
    "siglip": TinySystem(_siglip),
    "flava": TinySystem(lambda: hf.FlavaForPreTraining(_flava_config()), ("match", "pair", "masked")),
    "blip-2-itm": TinySystem(
        lambda: hf.Blip2ForImageTextRetrieval(hf.Blip2Config(**_blip2_config())), ("match", "pair")
    ),
}


def written(folder: Path) -> dict[str, Any]:
    """Return what `config.json` of a folder says."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found
