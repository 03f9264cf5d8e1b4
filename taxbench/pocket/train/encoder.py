"""Train the pocket encoder: a small convolutional net, self-supervised on rendered pictures only.

No label and no concept name is used. A positive pair is two random views of the pixels of one picture (SimCLR, Chen et
al. 2020). A ViT and distillation objectives were left aside: at half an hour on one core a small convolutional net
learns more per second.

    python -c "from pathlib import Path; from taxbench.pocket.train.encoder import *; \\
               train_encoder(Path('pocket-conv'), EncoderTraining(), Path('/tmp'))"
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel, ResNetConfig, ResNetModel

from taxbench.pocket.art import PICTURES, render
from taxbench.pocket.concepts import CONCEPT_NAMES
from taxbench.util.errors import TrainingError
from taxbench.util.paths import replacing

IMAGE_SIZE = 96
MEAN = 0.5  # of all three channels: pictures have no natural statistics to follow
STD = 0.25


def render_pool(folder: Path, per_concept: int, seed: int) -> NDArray[np.uint8]:
    """Render the training pictures once and return them as a memory map.  (n, 96, 96, 3)

    The file name carries the digest of the renderer, so a changed renderer never meets old pictures.
    """
    path = folder / f"pocket-pool-{PICTURES}-{per_concept}-{seed}.npy"
    if not path.exists():
        shape = (per_concept * len(CONCEPT_NAMES), IMAGE_SIZE, IMAGE_SIZE, 3)
        jobs = [(name, index) for index in range(per_concept) for name in CONCEPT_NAMES]
        with replacing(path) as partial:
            pool = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
            for row, (name, index) in enumerate(tqdm(jobs, desc="render", unit="picture", mininterval=2)):
                pool[row] = render(name, index, seed, IMAGE_SIZE)
            pool.flush()
    loaded: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return loaded


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """Say how the encoder is trained. Same settings, same steps, one thread: same weights on one machine."""

    steps: int = 1200
    batch: int = 256  # pictures a step; each gives two views
    view: int = 48  # pixels of a view
    final_view: int = 80  # pixels of a view towards the end: objects then look as large as in a whole picture
    final_share: float = 0.1  # share of the training that uses `final_view`
    per_concept: int = 300  # pictures drawn of each concept
    pool_seed: int = 1  # the benchmark draws with seed 0
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    temperature: float = 0.15
    warm_up: float = 0.05  # share of the training
    stem: int = 32  # channels at the finest grid, where a channel costs most
    widths: tuple[int, ...] = (48, 96, 256)
    depths: tuple[int, ...] = (1, 2, 1)
    projection: int = 128  # width of the space the loss compares in


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Tell what a training run did."""

    pictures: int
    steps: int
    seconds: float
    loss: float  # mean over the last 50 steps


def make_encoder(stem: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> ResNetModel:
    """Build the untrained net: 96 px in, a 6 x 6 grid of `widths[-1]` features out, pooled by the mean."""
    config = ResNetConfig(
        embedding_size=stem, hidden_sizes=list(widths), depths=list(depths), layer_type="basic", num_channels=3
    )
    return ResNetModel(config)


# views


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw uniform numbers between two bounds for the random views."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def _crops(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Cut a random resized, rotated, mirrored crop out of each picture.  (b, 3, h, w) -> (b, 3, size, size)"""
    n = len(pictures)
    scale = _uniform((n,), 0.22, 1.0, generator).sqrt()  # of the side; uniform in area
    aspect = _uniform((n,), -0.2, 0.2, generator).exp()
    wide, tall = (scale * aspect).clamp(max=1.0), (scale / aspect).clamp(max=1.0)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    angle = _uniform((n,), -0.3, 0.3, generator)
    c, s = angle.cos(), angle.sin()
    shift_x = (1 - wide) * _uniform((n,), -1, 1, generator)
    shift_y = (1 - tall) * _uniform((n,), -1, 1, generator)
    rows = torch.stack([wide * c * flip, -tall * s, shift_x, wide * s * flip, tall * c, shift_y], dim=1)
    grid = F.affine_grid(rows.view(n, 2, 3), [n, 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def _recolour(x: Tensor, generator: torch.Generator) -> Tensor:
    """Turn hue, change saturation, contrast and brightness; make one in six grey.  (b, 3, s, s) in 0..1"""
    n = len(x)
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    angle = _uniform((n,), -0.6, 0.6, generator)  # radians in the chroma plane
    saturation = _uniform((n,), 0.5, 1.5, generator)
    saturation = torch.where(torch.rand(n, generator=generator) < 1 / 6, 0.0, saturation)
    c, s, zero = angle.cos() * saturation, angle.sin() * saturation, torch.zeros(n)
    turn = torch.stack([torch.ones(n), zero, zero, zero, c, -s, zero, s, c], dim=1).view(n, 3, 3)
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    x = (matrix @ x.flatten(2)).view_as(x)
    contrast = _uniform((n, 1, 1, 1), 0.6, 1.4, generator)
    centre = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - centre) * contrast + centre + _uniform((n, 1, 1, 1), -0.2, 0.2, generator)


def _veil(x: Tensor, generator: torch.Generator) -> Tensor:
    """Lay a smooth random colour field over each view.

    Backgrounds are smooth, objects are not: without this two views are matched by their background alone.
    """
    n, _, size, _ = x.shape
    field = torch.randn((n, 3, 3, 3), generator=generator) * _uniform((n, 1, 1, 1), 0.0, 0.3, generator)
    # Linear interpolation between three knots as two small products, ten times faster than F.interpolate.
    hats = (1 - (torch.linspace(0, 2, size)[:, None] - torch.arange(3)).abs()).clamp(min=0)  # (size, 3)
    return x + hats @ field @ hats.T


def _blur(x: Tensor, generator: torch.Generator) -> Tensor:
    """Soften a third of the views, in place."""
    rows = torch.randperm(len(x), generator=generator)[: len(x) // 3]
    sharp = x[rows]
    soft = sharp.clone()  # a separable (1, 2, 1) filter by shifts: convolutions are slow on three channels
    soft[..., 1:-1] = 0.5 * sharp[..., 1:-1] + 0.25 * (sharp[..., :-2] + sharp[..., 2:])
    soft[..., 1:-1, :] = 0.5 * soft[..., 1:-1, :] + 0.25 * (soft[..., :-2, :] + soft[..., 2:, :])
    x[rows] = torch.lerp(sharp, soft, torch.rand((len(rows), 1, 1, 1), generator=generator))
    return x


def _cut(x: Tensor, generator: torch.Generator) -> Tensor:
    """Paint a flat rectangle over half of the views."""
    n, _, size, _ = x.shape
    axis = torch.arange(size).float().view(1, -1)
    masks = []
    for _ in range(2):
        centre, half = _uniform((n, 1), 0, size, generator), _uniform((n, 1), 0.06 * size, 0.2 * size, generator)
        masks.append((axis - centre).abs() < half)
    cut = (torch.rand((n, 1, 1), generator=generator) < 0.5) & masks[0][:, :, None] & masks[1][:, None, :]
    return torch.where(cut[:, None], torch.rand((n, 3, 1, 1), generator=generator), x)


def make_view(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return one random, normalised view of each picture.  (b, 3, h, w) in 0..1 -> (b, 3, size, size)"""
    x = _veil(_recolour(_crops(pictures, size, generator), generator), generator)
    x = _cut(_blur(x.clamp_(0, 1), generator), generator)
    return ((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)


# training


def contrast_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the NT-Xent loss of two views of the same pictures (Chen et al. 2020, eq. 1).  2 x (b, p)"""
    z = F.normalize(torch.cat([first, second]).float(), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(float("-inf"))
    n = len(first)
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def _projector(width: int, out: int) -> nn.Module:
    """Return the projection head that the encoder's contrastive loss needs, thrown away afterwards."""
    return nn.Sequential(
        nn.Linear(width, 2 * width, bias=False),
        nn.BatchNorm1d(2 * width),
        nn.ReLU(inplace=True),
        nn.Linear(2 * width, out),
    )


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield sorted row numbers without end, each picture once per round."""
    while True:
        order = torch.randperm(count, generator=generator).numpy()
        for start in range(0, count - batch + 1, batch):
            yield np.sort(order[start : start + batch])


def _rate(progress: float, settings: EncoderTraining) -> float:
    """Return the learning rate: linear warm-up, then half a cosine."""
    if progress < settings.warm_up:
        return settings.learning_rate * progress / settings.warm_up
    done = (progress - settings.warm_up) / (1 - settings.warm_up)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _optimiser(modules: nn.ModuleList, settings: EncoderTraining) -> torch.optim.AdamW:
    """Return AdamW that decays matrices and kernels only."""
    decayed = [p for p in modules.parameters() if p.ndim > 1]
    plain = [p for p in modules.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def train_encoder(out_dir: Path, settings: EncoderTraining, pool_dir: Path) -> TrainingReport:
    """Train the encoder and write it to `out_dir` in Hugging Face format.

    The pictures are drawn into `pool_dir` once (about 28 kB each). Two runs on one machine and as many threads give the
    same weights. Raises TrainingError when the pool is smaller than one batch.
    """
    pool = render_pool(pool_dir, settings.per_concept, settings.pool_seed)
    if len(pool) < settings.batch:
        raise TrainingError(
            f"A batch of {settings.batch} pictures is more than the {len(pool)} drawn: raise per_concept."
        )
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    encoder = make_encoder(settings.stem, settings.widths, settings.depths).to(memory_format=torch.channels_last)
    modules = nn.ModuleList([encoder, _projector(settings.widths[-1], settings.projection)]).train()
    optimiser = _optimiser(modules, settings)
    batches = _batches(len(pool), settings.batch, generator)
    losses: list[float] = []
    start = time.monotonic()
    with tqdm(range(settings.steps), desc="pocket encoder", unit="step") as bar:
        for step in bar:
            progress = step / settings.steps
            for group in optimiser.param_groups:
                group["lr"] = _rate(progress, settings)
            pictures = torch.from_numpy(pool[next(batches)])
            size = settings.view if progress < 1 - settings.final_share else settings.final_view
            losses.append(_step(modules, optimiser, pictures, settings, size, generator))
            bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}", refresh=False)
    save_model(encoder, out_dir)
    return TrainingReport(len(pool), len(losses), time.monotonic() - start, float(np.mean(losses[-50:])))


def _step(
    modules: nn.ModuleList,
    optimiser: torch.optim.AdamW,
    pictures: Tensor,
    settings: EncoderTraining,
    size: int,
    generator: torch.Generator,
) -> float:
    """Take one step on two views of `size` pixels of each picture; return the loss."""
    encoder, projector = modules
    unit = pictures.permute(0, 3, 1, 2).contiguous().float() / 255.0
    views = [make_view(unit, size, generator) for _ in range(2)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = encoder(pixel_values=torch.cat(views)).pooler_output.flatten(1)
        first, second = projector(pooled).chunk(2)
    loss = contrast_loss(first, second, settings.temperature)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


# saving


def save_model(model: PreTrainedModel, out_dir: Path) -> None:
    """Write config, half-precision weights and the preprocessing of pictures, each by an atomic rename.

    The config says float32: half precision is a storage format here, not what a CPU should compute in.
    """
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    config = model.config.to_dict() | {"architectures": [type(model).__name__], "dtype": "float32"}
    config.pop("_name_or_path", None)
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [MEAN] * 3,
        "image_std": [STD] * 3,
        "do_center_crop": False,  # said, or the processor is loaded to know it, in each run
        "crop_size": None,
    }
    with replacing(out_dir / "model.safetensors") as partial:
        partial.write_bytes(save(tensors, metadata={"format": "pt"}))
    for name, content in (("config.json", config), ("preprocessor_config.json", preprocessing)):
        with replacing(out_dir / name) as partial:
            partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
