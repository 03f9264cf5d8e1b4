"""One preprocessing path: sizes, colours, what a configuration file means, and that it stays light."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxbench.features.decode import read_preprocessing, resize
from taxbench.specs.feature_key import Preprocessing
from taxbench.util.errors import ModelError

WIDE = Preprocessing(height=20, width=30, resample="bicubic", rescale=1 / 255, mean=(0, 0, 0), std=(1, 1, 1))


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(64, 20), (7, 50), (30, 20), (1, 1)])
def test_a_picture_of_any_shape_is_resized_straight_to_the_input(size: tuple[int, int]) -> None:
    pixels = resize(picture(*size), WIDE)
    assert pixels.shape == (3, 20, 30) and pixels.dtype == np.uint8 and pixels.flags.c_contiguous


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    exact = picture(30, 20)
    assert (resize(exact, WIDE) == np.asarray(exact).transpose(2, 0, 1)).all()


def test_resampling_is_that_of_the_configuration() -> None:
    big = picture(90, 80)
    expected = np.asarray(big.resize((30, 20), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert (resize(big, WIDE) == expected).all()
    assert (resize(big, WIDE.model_copy(update={"resample": "nearest"})) != expected).any()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    other = picture(30, 20).convert(mode)
    assert (resize(other, WIDE) == np.asarray(other.convert("RGB")).transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    ("fields", "height", "width"),
    [
        ({"size": 224}, 224, 224),
        ({"size": [60, 80]}, 60, 80),
        ({"size": {"height": 60, "width": 80}}, 60, 80),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            224,
            224,
        ),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}, 224, 224),
        ({"size": {"shortest_edge": 224}, "do_center_crop": False, "crop_size": 192}, 224, 224),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 224, 224),
        ({}, 48, 48),
    ],
)
def test_the_input_size_is_what_reaches_the_model(
    fields: dict[str, object], height: int, width: int, tmp_path: Path
) -> None:
    (tmp_path / "p.json").write_text(json.dumps(fields))
    found = read_preprocessing(tmp_path / "p.json", 48)
    assert (found.height, found.width) == (height, width)


def test_steps_that_are_switched_off_change_nothing(tmp_path: Path) -> None:
    fields = {"size": 8, "do_rescale": False, "do_normalize": False, "image_mean": [1, 2, 3], "resample": 4}
    (tmp_path / "p.json").write_text(json.dumps(fields))
    assert read_preprocessing(tmp_path / "p.json", 8) == Preprocessing(
        height=8, width=8, resample="box", rescale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"size": {"longest_edge": 3}}', '{"image_mean": [0.5]}', '{"resample": 9}']
)
def test_a_file_that_does_not_say_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ModelError, match=r"p\.json' does not say how pictures are prepared"):
        read_preprocessing(tmp_path / "p.json", 8)


def test_decoding_processes_import_no_torch() -> None:
    code = "import sys, taxbench.features.decode; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
