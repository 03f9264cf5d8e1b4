"""From a decoded picture to the pixels that an encoder reads. Light, because decoding processes import it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from taxbench.specs.feature_key import Preprocessing
from taxbench.util.errors import ModelError

# Keyed by the number that preprocessor_config.json carries (PIL's own constants).
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def resize(picture: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """Resize a picture straight to the input size, the one preprocessing path of the suite.

    Returns:
        Pixels, contiguous.  # (3, height, width) uint8
    """
    size = (preprocessing.width, preprocessing.height)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling[preprocessing.resample.upper()])
    return np.ascontiguousarray(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1))


def read_preprocessing(path: Path, image_size: Any) -> Preprocessing:
    """Read from a `preprocessor_config.json` the input size and normalisation that a model was trained with.

    Args:
        path: The file.
        image_size: The size that the model's own configuration names, for files that name none.

    Raises:
        ModelError: the file is no such file.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        height, width = _input_size(raw, image_size)
        normalize = raw.get("do_normalize", True)
        return Preprocessing(
            height=height,
            width=width,
            resample=_RESAMPLE[int(raw.get("resample", 2))],  # type: ignore[arg-type]
            rescale=raw.get("rescale_factor", 1 / 255) if raw.get("do_rescale", True) else 1.0,
            mean=tuple(raw.get("image_mean", (0.5, 0.5, 0.5))) if normalize else (0.0, 0.0, 0.0),
            std=tuple(raw.get("image_std", (0.5, 0.5, 0.5))) if normalize else (1.0, 1.0, 1.0),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"'{path}' does not say how pictures are prepared ({error}).") from None


def _input_size(raw: dict[str, Any], image_size: Any) -> tuple[int, int]:
    """Return the height and width that reach the model: what is left after a crop, if there is one."""
    size = (raw.get("crop_size") if raw.get("do_center_crop") else None) or raw.get("size") or image_size
    if isinstance(size, dict):
        height = size.get("height") or size["shortest_edge"]
        return height, size.get("width") or height
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return height, width
