"""Encoders through the real loading path: features are what transformers gives, cut as each architecture means them."""

import inspect
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from taxbench.features.decode import resize
from taxbench.features.encoders import Encoder, describe_encoder, feature_shape, load_encoder
from taxbench.registry.models import find_encoder, model_source
from taxbench.specs.sources import EncoderSpec
from taxbench.util.errors import ModelError, UsageError
from tests.features.tiny_encoders import TINY, VIT, normalised, pictures, save_preprocessing
from tests.made import offer

CPU = torch.device("cpu")
Saved = Callable[[str], Path]
every = pytest.mark.parametrize("kind", TINY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    root = tmp_path_factory.mktemp("encoders")

    def folder(kind: str) -> Path:
        return root / kind if (root / kind).is_dir() else TINY[kind].save(root / kind)

    return folder


def load(source: Path | str, dtype: torch.dtype = torch.float32, **fields: object) -> Encoder:
    spec = EncoderSpec.model_validate({"name": Path(source).name, "source": str(source), **fields})
    return load_encoder(describe_encoder(spec), CPU, dtype)


def read(encoder: Encoder, pixels: Tensor, *wanted: tuple[int, str]) -> list[Tensor]:
    return encoder.encode(pixels, [encoder.card.reading(*reading) for reading in wanted])


def patches(hidden: Tensor, prefix: int) -> Tensor:
    return hidden.permute(0, 2, 3, 1).flatten(1, 2) if hidden.ndim == 4 else hidden[:, prefix:]


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one.float(), other.float(), atol=5e-5 * other.abs().max().item(), rtol=1e-4)


@every
def test_features_are_those_of_transformers(kind: str, saved: Saved) -> None:
    tiny = TINY[kind]
    pixels = pictures(tiny.size, 3)
    with torch.inference_mode():
        raw = tiny.raw(saved(kind)).eval()(normalised(pixels), output_hidden_states=True)
    encoder = load(saved(kind))
    tokens, pooled, before, before_pooled = read(
        encoder, pixels, (-1, "tokens"), (-1, "pooled"), (-2, "tokens"), (-2, "pooled")
    )
    rows, columns = tiny.grid
    assert tokens.shape == (3, rows * columns, raw.last_hidden_state.shape[1 if raw.last_hidden_state.ndim == 4 else 2])
    assert pooled.shape == (3, 1, tokens.shape[2]) and tokens.std() > 1e-3
    close(tokens, patches(raw.last_hidden_state, tiny.prefix))
    close(pooled[:, 0], tiny.pooled(raw))
    inner = raw.hidden_states[-2]
    close(before, patches(inner, tiny.prefix))
    close(before_pooled[:, 0], inner[:, 0] if tiny.inner == "cls" else patches(inner, tiny.prefix).mean(1))
    assert encoder.card.tower == encoder.card.reading(-1, "tokens").tower == tiny.tower


@pytest.mark.parametrize("kind", [kind for kind, tiny in TINY.items() if tiny.prefix or "siglip" in kind])
def test_tokens_are_the_patches_row_by_row(kind: str, saved: Saved) -> None:
    """A change of one patch of the picture changes the token of that place most."""
    tiny = TINY[kind]
    encoder, (rows, columns) = load(saved(kind)), tiny.grid
    height, width = tiny.size[0] // rows, tiny.size[1] // columns
    pixels = pictures(tiny.size, 1)
    for row, column in ((0, 1), (rows - 1, 0)):
        changed = pixels.clone()
        patch = changed[:, :, row * height : (row + 1) * height, column * width : (column + 1) * width]
        patch.copy_(255 - patch)
        (one,), (other,) = read(encoder, pixels, (-1, "tokens")), read(encoder, changed, (-1, "tokens"))
        assert (one - other).norm(dim=2).argmax() == row * columns + column


@every
def test_grids_average_patches_also_of_pictures_that_are_not_square(kind: str, saved: Saved, tmp_path: Path) -> None:
    tiny = TINY[kind]
    folder = Path(shutil.copytree(saved(kind), tmp_path / kind))
    save_preprocessing(folder, (tiny.size[0], tiny.size[1] * 2))
    encoder, (rows, columns) = load(folder), (tiny.grid[0], tiny.grid[1] * 2)
    k = min(rows, columns) // 2
    pixels = pictures((tiny.size[0], tiny.size[1] * 2), 3)
    tokens, grid, one = read(encoder, pixels, (-1, "tokens"), (-1, f"grid{k}"), (-1, "grid1"))
    assert tokens.shape[1] == rows * columns
    raw = tiny.raw(folder).eval()
    resized = {name: True for name in inspect.signature(raw.forward).parameters if name == "interpolate_pos_encoding"}
    with torch.inference_mode():
        close(tokens, patches(raw(normalised(pixels), **resized).last_hidden_state, tiny.prefix))
    table = tokens.unflatten(1, (rows, columns))
    close(one, tokens.mean(1, keepdim=True))
    parts = [
        table[:, i * rows // k : -(-(i + 1) * rows // k), j * columns // k : -(-(j + 1) * columns // k)].mean((1, 2))
        for i in range(k)
        for j in range(k)
    ]
    close(grid, torch.stack(parts, 1))


@every
def test_one_pass_gives_what_separate_passes_give_and_a_batch_what_single_pictures_give(
    kind: str, saved: Saved
) -> None:
    encoder, pixels = load(saved(kind)), pictures(TINY[kind].size, 3)
    wanted = [(-1, "pooled"), (-2, "tokens"), (-1, "tokens"), (-3, "pooled"), (-1, "grid2")]
    readings = [encoder.card.reading(*reading) for reading in wanted]
    for reading, features in zip(readings, encoder.encode(pixels, readings), strict=True):
        assert torch.equal(encoder.encode(pixels, [reading])[0], features)
        assert feature_shape(encoder.card, reading) == features.shape[1:]  # told without weights
        close(encoder.encode(pixels[1:2], [reading])[0], features[1:2])


@pytest.mark.parametrize("kind", ["vit-and-text", "llava", "beit-without-pooler", "beit"])
def test_weights_of_torch_are_placed_as_others_are(kind: str, saved: Saved, tmp_path: Path) -> None:
    shutil.copytree(saved(kind), tmp_path / "torch", ignore=lambda *_: ["model.safetensors"])
    torch.save(load_file(saved(kind) / "model.safetensors"), tmp_path / "torch" / "pytorch_model.bin")
    pixels = pictures((32, 32), 3)
    theirs, ours = (read(load(folder), pixels, (-1, "pooled"))[0] for folder in (saved(kind), tmp_path / "torch"))
    assert torch.equal(theirs, ours)


def test_a_model_upon_an_encoder_is_refused_with_its_name(tmp_path: Path) -> None:
    backbone = hf.Dinov2Config(**VIT, out_indices=[1, 2, 3], reshape_hidden_states=False)
    hf.DPTConfig(backbone_config=backbone, neck_hidden_sizes=[8, 8, 8]).save_pretrained(tmp_path)
    save_preprocessing(tmp_path, (32, 32))
    with pytest.raises(ModelError, match=r"\(dpt\) is built on an image encoder \(dinov2\)\. Give that one itself"):
        load(tmp_path)


@every
def test_bfloat16_is_close_to_float32(kind: str, saved: Saved) -> None:
    pixels = pictures(TINY[kind].size, 3)
    wanted = [(-1, "pooled"), (-1, "tokens"), (-2, "tokens")]
    exact, rough = (read(load(saved(kind), dtype), pixels, *wanted) for dtype in (torch.float32, torch.bfloat16))
    for one, other in zip(exact, rough, strict=True):
        # Rounding errors grow through 27 or 52 random layers with batch norm; in trained ones they are a fifth of this.
        assert (one - other.float()).norm() < (0.5 if "mobilenet" in kind else 0.05) * one.norm()
    assert rough[1].dtype == torch.bfloat16 and rough[0].dtype in (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("kind", [kind for kind in TINY if kind != "beit-without-pooler"])  # which only weights tell
def test_a_random_twin_needs_no_weights_and_is_always_the_same(kind: str, saved: Saved, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(saved(kind) / name, tmp_path / name)
    pixels, before = pictures(TINY[kind].size, 3), (torch.get_rng_state(), np.random.get_state()[1], random.getstate())
    one, two = (load_encoder(describe_encoder(find_encoder(f"random-{tmp_path}")), CPU, torch.float32) for _ in "ab")
    after = (torch.get_rng_state(), np.random.get_state()[1], random.getstate())
    assert torch.equal(before[0], after[0]) and (before[1] == after[1]).all() and before[2] == after[2]
    trained = load(saved(kind))
    assert one.card.spec.name == f"random-{tmp_path.name}" and one.card.digest == two.card.digest
    assert one.card.digest != trained.card.digest and one.card.preprocessing == trained.card.preprocessing
    wanted = [(-1, "pooled"), (-1, "tokens")]
    for reading in wanted:
        assert one.card.reading(*reading) == trained.card.reading(*reading)
    for mine, same, other in zip(*(read(encoder, pixels, *wanted) for encoder in (one, two, trained)), strict=True):
        assert torch.equal(mine, same) and mine.shape == other.shape and not torch.allclose(mine, other, atol=1e-3)
        assert mine.isfinite().all()


def test_the_digest_follows_the_weights_and_not_the_name(saved: Saved, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved("vit"), tmp_path / "copy"))
    spec = EncoderSpec(name="copy", source=str(copy))
    first = describe_encoder(EncoderSpec(name="vit", source=str(saved("vit")))).digest
    assert describe_encoder(spec).digest == first
    twin = describe_encoder(spec.model_copy(update={"random": True})).digest
    model = hf.ViTModel.from_pretrained(copy)
    with torch.no_grad():
        model.layernorm.weight[0] += 1
    model.save_pretrained(copy)
    assert describe_encoder(spec).digest != first
    assert describe_encoder(spec.model_copy(update={"random": True})).digest == twin
    model.config.layer_norm_eps = 0.1
    model.save_pretrained(copy)
    assert describe_encoder(spec.model_copy(update={"random": True})).digest != twin


def test_sharded_and_torch_weights_are_loaded_and_digested(saved: Saved, tmp_path: Path) -> None:
    pixels, (expected,) = pictures((32, 32), 3), read(load(saved("vit")), pictures((32, 32), 3), (-1, "tokens"))
    model = hf.ViTModel.from_pretrained(saved("vit"))
    for name in ("sharded", "torch"):
        shutil.copytree(saved("vit"), tmp_path / name, ignore=lambda *_: ["model.safetensors"])
    model.save_pretrained(tmp_path / "sharded", max_shard_size="10KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    torch.save(model.state_dict(), tmp_path / "torch" / "pytorch_model.bin")
    for name in ("sharded", "torch"):
        assert torch.equal(read(load(tmp_path / name), pixels, (-1, "tokens"))[0], expected)
    before = load(tmp_path / "torch").card.digest
    model.layernorm.bias.data += 1
    torch.save(model.state_dict(), tmp_path / "torch" / "pytorch_model.bin")
    assert load(tmp_path / "torch").card.digest != before


def test_a_layer_has_one_spelling_and_others_are_refused(saved: Saved) -> None:
    card = load(saved("vit")).card
    assert card.reading(0, "tokens") == card.reading(-4, "tokens") and card.reading(0, "tokens").layer == -4
    assert card.reading(3, "pooled") == card.reading(-1, "pooled")
    for layer in (4, -5):
        with pytest.raises(UsageError, match=r"no layer -?\d\. Expected -4 to -1, or 0 to 3"):
            card.reading(layer, "tokens")


def test_a_pool_that_is_not_there_is_refused(saved: Saved) -> None:
    card = load(saved("vit")).card
    assert card.reading(-1, "grid4").pool == "grid4"
    with pytest.raises(UsageError, match=r"'grid5' is finer than the 4 x 4 patches of 'vit'.*grid1 to grid4"):
        card.reading(-1, "grid5")
    with pytest.raises(ValueError, match="expected pooled, tokens or gridK"):
        card.reading(-1, "patches")
    maps = load(saved("convnext")).card
    assert maps.reading(-2, "grid4").layer == -2
    with pytest.raises(UsageError, match="3 x 2 patches"):
        maps.reading(-1, "grid3")


def test_another_pooled_vector_can_be_asked_for(saved: Saved) -> None:
    pixels = pictures((32, 32), 3)
    encoder = load(saved("vit"), pooled="mean")
    tokens, pooled, before = read(encoder, pixels, (-1, "tokens"), (-1, "pooled"), (-2, "pooled"))
    close(pooled, tokens.mean(1, keepdim=True))
    assert encoder.card.reading(-2, "pooled").pooled == "mean" and before.shape == pooled.shape
    own = read(load(saved("vit"), pooled="pooler"), pixels, (-1, "pooled"))[0]
    with torch.inference_mode():
        close(own[:, 0], hf.ViTModel.from_pretrained(saved("vit"))(normalised(pixels)).pooler_output)
    with pytest.raises(ModelError, match="parts are missing"):
        load(saved("vit-classifier"), pooled="pooler")
    with pytest.raises(ModelError, match="no class token"):
        load(saved("resnet"), pooled="cls")


@pytest.mark.parametrize("place", ["vision_tower.vision_model.", "model.vision_tower.", "encoder.tower."])
def test_a_tower_is_found_in_a_larger_model_by_the_names_of_its_weights(
    saved: Saved, tmp_path: Path, place: str
) -> None:
    folder = Path(shutil.copytree(saved("llava"), tmp_path / "llava"))
    weights = load_file(folder / "model.safetensors")
    moved = {name.replace("vision_tower.", place): weight for name, weight in weights.items()}
    assert moved.keys().isdisjoint(name for name in weights if name.startswith("vision_tower."))
    save_file(moved, folder / "model.safetensors", {"format": "pt"})
    for pool in ("pooled", "tokens"):
        close(*(read(load(each), pictures((32, 32), 3), (-1, pool))[0] for each in (folder, saved("llava"))))
    without = {name: weight for name, weight in moved.items() if not name.endswith("patch_embedding.weight")}
    save_file(without, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="parts are missing"):
        load(folder)


@pytest.mark.parametrize(("field", "value"), [
    ("vision_config", None), ("vision_config", []), ("patch_size", 0), ("num_attention_heads", 0),
    ("hidden_act", "nosuch"), ("image_size", None), ("hidden_size", "wide"),
])  # fmt: skip
def test_a_configuration_that_makes_no_sense_is_named(saved: Saved, tmp_path: Path, field: str, value: object) -> None:
    folder = Path(shutil.copytree(saved("vit" if field != "vision_config" else "clip"), tmp_path / "encoder"))
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, field: value}))
    with pytest.raises(ModelError, match=r"config\.json|preprocessor_config|parts are missing"):
        read(load(folder), pictures((32, 32), 3), (-1, "grid2"))


def test_weights_of_other_programs_beside_them_do_no_harm(saved: Saved, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved("vit"), tmp_path / "encoder"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "open_clip_model.safetensors")
    close(*(read(load(each), pictures((32, 32), 3), (-1, "pooled"))[0] for each in (folder, saved("vit"))))


def test_what_is_no_encoder_is_refused(tmp_path: Path, tiny_llama: Path) -> None:
    llama = Path(shutil.copytree(tiny_llama, tmp_path / "llama"))
    with pytest.raises(ModelError, match=r"no preprocessor_config\.json"):
        load(llama)
    save_preprocessing(llama, (32, 32))
    with pytest.raises(ModelError, match=r"not an image encoder of its own\. Known architectures: dinov2"):
        load(llama)
    naflex = {"model_type": "siglip2", "vision_config": {**VIT, "num_patches": 16}}
    (llama / "config.json").write_text(json.dumps(naflex))
    with pytest.raises(ModelError, match="NaFlex"):
        load(llama)
    (llama / "config.json").write_text(json.dumps({"model_type": "no-such-thing"}))
    with pytest.raises(ModelError, match=r"config\.json' cannot be read"):
        load(llama)


def test_an_architecture_whose_patches_cannot_be_told_is_refused(tmp_path: Path) -> None:
    config = hf.SwinConfig(image_size=64, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)
    hf.SwinModel(config).save_pretrained(tmp_path)
    save_preprocessing(tmp_path, (64, 64))
    with pytest.raises(ModelError, match=r"Where the patches of .* \(swin\) are cannot be told"):
        load(tmp_path)


def test_weights_that_are_not_those_of_the_tower_are_refused(saved: Saved, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved("clip"), tmp_path / "clip"))
    shutil.copy(saved("vit") / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(ModelError, match="not those of a CLIPVisionModel"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        load(folder)


def test_pictures_are_prepared_as_the_model_was_trained(saved: Saved, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved("vit"), tmp_path / "vit"))
    processor = hf.CLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False)
    processor.save_pretrained(folder)
    pixels = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    encoder = load(folder)
    with torch.inference_mode():
        expected = hf.ViTModel.from_pretrained(folder)(**processor(Image.fromarray(pixels), return_tensors="pt"))
    small = resize(Image.fromarray(pixels), encoder.card.preprocessing)
    pooled = read(encoder, torch.from_numpy(small)[None], (-1, "pooled"))[0]
    torch.testing.assert_close(pooled[:, 0], expected.last_hidden_state[:, 0], atol=1e-4, rtol=1e-3)


def test_only_the_image_tower_is_loaded(saved: Saved) -> None:
    full = sum(weight.numel() for weight in hf.CLIPModel.from_pretrained(saved("clip")).parameters())
    encoder = load(saved("clip"))
    tower = sum(weight.numel() for weight in encoder.model.parameters())
    assert isinstance(encoder.model, hf.CLIPVisionModel) and tower < full
    assert not any(weight.requires_grad for weight in encoder.model.parameters()) and not encoder.model.training


def test_describing_an_encoder_reads_no_weights(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf.ViTModel, "__init__", None)
    card = describe_encoder(EncoderSpec(name="vit", source=str(saved("vit"))))
    assert card.family == "vit" and card.reading(-1, "pooled").pooled == "cls"


def test_the_pocket_encoder_pools_the_mean_of_its_grid() -> None:
    spec = find_encoder("pocket")
    encoder = load_encoder(describe_encoder(spec), CPU, torch.float32)
    tokens, pooled = read(encoder, pictures((96, 96), 2), (-1, "tokens"), (-1, "pooled"))
    assert tokens.shape == (2, 36, 256) and torch.equal(tokens.mean(1, keepdim=True), pooled)
    values = (pictures((96, 96), 2) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        own = hf.ResNetModel.from_pretrained(model_source(spec.source)).eval()
        close(pooled[:, 0], own(values).pooler_output.flatten(1))
    twin = load_encoder(describe_encoder(find_encoder("random-pocket")), CPU, torch.float32)
    assert read(twin, pictures((96, 96), 2), (-1, "pooled"))[0].shape == pooled.shape


def test_pixels_are_a_baseline_without_a_model() -> None:
    encoder = load_encoder(describe_encoder(find_encoder("pixels")), CPU, torch.float32)
    pixels = pictures((32, 32), 3)
    flat, tokens, grid = read(encoder, pixels, (-1, "pooled"), (-1, "tokens"), (-1, "grid4"))
    values = (pixels / 255 - 0.5) / 0.25
    assert flat.shape == (3, 1, 3072) and tokens.shape == (3, 64, 48) and grid.shape == (3, 16, 48)
    close(flat.flatten(1).sort()[0], values.flatten(1).sort()[0])
    close(tokens[:, 8 * 2 + 5].sort()[0], values[:, :, 8:12, 20:24].flatten(1).sort()[0])
    close(grid.mean(1), tokens.mean(1))
    assert encoder.card.reading(-1, "pooled").pooled == "flat"
    with pytest.raises(UsageError, match=r"no layer -2\. Expected -1"):
        encoder.card.reading(-2, "pooled")
    with pytest.raises(ModelError, match="random twin"):
        describe_encoder(find_encoder("random-pixels"))


PLUGIN = """
import torch
from taxbench.features.encoders import EncoderCard
from taxbench.specs.feature_key import Preprocessing
from taxbench.specs.sources import EncoderSpec

class Output:
    def __init__(self, hidden): self.last_hidden_state = hidden

class Halves(torch.nn.Module):
    def forward(self, images, output_hidden_states=False):
        return Output(torch.nn.functional.adaptive_avg_pool2d(images, (1, 2)))

def halves():
    size = Preprocessing(height=8, width=16, resample="bilinear", rescale=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    return EncoderCard(EncoderSpec(name="?", source="?"), "halves", size, "halves 1", lambda dtype: Halves())

def nothing(): return None
"""


def test_a_package_can_add_an_encoder_with_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halves_package.py").write_text(PLUGIN)
    points = "halves = halves_package:halves\nbroken = no_such_module:x\nnothing = halves_package:nothing\n"
    offer(tmp_path, "taxbench.encoders", points)
    monkeypatch.syspath_prepend(tmp_path)
    spec = find_encoder("halves")
    assert spec.summary == "From the package plugged 2.0."
    encoder = load_encoder(describe_encoder(spec), CPU, torch.float32)
    pixels = pictures((8, 16), 2)
    tokens, pooled = read(encoder, pixels, (-1, "tokens"), (-1, "pooled"))
    close(tokens[:, 1], pixels[:, :, :, 8:].float().mean((2, 3)))
    close(pooled[:, 0], pixels.float().mean((2, 3)))
    assert encoder.card.spec == spec and encoder.card.reading(-1, "grid1").prefix_tokens == 0
    with pytest.raises(ModelError, match=r"'broken' of another package .*no_such_module"):
        describe_encoder(find_encoder("broken"))
    with pytest.raises(ModelError, match=r"is a NoneType\. Expected: EncoderCard"):
        describe_encoder(find_encoder("nothing"))
