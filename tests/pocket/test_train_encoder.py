"""Hold the encoder's training to its promises: no labels, same pixels in both views, weights that load anywhere."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from transformers import AutoImageProcessor, AutoModel

import taxbench.pocket
from taxbench.pocket.art import render
from taxbench.pocket.concepts import CONCEPT_NAMES
from taxbench.pocket.train import encoder as module
from taxbench.pocket.train.encoder import EncoderTraining, contrast_loss, make_view, render_pool, train_encoder
from taxbench.pocket.train.probe import ProbePictures, category_cosines, linear_probe, pixel_features
from taxbench.util.errors import TrainingError

SHIPPED = Path(taxbench.pocket.__file__).parent / "weights" / "pocket-conv"
TINY = EncoderTraining(
    steps=3,
    batch=16,
    view=24,
    final_view=32,
    final_share=0.4,
    per_concept=1,
    pool_seed=9,
    stem=8,
    widths=(8, 16),
    depths=(1, 1),
    projection=8,
)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_training_saves_an_encoder_that_auto_classes_reload(tmp_path: Path, pool: Path) -> None:
    report = train_encoder(tmp_path / "a", TINY, pool)
    assert report.steps == 3
    assert report.pictures == len(CONCEPT_NAMES)
    assert np.isfinite(report.loss)
    model = AutoModel.from_pretrained(tmp_path / "a").eval()
    batch = AutoImageProcessor.from_pretrained(tmp_path / "a")(images=[render("owl", 0)], return_tensors="pt")
    out = model(**batch)
    assert out.last_hidden_state.shape == (1, 16, 12, 12)
    assert torch.allclose(out.pooler_output.flatten(1), out.last_hidden_state.mean(dim=(2, 3)), atol=1e-5)
    assert not list(tmp_path.rglob("*.partial"))


def test_training_repeats_itself_exactly_and_follows_its_seed(tmp_path: Path, pool: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_encoder(tmp_path / name, dataclasses.replace(TINY, seed=seed), pool)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"]
    assert weights["a"] != weights["c"]


def test_a_pool_smaller_than_one_batch_is_refused(tmp_path: Path, pool: Path) -> None:
    with pytest.raises(TrainingError, match="per_concept"):
        train_encoder(tmp_path / "a", dataclasses.replace(TINY, batch=105), pool)


def test_both_views_come_from_the_same_pixels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pool: Path) -> None:
    seen: list[torch.Tensor] = []

    def spy(pictures: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
        seen.append(pictures.clone())
        return make_view(pictures, size, generator)

    monkeypatch.setattr(module, "make_view", spy)
    train_encoder(tmp_path / "a", TINY, pool)
    assert len(seen) == 2 * TINY.steps
    drawn = {picture.tobytes() for picture in render_pool(pool, TINY.per_concept, TINY.pool_seed)}
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(first, second)
        bytes_ = (first * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
        assert all(picture.tobytes() in drawn for picture in bytes_)


def test_two_views_differ_but_are_nearer_than_views_of_another_picture() -> None:
    pictures = torch.from_numpy(np.stack([render(name, 0) for name in CONCEPT_NAMES[::2]]))
    pictures = pictures.permute(0, 3, 1, 2) / 255
    first, second = (make_view(pictures, 64, _generator(seed)) for seed in (1, 2))
    assert first.shape == (52, 3, 64, 64)
    assert not torch.allclose(first, second)
    a, b = (F.normalize(F.avg_pool2d(view, 8).flatten(1), dim=1) for view in (first, second))
    cosine = a @ b.T
    assert cosine.diagonal().mean() > cosine[~torch.eye(52, dtype=torch.bool)].mean()


def test_pool_is_drawn_once_and_apart_from_the_benchmark(tmp_path: Path) -> None:
    pool = render_pool(tmp_path, 1, 1)
    stamp = next(tmp_path.glob("*.npy")).stat().st_mtime_ns
    assert render_pool(tmp_path, 1, 1).shape == (104, 96, 96, 3)
    assert next(tmp_path.glob("*.npy")).stat().st_mtime_ns == stamp
    assert np.array_equal(pool[0], render(CONCEPT_NAMES[0], 0, seed=1))
    assert EncoderTraining().pool_seed != 0


def test_contrast_loss_matches_the_formula() -> None:
    first, second = torch.randn(5, 7, generator=_generator()), torch.randn(5, 7, generator=_generator(1))
    z = F.normalize(torch.cat([first, second]), dim=1).double()
    total = 0.0
    for i in range(10):
        scores = torch.exp(z @ z[i] / 0.2)
        total -= float(torch.log(scores[(i + 5) % 10] / (scores.sum() - scores[i])))
    assert contrast_loss(first, second, 0.2).item() == pytest.approx(total / 10, rel=1e-5)


def test_linear_probe_finds_separable_leaves_and_not_noise() -> None:
    rng = np.random.default_rng(0)
    leaves = np.tile(np.arange(104), 6)
    probe = ProbePictures(np.zeros((624, 1, 1, 3), np.uint8), leaves, np.arange(624) < 416)
    told = rng.normal(size=(104, 32))[leaves] + 0.1 * rng.normal(size=(624, 32))
    assert linear_probe(told.astype(np.float32), probe) > 0.95
    assert linear_probe(rng.normal(size=(624, 32)).astype(np.float32), probe) < 0.1
    within, across = category_cosines((told + 2 * rng.normal(size=(13, 32))[leaves // 8]).astype(np.float32), probe)
    assert within > across + 0.3


def test_pixel_features_average_blocks() -> None:
    pictures = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    features = pixel_features(pictures, 4)
    assert features.shape == (2, 12)
    assert features[0, 0] == pytest.approx(pictures[0, :4, :4, 0].mean())


def test_shipped_weights_are_small_half_precision_and_load() -> None:
    weights = SHIPPED / "model.safetensors"
    assert weights.stat().st_size <= 6_000_000
    with safe_open(weights, framework="pt") as handle:
        kinds = {handle.get_slice(name).get_dtype() for name in handle.keys()}  # noqa: SIM118 (not a dict)
    assert kinds <= {"F16", "I64"}
    assert json.loads((SHIPPED / "preprocessor_config.json").read_text())["size"] == {"height": 96, "width": 96}
    model = AutoModel.from_pretrained(SHIPPED).eval()
    assert model.dtype == torch.float32
    processor = AutoImageProcessor.from_pretrained(SHIPPED)
    with torch.inference_mode():
        out = model(**processor(images=[render("owl", i) for i in range(4)], return_tensors="pt"))
    assert out.last_hidden_state.shape[0] == 4
    assert out.last_hidden_state.shape[2] * out.last_hidden_state.shape[3] >= 9, "a grid of tokens, not one"
    assert torch.isfinite(out.pooler_output).all()
