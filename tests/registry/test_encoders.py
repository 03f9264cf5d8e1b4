"""The registry of encoders: what names mean, and that looking never runs a package's code."""

import subprocess
import sys
from pathlib import Path

import pytest

from taxbench.registry.models import encoders, find_encoder, find_lm, model_source
from taxbench.util.errors import ModelError, UsageError
from tests.made import offer


def test_every_architecture_has_an_alias_with_a_summary() -> None:
    found = encoders()
    wanted = "pocket pixels dinov2 dinov2-reg-large dinov3-small dinov3-convnext-tiny siglip siglip2 clip flava vit"
    assert {*wanted.split(), "vit-mae", "beit", "mobilenet", "mobilenet-v2", "convnext", "resnet"} <= set(found)
    assert all(spec.name == name and spec.summary.endswith(".") for name, spec in found.items())
    assert {name for name, spec in found.items() if spec.gated} == {name for name in found if "dinov3" in name}


def test_random_names_the_same_encoder_with_random_weights() -> None:
    twin = find_encoder("random-clip")
    assert twin == find_encoder("clip").model_copy(update={"name": "random-clip", "random": True})
    assert find_encoder("random-owner/model").source == "owner/model"


def test_a_directory_may_be_called_random(tmp_path: Path) -> None:
    folder = tmp_path / "random-mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert not find_encoder(str(folder)).random
    twin = find_encoder(f"random-{folder}")
    assert twin.random and twin.source == str(folder) and twin.name == "random-random-mine"


def test_a_typing_error_names_the_nearest_encoder() -> None:
    with pytest.raises(UsageError, match=r"Unknown encoder 'dinov2-smal'.*'dinov2-small'.*taxbench ls encoders"):
        find_encoder("dinov2-smal")
    with pytest.raises(UsageError, match=r"Unknown encoder 'clib'.*'clip'"):
        find_encoder("random-clib")


def test_packages_add_encoders_and_cannot_take_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, "taxbench.encoders", "other = no_such_module:function\nclip = no_such_module:function\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = find_encoder("other")
    assert (spec.source, spec.summary) == ("entry-point:no_such_module:function", "From the package plugged 2.0.")
    assert find_encoder("clip").source == "openai/clip-vit-base-patch32"


def test_packages_add_language_models_as_folders_and_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tmp_path, "taxbench.lms", "mine = carrier:weights.small\npocket = carrier:weights\ngone = carrier:gone\n")
    (tmp_path / "carrier" / "weights" / "small").mkdir(parents=True)
    (tmp_path / "carrier" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    spec = find_lm("mine")
    assert spec.summary == "From the package plugged 2.0." and "carrier" not in find_lm("pocket").source
    assert model_source(spec.source) == str(tmp_path / "carrier" / "weights" / "small")
    with pytest.raises(ModelError, match="the package has no folder 'gone'"):
        model_source(find_lm("gone").source)


def test_listing_runs_no_code_of_packages(tmp_path: Path) -> None:
    offer(tmp_path, "taxbench.encoders", "bomb = bomb:go\n")
    (tmp_path / "bomb.py").write_text("raise SystemExit('boom')")
    code = (
        "import sys; from taxbench.registry.models import encoders; assert 'bomb' in encoders();"
        "print([m for m in ('torch', 'transformers', 'numpy', 'bomb') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": f"{tmp_path}:."}
    )
    assert done.stdout.strip() == "[]"


def test_weights_inside_a_package_are_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (Path(model_source(find_encoder("pocket").source)) / "config.json").is_file()
    assert (Path(model_source(find_lm("pocket").source)) / "config.json").is_file()
    assert model_source("owner/model") == "owner/model"
    (tmp_path / "carrier" / "inner" / "weights").mkdir(parents=True)
    for folder in ("carrier", "carrier/inner"):
        (tmp_path / folder / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert model_source("package:carrier.inner/weights") == str(tmp_path / "carrier" / "inner" / "weights")
    for source, words in (("package:carrier.inner/gone", "no folder 'gone'"), ("package:no_such/x", "no_such")):
        with pytest.raises(ModelError, match=words):
            model_source(source)
