"""Extraction against the encoder's bare forward pass, and against two other ways to get the same features."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from transformers import AutoImageProcessor, AutoModel, BitImageProcessorPil, Dinov2Config, Dinov2Model

from taxbench.datasets.dataset import Dataset, load_dataset
from taxbench.features.decode import resize
from taxbench.features.encoders import Encoder, EncoderCard, describe_encoder, load_encoder
from taxbench.features.extract import Extraction, features_of
from taxbench.specs.sources import EncoderSpec
from taxbench.util.devices import pick_dtype
from taxbench.util.progress import Reporter
from tests.bench.rounds import Ratio, compare

# Shapes of DINOv2 (arXiv 2304.07193): width, layers, heads.
SIZES = {"small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}


# Shapes of DINOv2 (arXiv 2304.07193): width, layers, heads.


@dataclass(frozen=True, slots=True)
class Setting:
    """What is extracted, and on what."""

    folder: Path
    """Where the bench may write."""
    photos: Path
    """An image folder."""
    taxonomy: Path
    size: str
    """A key of `SIZES`, or an encoder's directory."""
    device: torch.device
    batch: int
    rounds: int
    thingsvision: Path | None
    """A Python that has thingsvision installed; it wants another torch than taxbench."""


def bench_extraction(setting: Setting) -> Iterator[Ratio]:
    """Yield extraction relative to the bare forward pass, to a plain loop, and to thingsvision."""
    shaped = setting.size in SIZES
    source = save_encoder(setting.folder / f"dinov2-{setting.size}", setting.size) if shaped else Path(setting.size)
    name = f"DINOv2-{setting.size} shape" if shaped else source.name
    dataset = load_dataset(f"folder:{setting.photos}", setting.taxonomy)
    card = describe_encoder(EncoderSpec(name=source.name, source=str(source)))
    how = Extraction(setting.device, pick_dtype(setting.device.type), batch=setting.batch)
    label = f"extract {len(dataset.images)} photos, {name}, {setting.device.type} {str(how.dtype)[6:]}"
    cache = setting.folder / "cache"
    encoder = load_encoder(card, how.device, how.dtype)
    preloaded = _preloaded(encoder, dataset, setting.batch)
    for pool in ("pooled", "tokens"):
        yield compare(
            f"{label}, {pool} / bare forward on preloaded tensors",
            lambda pool=pool: _ours(cache, dataset, card, pool, how),  # type: ignore[misc]
            lambda: _bare(encoder, preloaded),
            setting.rounds,
            target=0.9,
        )
    yield compare(
        f"{label}, pooled / plain transformers loop with a DataLoader",
        lambda: _ours(cache, dataset, card, "pooled", how),
        lambda: _plain(source, dataset, setting, how),
        setting.rounds,
    )
    if setting.thingsvision and shaped:
        full = replace(how, dtype=torch.float32)
        yield compare(
            f"{label.replace('bfloat16', 'float32')}, pooled / thingsvision (which computes in float32)",
            lambda: _ours(cache, dataset, card, "pooled", full),
            lambda: _thingsvision(setting),
            max(3, setting.rounds // 2),
        )


def save_encoder(folder: Path, size: str) -> Path:
    """Save an encoder of DINOv2's shape with random weights."""
    width, layers, heads = SIZES[size]
    if not (folder / "config.json").is_file():
        torch.manual_seed(0)
        Dinov2Model(
            Dinov2Config(
                hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, image_size=224, patch_size=14
            )
        ).save_pretrained(folder)
        BitImageProcessorPil(
            size={"height": 224, "width": 224},
            do_center_crop=False,
            image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
            resample=3,
        ).save_pretrained(folder)
    return folder


def _ours(cache: Path, dataset: Dataset, card: EncoderCard, pool: str, how: Extraction) -> None:
    shutil.rmtree(cache, ignore_errors=True)
    features_of(dataset, card, [card.reading(-1, pool)], how, cache, Reporter(quiet=True))


def _preloaded(encoder: Encoder, dataset: Dataset, batch: int) -> list[Tensor]:
    """Return normalised pictures in the compute type on the device, in batches."""
    size = encoder.card.preprocessing
    pixels = torch.from_numpy(np.stack([resize(dataset.read(image), size) for image in dataset.images]))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (size.mean, size.std))
    return [
        ((part.float() * size.rescale - mean) / std).to(encoder.device, encoder.dtype) for part in pixels.split(batch)
    ]


@torch.inference_mode()
def _bare(encoder: Encoder, preloaded: list[Tensor]) -> None:
    for part in preloaded:
        encoder.model(part)
    if encoder.device.type == "cuda":
        torch.cuda.synchronize()


@torch.inference_mode()
def _plain(source: Path, dataset: Dataset, setting: Setting, how: Extraction) -> None:
    """What one writes without thinking: processor in the workers, a loop, one array saved at the end."""
    model = AutoModel.from_pretrained(source, dtype=how.dtype).to(how.device).eval()
    processor = AutoImageProcessor.from_pretrained(source)
    pictures = _Processed([setting.photos / image.id for image in dataset.images], processor)
    found = []
    for pixels in DataLoader(pictures, batch_size=setting.batch, num_workers=min(16, os.cpu_count() or 1)):
        output = model(pixels.to(how.device, how.dtype))
        hidden = output.last_hidden_state
        patches = hidden[:, 1:] if hidden.ndim == 3 else hidden.flatten(2).transpose(1, 2)
        found.append(patches.mean(1).float().cpu())
    np.save(setting.folder / "plain.npy", torch.cat(found).numpy().astype(np.float16))


class _Processed(TorchDataset[Tensor]):
    def __init__(self, paths: list[Path], processor: Any) -> None:
        self.paths, self.processor = paths, processor

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as picture:
            pixels: Tensor = self.processor(picture.convert("RGB"), return_tensors="pt")["pixel_values"][0]
        return pixels


def _thingsvision(setting: Setting) -> float:
    """Run thingsvision's own loop on the same architecture, in a process of its own; imports are not counted."""
    script = Path(__file__).with_name("thingsvision_loop.py")
    options = [setting.photos, setting.size, setting.device.type, str(setting.batch), setting.folder / "thingsvision"]
    done = subprocess.run(
        [str(setting.thingsvision), str(script), *map(str, options)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])
