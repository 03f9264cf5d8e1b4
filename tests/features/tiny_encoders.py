"""Tiny random models of every architecture that can be an encoder, saved as their real checkpoints are."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

SIZE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
VIT = {**SIZE, "image_size": 32, "patch_size": 8}
TEXT = {**SIZE, "num_hidden_layers": 1, "vocab_size": 50}
CONV = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}
MAE = {
    f"decoder_{name}": 8 for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
}
CODEBOOK = {"hidden_size": 8, "num_groups": 1, "num_blocks_per_group": 1}


@dataclass(frozen=True, slots=True)
class Tiny:
    """A model, and what is to be read off it."""

    make: Callable[[], nn.Module]
    raw: Callable[[Path], nn.Module]
    """Loads the tower as somebody would who knows transformers and not this package."""
    pooled: Callable[[Any], Tensor]
    """The pooled vector in that tower's output.  # (b, f)"""
    prefix: int = 0
    size: tuple[int, int] = (32, 32)
    grid: tuple[int, int] = (4, 4)
    inner: str = "cls"
    tower: str = ""

    def save(self, folder: Path) -> Path:
        """Save the model and its preprocessing; no weight is zero or one, so that none can be forgotten."""
        torch.manual_seed(0)
        model = self.make()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
            norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
            for norm in norms:
                norm.momentum = 1.0  # one batch sets the statistics
            if norms:
                model.train()(torch.randn(8, 3, *self.size))
        model.save_pretrained(folder)
        save_preprocessing(folder, self.size)
        return folder


def save_preprocessing(folder: Path, size: tuple[int, int]) -> None:
    """Write a `preprocessor_config.json`."""
    fields = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3], "resample": 3, "rescale_factor": 1 / 255}
    text = json.dumps({"size": {"height": size[0], "width": size[1]}, "do_center_crop": False, **fields})
    (folder / "preprocessor_config.json").write_text(text)


def pictures(size: tuple[int, int], n: int = 4) -> Tensor:
    """Return pictures that differ.  # (n, 3, height, width) uint8"""
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def normalised(pixels: Tensor) -> Tensor:
    """Normalise pictures as `save_preprocessing` writes it."""
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    return (pixels / 255 - mean[:, None, None]) / std[:, None, None]


def cls(output: Any) -> Tensor:
    """Take the first token."""
    return output.last_hidden_state[:, 0]


def pooler(output: Any) -> Tensor:
    """Take the model's own pooler."""
    return output.pooler_output


def mean_of_map(output: Any) -> Tensor:
    """Average a map."""
    return output.last_hidden_state.mean((2, 3))


def auto(folder: Path) -> nn.Module:
    """Load a model whole."""
    return hf.AutoModel.from_pretrained(folder)


def mae_as_vit(folder: Path) -> nn.Module:
    """Load MAE's weights into a plain ViT, which has no masking and no shuffling to begin with."""
    weights = hf.ViTMAEForPreTraining.from_pretrained(folder).vit.state_dict()
    model = hf.ViTModel(hf.ViTConfig(**VIT), add_pooling_layer=False)
    model.load_state_dict(weights)
    return model


def clip() -> nn.Module:
    return hf.CLIPModel(hf.CLIPConfig(text_config=TEXT, vision_config=VIT))


def bert() -> nn.Module:
    return hf.BertModel(hf.BertConfig(**TEXT))


def siglip(**vision: Any) -> nn.Module:
    return hf.SiglipModel(hf.SiglipConfig(text_config=TEXT, vision_config={**VIT, **vision}))


def flava_config() -> Any:
    return hf.FlavaConfig(
        text_config=TEXT, image_config=VIT, multimodal_config=TEXT, image_codebook_config=CODEBOOK, hidden_size=16
    )


def registers(**fields: Any) -> nn.Module:
    return hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**VIT, **fields))


MAP = {"size": (96, 64), "grid": (3, 2), "inner": "mean"}
BIAS = {"use_relative_position_bias": True}
MASKED = {"use_shared_relative_position_bias": True, "use_mask_token": True, "vocab_size": 20}
TINY = {
    "dinov2": Tiny(lambda: hf.Dinov2Model(hf.Dinov2Config(**VIT)), auto, cls, 1),
    "dinov2-reg": Tiny(registers, auto, cls, 5),
    "dinov2-reg-2": Tiny(lambda: registers(num_register_tokens=2), auto, cls, 3),
    "dinov3": Tiny(lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VIT, num_register_tokens=4)), auto, cls, 5),
    "dinov3-convnext": Tiny(lambda: hf.DINOv3ConvNextModel(hf.DINOv3ConvNextConfig(**CONV)), auto, pooler, 1, **MAP),
    "siglip": Tiny(
        siglip,
        lambda folder: hf.SiglipModel.from_pretrained(folder).vision_model,
        pooler,
        inner="mean",
        tower="vision_config",
    ),
    "siglip-without-head": Tiny(
        lambda: siglip(vision_use_head=False),
        lambda folder: hf.SiglipModel.from_pretrained(folder).vision_model,
        lambda output: output.last_hidden_state.mean(1),
        inner="mean",
        tower="vision_config",
    ),
    "siglip-vision": Tiny(lambda: hf.SiglipVisionModel(hf.SiglipVisionConfig(**VIT)), auto, pooler, inner="mean"),
    "clip": Tiny(
        clip, lambda folder: hf.CLIPModel.from_pretrained(folder).vision_model, pooler, 1, tower="vision_config"
    ),
    "clip-vision": Tiny(lambda: hf.CLIPVisionModel(hf.CLIPVisionConfig(**VIT)), auto, pooler, 1),
    "flava": Tiny(
        lambda: hf.FlavaModel(flava_config()),
        lambda folder: hf.FlavaModel.from_pretrained(folder).image_model,
        cls,
        1,
        tower="image_config",
    ),
    "flava-full": Tiny(
        lambda: hf.FlavaForPreTraining(flava_config()),
        lambda folder: hf.FlavaForPreTraining.from_pretrained(folder).flava.image_model,
        cls,
        1,
        tower="image_config",
    ),
    "llava": Tiny(
        lambda: hf.LlavaForConditionalGeneration(
            hf.LlavaConfig(vision_config=hf.CLIPVisionConfig(**VIT), text_config=hf.LlamaConfig(**TEXT))
        ),
        lambda folder: hf.LlavaForConditionalGeneration.from_pretrained(folder).model.vision_tower,
        pooler,
        1,
        tower="vision_config",
    ),
    "vit": Tiny(lambda: hf.ViTModel(hf.ViTConfig(**VIT)), auto, cls, 1),
    "vit-classifier": Tiny(
        lambda: hf.ViTForImageClassification(hf.ViTConfig(**VIT)),
        lambda folder: hf.ViTForImageClassification.from_pretrained(folder).vit,
        cls,
        1,
    ),
    "vit-mae": Tiny(lambda: hf.ViTMAEForPreTraining(hf.ViTMAEConfig(**VIT, **MAE)), mae_as_vit, cls, 1),
    "beit": Tiny(lambda: hf.BeitModel(hf.BeitConfig(**VIT, **BIAS)), auto, pooler, 1, inner="mean"),
    "beit-masked": Tiny(
        lambda: hf.BeitForMaskedImageModeling(hf.BeitConfig(**VIT, **MASKED)),
        lambda folder: hf.BeitForMaskedImageModeling.from_pretrained(folder).beit,
        lambda output: output.last_hidden_state[:, 1:].mean(1),
        1,
        inner="mean",
    ),
    "beit-without-pooler": Tiny(
        lambda: hf.BeitModel(hf.BeitConfig(**VIT, **BIAS), add_pooling_layer=False),
        lambda folder: hf.BeitModel.from_pretrained(folder, add_pooling_layer=False),
        lambda output: output.last_hidden_state[:, 1:].mean(1),
        1,
        inner="mean",
    ),
    "vit-and-text": Tiny(
        lambda: hf.VisionTextDualEncoderModel(vision_model=hf.ViTModel(hf.ViTConfig(**VIT)), text_model=bert()),
        lambda folder: hf.VisionTextDualEncoderModel.from_pretrained(folder).vision_model,
        cls,
        1,
        tower="vision_config",
    ),
    "mobilenet": Tiny(
        lambda: hf.MobileNetV1Model(hf.MobileNetV1Config(depth_multiplier=0.25)), auto, mean_of_map, **MAP
    ),
    "mobilenet-v2": Tiny(
        lambda: hf.MobileNetV2Model(hf.MobileNetV2Config(depth_multiplier=0.25)), auto, mean_of_map, **MAP
    ),
    "convnext": Tiny(lambda: hf.ConvNextModel(hf.ConvNextConfig(**CONV)), auto, pooler, **MAP),
    "convnextv2": Tiny(lambda: hf.ConvNextV2Model(hf.ConvNextV2Config(**CONV)), auto, pooler, **MAP),
    "resnet": Tiny(
        lambda: hf.ResNetModel(hf.ResNetConfig(embedding_size=8, **CONV, layer_type="basic")), auto, mean_of_map, **MAP
    ),
    # Not in FAMILIES: read by trying.
    "regnet": Tiny(
        lambda: hf.RegNetModel(hf.RegNetConfig(embedding_size=8, **CONV, groups_width=4)), auto, mean_of_map, **MAP
    ),
    "vit-msn": Tiny(
        lambda: hf.ViTMSNModel(hf.ViTMSNConfig(**VIT)),
        auto,
        lambda output: output.last_hidden_state[:, 1:].mean(1),
        1,
        inner="mean",
    ),
}
