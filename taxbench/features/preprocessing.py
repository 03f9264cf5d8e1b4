"""How a checkpoint wants pictures: read from its own files, and compared with what transformers makes of one picture.

taxbench resizes every picture straight to the input size (or, with crop=center, as the checkpoint does), rescales and
normalises it. What a checkpoint says of that is followed; one that wants more (channels flipped, an offset) is refused.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from taxbench.features.decode import resize
from taxbench.specs.feature_key import Crop, Preprocessing
from taxbench.util.errors import ModelError
from taxbench.util.hub import reading

FILES = ("preprocessor_config.json", "processor_config.json")
"""Where it is said, the first that is there; transformers 5 writes the second for models of pictures and text."""
# By number, Pillow's own constants, or by name.
_RESAMPLE: dict[int | str, str] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_RESAMPLE |= {name: name for name in _RESAMPLE.values()}
# What every processor decides; where a file leaves one out, its class has a default.
_DECIDED = {"do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std", "resample"}


def read_preprocessing(path: Path, image_size: Any, crop: Crop = "none") -> Preprocessing:
    """Read the input size and normalisation that a model was trained with.

    Args:
        path: One of `FILES` in the model's folder.
        image_size: The size that the model's own configuration names, for files that name none.
        crop: Whether the centre is cut out as they say, or the whole picture is resized.

    Raises:
        ModelError: the file does not say, or wants what is not done here.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw = raw.get("image_processor", raw)
        if not raw.keys() >= _DECIDED:
            raw = _defaults(path.parent) | raw
        if raw.get("do_flip_channel_order"):
            raise ModelError(f"'{path}' wants the channels of pictures flipped (BGR), which taxbench does not do.")
        height, width = _input_size(raw, image_size)
        normalize = raw.get("do_normalize", True)
        whole = _before_crop(_processor(path.parent).to_dict(), (height, width)) if crop == "center" else None
        return Preprocessing(
            height=height,
            width=width,
            resample=_resample(raw.get("resample")),  # type: ignore[arg-type]
            rescale=raw.get("rescale_factor", 1 / 255) if raw.get("do_rescale", True) else 1.0,
            mean=_channels(raw["image_mean"]) if normalize else (0.0, 0.0, 0.0),
            std=_channels(raw["image_std"]) if normalize else (1.0, 1.0, 1.0),
            resize=whole,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else error
        raise ModelError(f"'{path}' does not say how pictures are prepared ({missing}).") from None


def check_preprocessing(folder: Path, preprocessing: Preprocessing) -> None:
    """Compare what is done to a picture with what the checkpoint's own processor does to it.

    Where pictures are resized straight, it is one of the input size; else one that is wider and one that is higher.

    Raises:
        ModelError: the numbers differ.
    """
    height, width = preprocessing.height, preprocessing.width
    straight = preprocessing.resize is None
    options = {"do_resize": False, "do_center_crop": False} if straight else {}
    shapes = [(height, width)] if straight else [(height + 7, 2 * width + 3), (2 * height + 5, width + 9)]
    draw = np.random.default_rng(0)
    for shape in shapes:
        picture = Image.fromarray(draw.integers(0, 256, (*shape, 3), np.uint8))
        try:
            with reading(str(folder), False, "A picture cannot be prepared"):
                processor = _processor(folder)
                found = processor(picture, return_tensors="np", **options)["pixel_values"][0]
        except ModelError:
            return  # transformers has none for it: what its file says is all there is
        pixels, theirs = resize(picture, preprocessing).transpose(1, 2, 0), np.asarray(found, np.float64)
        ours = (pixels * preprocessing.rescale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
        ours = ours.transpose(2, 0, 1)
        far = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
        if not far < 1e-3 * max(1.0, float(np.abs(theirs).max())):
            cut = "" if straight else "resize it, cut its centre out, "
            raise ModelError(
                f"The {type(processor).__name__} of '{folder}' makes other numbers of a picture than to {cut}"
                f"rescale and normalise it (they differ by up to {far:.2g}), which taxbench does not do."
            )


def _processor(folder: Path) -> Any:
    """Load the checkpoint's own image processor, the one that works on Pillow's pictures."""
    from transformers import AutoImageProcessor

    with reading(str(folder), False, f"The image processor of '{folder}' cannot be loaded"):
        return AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)


def _defaults(folder: Path) -> dict[str, Any]:
    """Return what the class of the checkpoint's image processor decides, nothing where transformers knows none."""
    try:
        found: dict[str, Any] = _processor(folder).to_dict()
    except ModelError:
        return {}
    return {key: found[key] for key in (*_DECIDED, "do_flip_channel_order") if key in found}


def _resample(value: Any) -> str:
    """Return the name of a filter that is given by number or name; bilinear where it is left open."""
    if value is None:
        return "bilinear"
    return _RESAMPLE[int(value) if str(value).isdigit() else value.lower()]


def _channels(values: Any) -> tuple[float, float, float]:
    """Return a number for each channel; one may stand for all three."""
    given = list(values) if isinstance(values, list | tuple) else [values]
    red, green, blue = map(float, given * 3 if len(given) == 1 else given)
    return red, green, blue


def _input_size(raw: dict[str, Any], image_size: Any) -> tuple[int, int]:
    """Return the height and width that reach the model: what is left after a crop, if there is one."""
    size = (raw.get("crop_size") if raw.get("do_center_crop") else None) or raw.get("size") or image_size
    if isinstance(size, dict):
        if not size.get("height") and not size.get("shortest_edge"):
            raise ValueError(f"a size of {size}: pictures keep their shape")
        height = size.get("height") or size["shortest_edge"]
        return height, size.get("width") or height
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return height, width


def _before_crop(said: dict[str, Any], size: tuple[int, int]) -> tuple[int] | tuple[int, int] | None:
    """Return what a processor resizes pictures to before it cuts their centre out; None where it does not cut."""
    if not said.get("do_resize", True):
        raise ValueError("pictures are not resized")
    wanted = dict(said["size"])
    if (short := wanted.get("shortest_edge")) and (share := said.get("crop_pct")):
        return (int(short / share),) if short < 384 else None  # ConvNeXt's: from 384 on the whole picture
    whole = (short,) if short else (wanted["height"], wanted["width"])
    return None if whole == size else whole
