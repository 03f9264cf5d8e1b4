"""How a checkpoint wants pictures: read from its own files, and compared with what transformers makes of one picture.

taxbench resizes every picture straight to the input size (or, with crop=center, as the checkpoint does), rescales and
normalises it. What a checkpoint says of that is followed; one that wants more (channels flipped, an offset) is refused.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError

from taxbench.features.decode import resize
from taxbench.specs.feature_key import Crop, Preprocessing
from taxbench.util.errors import ModelError, first_line
from taxbench.util.hub import first_file, read_json, reading

_FILE, _INSIDE = "preprocessor_config.json", "processor_config.json"
# By number, Pillow's own constants, or by name.
_RESAMPLE: dict[int | str, str] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_RESAMPLE |= {name: name for name in _RESAMPLE.values()}
# What every processor decides; where a file leaves one out, its class has a default.
_DECIDED = {"do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std", "resample", "size",
            "do_center_crop", "crop_size"}  # fmt: skip
# What a file may say beside it that changes no picture, or is dealt with here.
_KNOWN = _DECIDED | {"do_resize", "do_convert_rgb", "crop_pct", "do_flip_channel_order"}
_LARGEST = 4096  # pixels; more is a count of pixels, or nonsense


def preprocessing_file(source: str, gated: bool) -> Path:
    """Return the file that says it, as transformers chooses: that of the whole processor if it speaks of pictures.

    Raises:
        ModelError: there is none.
    """
    with suppress(ModelError):
        path = first_file(source, gated, (_INSIDE,))
        if isinstance(read_json(path).get("image_processor"), dict):
            return path
    return first_file(source, gated, (_FILE, _INSIDE))


def read_preprocessing(path: Path, image_size: Any, crop: Crop = "none", view: int | None = None) -> Preprocessing:
    """Read the input size and normalisation that a model was trained with.

    Args:
        path: What `preprocessing_file` returns.
        image_size: The size that the model's own configuration names, for files that name none.
        crop: Whether the centre is cut out as they say, or the whole picture is resized.
        view: The side that the whole picture is resized to where they keep its shape, or cut it into several.

    Raises:
        ModelError: the file does not say, or wants what is not done here.
    """
    try:
        raw = _said(path)
        if not raw.keys() >= _DECIDED:
            raw = _defaults(path) | raw
        if raw.get("do_flip_channel_order"):
            raise ModelError(f"'{path}' wants the channels of pictures flipped (BGR), which taxbench does not do.")
        kept = not isinstance(raw.get("size"), Mapping) or "height" not in raw["size"]
        height, width = (view, view) if view and kept else _input_size(raw, image_size)
        normalize = raw.get("do_normalize", True)
        whole = _before_crop(_processor(path).to_dict(), (height, width)) if crop == "center" else None
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
        missing = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            missing = f"{first['loc'][0]} {first['input']!r}: {first['msg']}"
        raise ModelError(f"'{path}' does not say how pictures are prepared ({missing}).") from None


def check_preprocessing(path: Path, preprocessing: Preprocessing, crop: Crop = "none") -> None:
    """Compare what is done to a picture with what the checkpoint's own processor does to it.

    Where pictures are resized straight, it is one of the input size; else one that is wider and one that is higher. All
    have a margin, which some processors cut off.

    Raises:
        ModelError: the numbers differ; or there is no processor to compare with, and the file wants what is not known.
    """
    height, width = preprocessing.height, preprocessing.width
    options = {"do_resize": False, "do_center_crop": False} if crop == "none" else {}
    shapes = [(height, width)] if crop == "none" else [(height + 7, 2 * width + 3), (2 * height + 5, width + 9)]
    draw = np.random.default_rng(0)
    for shape in shapes:
        noise = np.full((*shape, 3), 255, np.uint8)
        inner = noise[shape[0] // 8 : -(shape[0] // 8) or None, shape[1] // 8 : -(shape[1] // 8) or None]
        inner[:] = draw.integers(0, 256, inner.shape, np.uint8)
        picture = Image.fromarray(noise)
        try:
            with reading(str(path.parent), False, "A picture cannot be prepared"):
                processor = _processor(path)
                found = processor(picture, return_tensors="np", **options)["pixel_values"][0]
        except ModelError:
            return _check_known(path, crop)
        pixels, theirs = resize(picture, preprocessing).transpose(1, 2, 0), np.asarray(found, np.float64)
        ours = (pixels * preprocessing.rescale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
        ours = ours.transpose(2, 0, 1)
        far = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
        if not far < 1e-3 * max(1.0, float(np.abs(theirs).max())):
            cut = "" if crop == "none" else "resize it, cut its centre out, "
            raise ModelError(
                f"The {type(processor).__name__} of '{path.parent}' makes other numbers of a picture than to {cut}"
                f"rescale and normalise it (they differ by up to {far:.2g}), which taxbench does not do."
            )


def _check_known(path: Path, crop: Crop) -> None:
    """Refuse a file that wants steps that are not known, where transformers has no processor to compare with."""
    unknown = [key for key, value in _said(path).items() if key.startswith(("do_", "rescale_")) and value]
    unknown = [key for key in unknown if key not in _KNOWN]
    if unknown or crop != "none":
        wants = f"wants {', '.join(unknown)}" if unknown else "is to be followed"
        raise ModelError(f"'{path}' {wants}, and transformers has no processor to compare with. Give another encoder.")


def _said(path: Path) -> dict[str, Any]:
    """Return what a file says of pictures."""
    raw = read_json(path)
    found: dict[str, Any] = raw.get("image_processor", raw)
    return found


def _processor(path: Path) -> Any:
    """Load the image processor that a file describes, the one that works on Pillow's pictures."""
    from transformers import AutoImageProcessor

    folder, said = path.parent, _said(path)
    with reading(str(folder), False, f"The image processor of '{folder}' cannot be loaded"):
        found = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
    kind = said.get("image_processor_type") or said.get("feature_extractor_type") or type(found).__name__
    if _plain(kind) != _plain(type(found).__name__) or "auto_map" in said:  # then it took the one of the model's kind
        raise ModelError(f"transformers has no {kind}.")
    return found


def _plain(kind: Any) -> str:
    """Return the name of an image processor without its backend, as older files call it."""
    return re.sub(r"(Pil|Fast)$", "", str(kind)).replace("FeatureExtractor", "ImageProcessor")


def _defaults(path: Path) -> dict[str, Any]:
    """Return what the class of the checkpoint's image processor decides, nothing where transformers knows none."""
    try:
        found: dict[str, Any] = _processor(path).to_dict()
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
    if isinstance(size, Mapping):
        if not size.get("height") and not size.get("shortest_edge"):
            raise ValueError(f"a size of {dict(size)}: pictures keep their shape")
        height = size.get("height") or size["shortest_edge"]
        width = size.get("width") or height
    else:
        height, width = size if isinstance(size, list | tuple) else (size, size)
    for side in (height, width):
        if isinstance(side, bool) or not 0 < side <= _LARGEST:
            raise ValueError(f"a size of {side} pixels: expected 1 to {_LARGEST}")
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
