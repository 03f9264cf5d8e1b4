"""An image folder: layouts, and every way it can be wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from taxbench.datasets.dataset import load_dataset
from taxbench.datasets.folder import class_names, read_image
from taxbench.util.errors import DataError, TaxbenchError, UsageError
from tests.conftest import UNPRIVILEGED

TSV = "folder\tleaf\thypernyms\nn1\tcrow\tbird|animal\nn2\tgull\tbird|animal\nn3\thammer\ttool\n"


def make(root: Path, layout: str = "{split}/{name}", names: tuple[str, ...] = ("n1", "n2", "n3")) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in names:
            for index in range(4):
                path = root / layout.format(split=split, name=name) / f"{split}{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    taxonomy = root.parent / "taxonomy.tsv"
    taxonomy.write_text(TSV)
    return root, taxonomy


@pytest.mark.parametrize("layout", ["{split}/{name}", "{name}"])
def test_both_layouts_load(tmp_path: Path, layout: str) -> None:
    root, taxonomy = make(tmp_path / "photos", layout)
    dataset = load_dataset(f"folder:{root}", taxonomy)
    assert len(dataset.images) == 24
    assert dataset.taxonomy.leaves == ("crow", "gull", "hammer")
    assert {image.split for image in dataset.images} == ({"train", "test"} if "split" in layout else {None})
    assert dataset.read(dataset.images[0]).mode == "RGB"


def test_the_fingerprint_follows_pixels_not_place(tmp_path: Path) -> None:
    one = load_dataset(*spec(make(tmp_path / "a" / "photos")))
    two = load_dataset(*spec(make(tmp_path / "b" / "photos")))
    assert one.fingerprint == two.fingerprint
    Image.new("RGB", (16, 16)).save(tmp_path / "b" / "photos" / one.images[0].id)
    assert load_dataset(f"folder:{tmp_path}/b/photos", tmp_path / "b" / "taxonomy.tsv").fingerprint != one.fingerprint


def spec(made: tuple[Path, Path]) -> tuple[str, Path]:
    return f"folder:{made[0]}", made[1]


@pytest.mark.parametrize("error", [RuntimeError("planes"), TypeError("rational"), AttributeError("x"), EOFError()])
def test_whatever_a_decoder_raises_is_said_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    root, taxonomy = make(tmp_path / "photos")
    dataset = load_dataset(f"folder:{root}", taxonomy)
    monkeypatch.setattr(Image.Image, "convert", lambda *_, **__: (_ for _ in ()).throw(error))
    with pytest.raises(DataError, match=r"train0\.png' cannot be decoded"):
        dataset.read(next(image for image in dataset.images if image.id.endswith("train0.png")))


def test_a_folder_that_holds_the_classes_is_named(tmp_path: Path) -> None:
    _, taxonomy = make(tmp_path / "r" / "images", "{name}")
    taxonomy = taxonomy.rename(tmp_path / "t.tsv")
    with pytest.raises(
        DataError, match=r"'.*r/images' holds 3 folders: if they are the classes, give folder:.*r/images\."
    ):
        load_dataset(f"folder:{tmp_path / 'r'}", taxonomy)
    make(tmp_path / "s", "{name}/{split}")
    (note,) = load_dataset(f"folder:{tmp_path / 's'}", taxonomy).notes
    assert "n1/test' is not taken for a split: splits stand above the classes" in note


@pytest.mark.parametrize(
    ("tsv", "words"),
    [
        (TSV + "n4\towl\tbird\n", "names 1 class folders without an image.*n4"),
        (TSV.replace("n1\t", "n9\t"), "1 of 3 class folders of '.*' are not in the taxonomy: n1"),
        (TSV[: TSV.index("n2")], "2 of 3 class folders of '.*' are not in the taxonomy: n2, n3"),
        (TSV + "n1\tcrow\tbird|animal\n", "listed twice"),
        (TSV.replace("n2\tgull\tbird|animal", "n2\tcrow\tbird"), "different hypernyms"),
        (TSV.replace("leaf\thypernyms", "leaf\tparents"), "expected a tab-separated header"),
        ("", "expected a tab-separated header"),
        ("folder\tleaf\thypernyms\n", "lists no leaf"),
    ],
)
def test_a_taxonomy_that_does_not_fit_is_refused(tmp_path: Path, tsv: str, words: str) -> None:
    root, taxonomy = make(tmp_path / "photos")
    taxonomy.write_text(tsv)
    with pytest.raises(DataError, match=words):
        load_dataset(f"folder:{root}", taxonomy)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty" / "n1").mkdir(parents=True)
    taxonomy = tmp_path / "t.tsv"
    taxonomy.write_text(TSV)
    cases: list[tuple[str, Path | None, type[TaxbenchError], str]] = [
        (f"folder:{tmp_path}/empty", taxonomy, DataError, "holds no image"),
        (f"folder:{tmp_path}/nowhere", taxonomy, UsageError, "No such folder"),
        (f"folder:{tmp_path}/empty", None, UsageError, "--taxonomy"),
        ("folder:", taxonomy, UsageError, "Say which folder"),
        (f"folder:{tmp_path}/empty", tmp_path / "no.tsv", UsageError, "No such taxonomy file"),
        ("pockett", None, UsageError, "Did you mean 'pocket'"),
    ]
    for name, path, kind, words in cases:
        with pytest.raises(kind, match=words):
            load_dataset(name, path)


@pytest.mark.parametrize("names", [("crow", "gull", "hammer"), ("crow.n.01", "gull.n.02", "hammer.n.02")])
def test_the_taxonomy_can_come_from_wordnet(tmp_path: Path, names: tuple[str, ...]) -> None:
    root, _ = make(tmp_path / "photos", names=(*names, "robin", "thrush", "finch", "wren"))
    dataset = load_dataset(f"folder:{root}", Path("wordnet"))
    assert len(dataset.taxonomy.leaves) == 7
    assert dataset.taxonomy.leaves_of["animal"] == ("crow", "finch", "gull", "robin", "thrush", "wren")
    assert {image.leaf for image in dataset.images} == set(dataset.taxonomy.leaves)


def test_both_layouts_name_the_same_classes(tmp_path: Path) -> None:
    for layout in ("{split}/{name}", "{name}"):
        root, _ = make(tmp_path / layout.replace("/", "_") / "photos", layout)
        assert class_names(root) == ["n1", "n2", "n3"]


def test_links_to_files_that_are_not_there_are_counted(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    for name in ("n1", "n2"):
        (root / "train" / name / "annexed.png").symlink_to(tmp_path / "annex" / "object")
    with pytest.raises(DataError, match=r"2 images are links to files that are not there, first '.*n1/annexed\.png'"):
        load_dataset(f"folder:{root}", taxonomy)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos", "{name}")
    make(tmp_path / "more", "{split}", names=("",))
    os.symlink(tmp_path / "more", root / "n1" / "more")
    os.symlink(root / "n1", tmp_path / "more" / "train" / "loop")
    os.symlink(root, root / "n1" / "up")
    dataset = load_dataset(f"folder:{root}", taxonomy)
    found = [image.id for image in dataset.images if "more" in image.id]
    assert found == [f"n1/more/{split}/{split}{i}.png" for split in ("test", "train") for i in range(4)]
    assert len(dataset.images) == 24 + 8 and dataset.read(dataset.images[-1]).mode == "RGB"


@pytest.mark.parametrize("name", ["validation", "valid", "dev", "val"])
def test_every_name_of_a_split_is_known(tmp_path: Path, name: str) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (root / "train").rename(root / "training")
    make(root / name, "{name}")
    dataset = load_dataset(f"folder:{root}", taxonomy)
    splits = {image.id.split("/")[0]: image.split for image in dataset.images}
    assert splits == {"training": "train", name: "val", "test": "test"}
    assert all("byte for byte" in note for note in dataset.notes)  # of the pictures copied above


@pytest.mark.parametrize(("moved", "splits"), [
    ({"train": "Train", "test": "TEST"}, {"train", "test"}),
    ({"test": "val"}, {"train", "test"}),  # as ImageNet is published
    ({"test": "unused"}, {None}),  # one split alone is divided as a folder without any
])  # fmt: skip
def test_splits_are_what_they_can_be(tmp_path: Path, moved: dict[str, str], splits: set[str | None]) -> None:
    root, taxonomy = make(tmp_path / "photos")
    for name, other in moved.items():
        (root / name).rename(root / other)
    assert {image.split for image in load_dataset(f"folder:{root}", taxonomy).images} == splits


def test_a_split_without_class_folders_is_explained(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (root / "val" / "images").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(root / "val" / "images" / "val_0.png")
    with pytest.raises(DataError, match=r"The pictures of '.*val/images' are in no class folders: move 'val' away"):
        load_dataset(f"folder:{root}", taxonomy)


def test_pictures_outside_class_folders_are_noted(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    make(root / "raw" / "deep", "{name}")
    make(root / ".cache", "{name}")
    (root / "empty").mkdir()
    Image.new("RGB", (4, 4)).save(root / "test" / "loose.PNG")
    (note,) = load_dataset(f"folder:{root}", taxonomy).notes
    assert note.endswith("in no class folder are not used: .cache/, raw/, test/loose.PNG.")


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos", "{name}", ("n1", "n2", "train"))
    taxonomy.write_text(TSV.replace("n3\thammer", "train\ttrain"))
    dataset = load_dataset(f"folder:{root}", taxonomy)
    assert {image.leaf for image in dataset.images} == {"crow", "gull", "train"} and len(dataset.images) == 24
    (root / "test").mkdir()
    with pytest.raises(DataError, match=r"1 of 4 class folders of .* are not in the taxonomy: test"):
        load_dataset(f"folder:{root}", taxonomy)


@pytest.mark.parametrize("name", [" n4", "n4 ", "n\n4", "n4\udcff"])
def test_a_class_folder_that_no_taxonomy_can_name_is_refused(tmp_path: Path, name: str) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (root / "train" / name).mkdir()
    with pytest.raises(DataError, match=r"name of the class folder '.*n.*4.*Rename it"):
        load_dataset(f"folder:{root}", taxonomy)


@pytest.mark.parametrize("name", ["tr\udcff", "tr\nain", "tr\rain", "tr\u2028ain", "tr\x85ain"])
def test_a_file_name_that_no_list_of_names_can_hold_is_named(tmp_path: Path, name: str) -> None:
    root, taxonomy = make(tmp_path / "photos")
    (root / "train" / "n1" / "train0.png").rename(root / "train" / "n1" / f"{name}.png")
    with pytest.raises(DataError, match=r"name of the image '.*tr\\.*\.png' has a control character .*or is not UTF-8"):
        load_dataset(f"folder:{root}", taxonomy)


def test_what_may_not_be_read_says_how_to_allow_it(tmp_path: Path) -> None:
    root, _ = make(tmp_path / "photos")
    code = (
        "import sys; from pathlib import Path; from taxbench.datasets.dataset import load_dataset\n"
        "root = Path(sys.argv[1])\n"
        "for name, mode in (('', 0o600), ('train', 0o600), *[('train/n1', x) for x in (0o300, 0o600, 0)],\n"
        "                   ('train/n1/train0.png', 0)):\n"
        "    before = (root / name).stat().st_mode; (root / name).chmod(mode)\n"
        "    try: load_dataset(f'folder:{root}', root.parent / 'taxonomy.tsv')\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "    (root / name).chmod(before)"
    )
    done = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    said = re.compile(r"DataError '.+' cannot be read \(Permission denied\)\. To allow it, type: chmod -R u\+rX '(.+)'")
    found = [match[1] for line in done.stdout.splitlines() if (match := said.fullmatch(line))]
    assert found == [str(root / name) for name in ("", "train", *["train/n1"] * 3, "train/n1/train0.png")]


def test_unicode_spellings_of_a_folder_are_one(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos", names=("cafe\u0301", "n2", "n3"))
    taxonomy.write_text(TSV.replace("n1\tcrow", "caf\u00e9\tcaf\u00e9"))
    dataset = load_dataset(f"folder:{root}", taxonomy)
    assert dataset.taxonomy.leaves[0] == "caf\u00e9" in class_names(root)
    assert all(dataset.read(image).size == (16, 16) for image in dataset.images)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_greyscale_of_16_bits_keeps_its_shades(tmp_path: Path, name: str) -> None:
    shades = np.array([[0, 255, 256, 0x7FFF, 0xFFFF]], np.uint16)
    Image.fromarray(shades).save(tmp_path / name)
    pixels = np.asarray(read_image(tmp_path / name))
    assert pixels[0].tolist() == [[shade] * 3 for shade in (0, 0, 1, 127, 255)]


@pytest.mark.parametrize(("white", "kind"), [(255, "P5"), (1023, "P5"), (4095, "P2"), (65535, "P5"), (65535, "P2")])
def test_a_portable_greymap_is_as_light_as_it_says(tmp_path: Path, white: int, kind: str) -> None:
    shades = np.array([0, white // 4, white // 2, white])
    binary = shades.astype("u1" if white < 256 else ">u2").tobytes()
    (tmp_path / "grey.pgm").write_bytes(
        f"{kind} 4 1 {white}\n".encode() + (binary if kind == "P5" else " ".join(map(str, shades)).encode())
    )
    pixels = np.asarray(read_image(tmp_path / "grey.pgm"))[0]
    assert np.abs(pixels - 255 * shades[:, None] / white).max() <= 1 and pixels[3].tolist() == [255] * 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", [b"II*\x00", b"Exif\x00\x00II*\x00", b"Exif\x00\x00nothing of TIFF", b"\xff" * 40])
def test_broken_exif_is_no_broken_picture(tmp_path: Path, suffix: str, exif: bytes) -> None:
    Image.new("RGB", (8, 4), "red").save(tmp_path / f"a.{suffix}", exif=exif)
    assert read_image(tmp_path / f"a.{suffix}").size == (8, 4)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_however_the_camera_was_held(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = Image.new("RGB", (48, 32), "white")
    upright.paste((200, 0, 0), (0, 0, 24, 16))
    upright.paste((0, 0, 200), (24, 16, 48, 32))
    stored = {
        1: lambda x: x, 2: ImageOps.mirror, 3: lambda x: x.rotate(180), 4: ImageOps.flip,
        5: lambda x: x.transpose(Image.Transpose.TRANSPOSE), 6: lambda x: x.rotate(90, expand=True),
        7: lambda x: x.transpose(Image.Transpose.TRANSVERSE), 8: lambda x: x.rotate(-90, expand=True),
    }[orientation](upright)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(
        tmp_path / f"a.{suffix}", exif=exif, **{"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(suffix, {})
    )
    shown = read_image(tmp_path / f"a.{suffix}")
    assert shown.size == (48, 32)
    np.testing.assert_allclose(np.asarray(shown).astype(int), np.asarray(upright), atol=100)


def test_the_same_picture_twice_is_counted_and_said(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    for source, copy in (("train/n1/train0", "test/n1/test0"), ("train/n1/train1", "train/n2/train1")):
        (root / f"{copy}.png").write_bytes((root / f"{source}.png").read_bytes())
    (note,) = load_dataset(f"folder:{root}", taxonomy).notes
    assert note == (
        "2 pictures are the same as others, byte for byte, 1 of them in another split, 1 under another leaf, such as "
        "'test/n1/test0.png' and 'train/n1/train0.png'."
    )
    flat, taxonomy = make(tmp_path / "flat" / "photos", "{name}")
    (flat / "n1" / "copy.png").write_bytes((flat / "n1" / "train0.png").read_bytes())
    (note,) = load_dataset(f"folder:{flat}", taxonomy).notes
    assert note.startswith("1 pictures are the same") and "may test a head on what it was trained on" in note


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 255))
    picture.save(tmp_path / "a.png")
    picture.quantize(8).save(tmp_path / "palette.png")
    for name in ("a.png", "palette.png"):
        assert np.asarray(read_image(tmp_path / name))[0, :2].tolist() == [[255] * 3, [0] * 3], name


def test_nothing_hidden_or_made_by_a_program_is_a_picture(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    before = load_dataset(f"folder:{root}", taxonomy)
    source = next((root / "train" / "n1").glob("*.png"))
    for name in (".ipynb_checkpoints/a.png", "deep/.thumbnails/a.png", "@eaDir/a.png", "._a.png"):
        path = root / "train" / "n1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    (root / "__MACOSX").mkdir()
    after = load_dataset(f"folder:{root}", taxonomy)
    assert after.fingerprint == before.fingerprint and not after.notes


def test_pictures_of_every_suffix_that_pillow_opens_are_used_and_other_files_counted(tmp_path: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    folder, before = root / "train" / "n1", len(load_dataset(f"folder:{root}", taxonomy).images)
    for shade, suffix in enumerate(("JPE", "jfif", "ppm", "avif")):
        Image.new("RGB", (16, 16), (50 * shade,) * 3).save(folder / f"a.{suffix}")
    for name in ("b.heic", "c.heic", "d.txt", "e"):
        (folder / name).write_text("x")
    dataset = load_dataset(f"folder:{root}", taxonomy)
    assert len(dataset.images) == before + 4
    assert all(dataset.read(image).mode == "RGB" for image in dataset.images)
    (note,) = dataset.notes
    assert note.endswith("not ones that Pillow opens: 2 .heic, 1 .txt, 1 without a suffix.")


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused(tmp_path: Path, kind: type) -> None:
    Image.fromarray(np.ones((2, 2), kind)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif' has pixels of 32 bits \(mode [IF]\)"):
        read_image(tmp_path / "a.tif")


def test_a_large_picture_is_read_without_a_warning(tmp_path: Path) -> None:
    Image.new("1", (9500, 9500)).save(tmp_path / "large.png")
    code = "import sys, pathlib; from taxbench.datasets.folder import read_image; read_image(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "large.png"], capture_output=True, check=True)
    assert done.stderr == b""
