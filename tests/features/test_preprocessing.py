"""One preprocessing path: sizes, colours, what a configuration file means, and that it stays light."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from transformers import AutoImageProcessor

from taxbench.features.decode import resize
from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.features.preprocessing import check_preprocessing, read_preprocessing
from taxbench.features.store.index import entries
from taxbench.registry.models import find_encoder
from taxbench.runs.feature_cache import ExtractOptions, extract, verify
from taxbench.specs.feature_key import Preprocessing
from taxbench.util.errors import ModelError
from taxbench.util.progress import Reporter
from tests.datasets.test_folder import make
from tests.features.tiny_encoders import TINY

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
    (tmp_path / "p.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, **fields}))
    found = read_preprocessing(tmp_path / "p.json", 48)
    assert (found.height, found.width) == (height, width)


def test_steps_that_are_switched_off_change_nothing(tmp_path: Path) -> None:
    fields = {"size": 8, "do_rescale": False, "do_normalize": False, "image_mean": [1, 2, 3], "resample": 4}
    (tmp_path / "p.json").write_text(json.dumps(fields))
    assert read_preprocessing(tmp_path / "p.json", 8) == Preprocessing(
        height=8, width=8, resample="box", rescale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"size": {"longest_edge": 3}}', "pictures keep their shape"),
        ('{"size": {"max_height": 3, "max_width": 4}}', "pictures keep their shape"),
        ("{}", "no 'image_mean'"),
        ('{"image_mean": [0.5, 0.5], "image_std": 1}', "not enough values"),
        ('{"do_normalize": false, "resample": 9}', "no 9"),
        ('{"do_normalize": false, "resample": "sharp"}', "no 'sharp'"),
    ],
)
def test_a_file_that_does_not_say_is_an_error_that_names_it(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ModelError, match=rf"p\.json' does not say how pictures are prepared \(.*{said}") as raised:
        read_preprocessing(tmp_path / "p.json", 8)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "said"), [("{", "is cut short or damaged"), ("[]", "holds no mapping in JSON")])
def test_a_file_that_is_no_mapping_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ModelError, match=rf"p\.json' {said}"):
        read_preprocessing(tmp_path / "p.json", 8)


def test_one_number_may_stand_for_all_channels_and_a_filter_for_its_number(tmp_path: Path) -> None:
    fields = {"size": 8, "image_mean": [0.5], "image_std": 0.25, "resample": "bicubic"}
    (tmp_path / "p.json").write_text(json.dumps(fields))
    found = read_preprocessing(tmp_path / "p.json", 8)
    assert (found.mean, found.std, found.resample) == ((0.5,) * 3, (0.25,) * 3, "bicubic")


HALF = {"image_mean": 0.5, "image_std": 0.5}
CASES = {
    "BGR, said": ({"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}, "flipped"),
    "BGR, by default": ({"image_processor_type": "MobileViTImageProcessor"}, "flipped"),
    "an offset": ({"image_processor_type": "EfficientNetImageProcessor", "rescale_offset": True}, "other numbers"),
    "a crop": ({"image_processor_type": "CLIPImageProcessor", "do_center_crop": True, "crop_size": 32}, ""),
    "no normalisation": ({"image_processor_type": "ViTImageProcessor", "do_normalize": False}, ""),
    "what the class says": ({"image_processor_type": "DeiTImageProcessor", "crop_size": 32}, ""),
    "a margin cut off": ({"image_processor_type": "NougatImageProcessor"}, "other numbers"),
    "an unknown class": ({**HALF, "image_processor_type": "MyProcessor", "do_grayscale": True}, "wants do_grayscale"),
    "code of its own": ({**HALF, "auto_map": {"AutoImageProcessor": "a.B"}, "do_invert": True}, "wants do_invert"),
    "an unknown class, no more": ({**HALF, "image_processor_type": "MyProcessor"}, "-"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_processor_is_followed_or_refused(case: str, tmp_path: Path) -> None:
    fields, said = CASES[case]
    folder = TINY["vit"].save(tmp_path / "encoder")
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 32, "width": 32}, **fields}))

    def load() -> Preprocessing:
        card = describe_encoder(find_encoder(str(folder)))
        load_encoder(card, torch.device("cpu"), torch.float32)
        return card.preprocessing

    if said == "-":
        load()
        return
    if said:
        with pytest.raises(ModelError, match=said):
            load()
        return
    found, own = load(), AutoImageProcessor.from_pretrained(folder, backend="pil")
    square = picture(32, 32)
    pixels = (resize(square, found) * found.rescale - np.reshape(found.mean, (3, 1, 1))) / np.reshape(
        found.std, (3, 1, 1)
    )
    theirs = own(square, do_resize=False, do_center_crop=False, return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(pixels, theirs, atol=1e-5)


def test_what_a_file_leaves_out_of_sizes_is_its_class_s(tmp_path: Path) -> None:
    fields = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 40}, "crop_size": 32}
    for said, size in ((fields, 32), ({"image_processor_type": "CLIPImageProcessor"}, 224)):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
        found = read_preprocessing(tmp_path / "preprocessor_config.json", 48)
        assert (found.height, found.width) == (size, size)


def test_the_file_of_the_whole_processor_comes_first_as_for_transformers(tmp_path: Path) -> None:
    folder = TINY["vit"].save(tmp_path / "encoder")
    raw = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**raw, "size": {"height": 24, "width": 24}}))
    assert describe_encoder(find_encoder(str(folder))).preprocessing.height == 24
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "ViTProcessor"}))
    assert describe_encoder(find_encoder(str(folder))).preprocessing.height == 24
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": raw}))
    assert describe_encoder(find_encoder(str(folder))).preprocessing.height == 32


@pytest.mark.parametrize("kind", ["Owlv2ImageProcessor", "DeepseekVLImageProcessor", "DonutImageProcessor"])
def test_a_processor_that_does_more_than_cut_is_refused(kind: str, tmp_path: Path) -> None:
    folder = TINY["vit"].save(tmp_path / "encoder")
    raw = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**raw, "image_processor_type": kind, "do_pad": True}))
    with pytest.raises(ModelError, match="other numbers of a picture than to resize it"):
        load_encoder(describe_encoder(find_encoder(str(folder)), "center"), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("size", [-5, True, 2_000_000, {"height": 0, "width": 3, "shortest_edge": 0}])
def test_a_size_that_no_picture_has_is_refused(size: object, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"size": size, "image_mean": 0.5, "image_std": 0.5}))
    with pytest.raises(ModelError, match=r"p\.json' does not say how pictures are prepared \(a size of"):
        read_preprocessing(tmp_path / "p.json", 8)


def test_a_processor_may_lie_where_transformers_5_saves_it(tmp_path: Path) -> None:
    folder = TINY["vit"].save(tmp_path / "encoder")
    raw = (folder / "preprocessor_config.json").read_text()
    before = describe_encoder(find_encoder(str(folder))).preprocessing
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": json.loads(raw)}))
    assert describe_encoder(find_encoder(str(folder))).preprocessing == before


def test_decoding_processes_import_no_torch() -> None:
    code = "import sys, taxbench.features.decode; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PROCESSORS = {
    "clip": hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
    "dinov2": hf.BitImageProcessor(size={"shortest_edge": 37}, crop_size={"height": 32, "width": 32}),
    "mobilenet": hf.MobileNetV1ImageProcessor(size={"shortest_edge": 36}, crop_size=32),
    "deit": hf.DeiTImageProcessor(size={"height": 40, "width": 36}, crop_size={"height": 32, "width": 32}),
    "convnext": hf.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
    "convnext-large": hf.ConvNextImageProcessor(size={"shortest_edge": 384}),
    "vit": hf.ViTImageProcessor(size={"height": 32, "width": 32}),
    "siglip": hf.SiglipImageProcessor(size={"height": 32, "width": 48}),
}


@pytest.mark.parametrize("shape", [(80, 50), (50, 80), (33, 33), (401, 10), (32, 32)])
@pytest.mark.parametrize("kind", PROCESSORS)
def test_the_centre_is_cut_out_as_the_checkpoint_s_own_processor_does(
    kind: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    PROCESSORS[kind].save_pretrained(tmp_path)
    own = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    found = read_preprocessing(tmp_path / "preprocessor_config.json", 32, "center")
    check_preprocessing(tmp_path / "preprocessor_config.json", found, "center")
    given = picture(*shape)
    expected = own(given, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    assert (resize(given, found) == expected).all()
    straight = read_preprocessing(tmp_path / "preprocessor_config.json", 32)
    assert (found == straight) == (kind in ("convnext-large", "vit", "siglip"))
    if shape == (80, 50) and found != straight:
        assert (resize(given, straight) != expected).any()


def test_a_processor_that_keeps_the_shape_of_pictures_cannot_be_followed(tmp_path: Path) -> None:
    hf.CLIPImageProcessor(size={"shortest_edge": 32}, do_center_crop=False).save_pretrained(tmp_path)
    whole = read_preprocessing(tmp_path / "preprocessor_config.json", 32, "center")
    with pytest.raises(ModelError, match="other numbers of a picture than to resize it, cut its centre out"):
        check_preprocessing(tmp_path / "preprocessor_config.json", whole, "center")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"has no image processor of its own\. Leave out crop=center"):
        describe_encoder(find_encoder("pixels"), "center")


def test_cut_pictures_have_a_key_of_their_own_and_others_keep_theirs(tmp_path: Path) -> None:
    TINY["clip"].save(tmp_path / "clip")
    edit = json.loads((tmp_path / "clip" / "preprocessor_config.json").read_text())
    edit |= {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 40}, "do_center_crop": True}
    (tmp_path / "clip" / "preprocessor_config.json").write_text(json.dumps({**edit, "crop_size": 32}))
    options = ExtractOptions(encoder=str(tmp_path / "clip"), cache=str(tmp_path / "cache"))
    root, taxonomy = make(tmp_path / "photos")
    options = replace(options, dataset=f"folder:{root}", taxonomy=str(taxonomy))
    (straight,), (cut,) = (extract(replace(options, crop=crop), Reporter()) for crop in ("none", "center"))
    assert straight.key != cut.key
    for each in entries(tmp_path / "cache"):
        checked = verify(each, "cpu")
        assert checked.good and checked.sampled > 0 and not checked.note
        resized = each.manifest.key.source.preprocessing.resize  # type: ignore[union-attr]
        assert resized == (None if each.folder.name == straight.key else (40,))
