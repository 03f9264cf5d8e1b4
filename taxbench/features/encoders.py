"""Frozen image encoders: loading, one preprocessing path, and reading features off any Hugging Face vision model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from taxbench.errors import ModelError
from taxbench.hub import load_pretrained, model_files, weights_digest
from taxbench.registry.models import POCKET_ENCODER
from taxbench.specs.features import PoolName, Preprocessing
from taxbench.specs.models import EncoderSpec

# Keyed by the number that preprocessor_config.json carries (PIL's own constants).
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded encoder."""

    spec: EncoderSpec
    model: nn.Module
    preprocessing: Preprocessing
    digest: str
    device: torch.device
    dtype: torch.dtype

    def resize(self, picture: Image.Image) -> np.ndarray:
        """Resize a picture straight to the input size, the one preprocessing path of the suite.

        Returns:
            Pixels.  # (3, height, width) uint8
        """
        size = (self.preprocessing.width, self.preprocessing.height)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling[self.preprocessing.resample.upper()])
        return np.ascontiguousarray(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1))

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray, pool: PoolName) -> Tensor:
        """Return the features of a batch.

        Args:
            pixels: Resized pictures.  # (b, 3, height, width) uint8
            pool: One vector an image, or the patch grid.

        Returns:
            Features in float32.  # (b, t, f), t = 1 when pooled
        """
        mean = torch.tensor(self.preprocessing.mean, device=self.device).view(1, 3, 1, 1)
        std = torch.tensor(self.preprocessing.std, device=self.device).view(1, 3, 1, 1)
        images = torch.from_numpy(pixels).to(self.device).float() * self.preprocessing.rescale
        output = self.model(((images - mean) / std).to(self.dtype))
        return self._read(output, pool).float()

    def _read(self, output: Any, pool: PoolName) -> Tensor:
        """Take the patch grid or the pooled vector out of a model's output."""
        hidden = cast(Tensor, output.last_hidden_state)
        if hidden.ndim == 4:  # a convolutional map (b, f, h, w)
            tokens, prefix = hidden.flatten(2).transpose(1, 2), 0
        else:
            tokens = hidden
            prefix = self.spec.prefix_tokens if self.spec.prefix_tokens is not None else _guess_prefix(tokens.shape[1])
        grid = tokens[:, prefix:]
        if pool == "tokens":
            return grid
        if self.spec.pooled == "pooler":
            pooled = cast(Tensor, output.pooler_output)
            return pooled.flatten(1)[:, None]
        return tokens[:, :1] if self.spec.pooled == "cls" else grid.mean(1, keepdim=True)


def load_encoder(spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> Encoder:
    """Load a frozen encoder from the package, a local directory or the Hugging Face cache/hub.

    Raises:
        ModelError: it is missing, gated, no vision model, or has no usable preprocessing.
    """
    from transformers import AutoModel

    source = str(POCKET_ENCODER) if spec.source == "pocket" else spec.source
    files = model_files(source, spec.gated, extra=("preprocessor_config.json",))
    model = load_pretrained(AutoModel, source, spec.gated, dtype)
    if spec.tower == "vision_model":
        model = model.vision_model
    if not hasattr(model.config, "num_channels"):
        raise ModelError(f"'{spec.source}' is a {type(model).__name__}, not an image encoder.")
    # Channels-last convolutions are about 1.7 times faster on CPUs and never slower; transformers blocks do not care.
    model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    preprocessing = _preprocessing(files["preprocessor_config.json"], model.config)
    return Encoder(spec, model, preprocessing, weights_digest(source, spec.gated), device, dtype)


def _preprocessing(path: Path, config: Any) -> Preprocessing:
    """Read the input size and normalisation that a model was trained with."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    crop = raw.get("crop_size") if raw.get("do_center_crop") else None
    size = crop or raw.get("size") or getattr(config, "image_size", 224)
    height: Any
    width: Any
    if isinstance(size, dict):
        height = size.get("height") or size.get("shortest_edge")
        width = size.get("width") or height
    else:
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
    try:
        return Preprocessing(
            height=height,
            width=width,
            resample=_RESAMPLE[int(raw.get("resample", 2))],  # type: ignore[arg-type]
            rescale=raw.get("rescale_factor", 1 / 255) if raw.get("do_rescale", True) else 1.0,
            mean=tuple(raw.get("image_mean", (0.5, 0.5, 0.5))) if raw.get("do_normalize", True) else (0.0, 0.0, 0.0),
            std=tuple(raw.get("image_std", (0.5, 0.5, 0.5))) if raw.get("do_normalize", True) else (1.0, 1.0, 1.0),
        )
    except (ValueError, KeyError) as error:
        raise ModelError(f"'{path}' does not say how pictures are prepared ({error}).") from None


def _guess_prefix(n_tokens: int) -> int:
    """Return how many leading tokens are no patches, taking the largest square grid that fits."""
    side = int(n_tokens**0.5)
    return n_tokens - side * side
