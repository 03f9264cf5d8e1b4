"""Encoders through the real loading path: what the features are, and that preprocessing is the model's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
)

from taxbench.errors import ModelError
from taxbench.features.encoders import Encoder, load_encoder
from taxbench.registry.models import find_encoder
from taxbench.specs.models import EncoderSpec

VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}
CPU = torch.device("cpu")


def save(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    models = {
        "vit": lambda: ViTModel(ViTConfig(**VIT, patch_size=8)),
        "dinov2": lambda: Dinov2Model(Dinov2Config(**VIT, patch_size=8)),
        "resnet": lambda: ResNetModel(
            ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        ),
        "clip": lambda: CLIPModel(
            CLIPConfig(
                text_config=CLIPTextConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2).to_dict(),
                vision_config=CLIPVisionConfig(**VIT, patch_size=8).to_dict(),
            )
        ),
    }
    models[kind]().save_pretrained(folder)
    CLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False).save_pretrained(folder)
    return folder


def load(folder: Path, **fields: object) -> Encoder:
    spec = EncoderSpec.model_validate({"name": folder.name, "source": str(folder), **fields})
    return load_encoder(spec, CPU, torch.float32)


PIXELS = np.random.default_rng(0).integers(0, 255, (3, 3, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize(
    ("kind", "fields", "tokens"),
    [
        ("vit", {"prefix_tokens": 1, "pooled": "cls"}, 16),
        ("dinov2", {}, 16),  # one CLS token found from the size of the grid
        ("resnet", {"pooled": "pooler"}, 16),
        ("clip", {"tower": "vision_model", "prefix_tokens": 1, "pooled": "pooler"}, 16),
    ],
)
def test_grid_and_pooled_features_have_their_shapes(
    kind: str, fields: dict[str, object], tokens: int, tmp_path: Path
) -> None:
    encoder = load(save(kind, tmp_path / kind), **fields)
    grid, pooled = encoder.encode(PIXELS, "tokens"), encoder.encode(PIXELS, "pooled")
    assert grid.shape[:2] == (3, tokens) and pooled.shape == (3, 1, grid.shape[2])
    assert torch.isfinite(grid).all() and grid.std() > 0
    torch.testing.assert_close(encoder.encode(PIXELS[1:2], "pooled")[0], pooled[1], atol=1e-5, rtol=1e-4)


def test_pixels_are_normalised_as_the_model_was_trained(tmp_path: Path) -> None:
    encoder = load(save("vit", tmp_path / "vit"), prefix_tokens=1)
    picture = Image.fromarray(PIXELS[0].transpose(1, 2, 0))
    expected = CLIPImageProcessorPil.from_pretrained(tmp_path / "vit")(picture, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        hidden = encoder.model(expected).last_hidden_state[:, 1:].mean(1)
    torch.testing.assert_close(encoder.encode(encoder.resize(picture)[None], "pooled")[0], hidden, atol=1e-4, rtol=1e-3)


def test_a_picture_of_another_size_is_resized_straight_to_the_input(tmp_path: Path) -> None:
    encoder = load(save("vit", tmp_path / "vit"))
    assert encoder.resize(Image.new("RGB", (64, 20))).shape == (3, 32, 32)


def test_the_digest_follows_the_weights_not_the_name(tmp_path: Path) -> None:
    one, copy = load(save("vit", tmp_path / "a")), load(save("vit", tmp_path / "b"))
    assert one.digest == copy.digest
    with torch.no_grad():
        model = ViTModel.from_pretrained(tmp_path / "b")
        model.layernorm.weight[0] += 1
        model.save_pretrained(tmp_path / "b")
    assert load(tmp_path / "b").digest != one.digest


def test_a_language_model_or_a_bare_folder_is_no_encoder(tmp_path: Path, tiny_llama: Path) -> None:
    (tiny_llama / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelError, match="not an image encoder"):
        load(tiny_llama)
    (tiny_llama / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"no preprocessor_config\.json"):
        load(tiny_llama)


def test_the_pocket_encoder_gives_a_grid_and_a_pooled_vector() -> None:
    encoder = load_encoder(find_encoder("pocket"), CPU, torch.float32)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 96, 96), dtype=np.uint8)
    assert encoder.encode(pixels, "tokens").shape == (2, 36, 256)
    assert encoder.encode(pixels, "pooled").shape == (2, 1, 256)
