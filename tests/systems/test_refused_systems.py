"""What cannot be asked as a whole system is refused in one sentence that says what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from taxbench.cli.main import call
from taxbench.registry.models import find_encoder, find_lm, find_system
from taxbench.runs.config import resolve
from taxbench.runs.run_options import Options
from taxbench.specs.run import TrainerSpec
from taxbench.systems.text_side import TextSide
from taxbench.systems.whole_model import describe_system
from taxbench.util.errors import ModelError, UsageError
from tests.features.tiny_encoders import save_preprocessing
from tests.systems.tiny_systems import Saved

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
                                                    num_attention_heads=1, intermediate_size=8)), "--model"),
        (lambda: hf.ViTModel(hf.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                                          intermediate_size=8)), "--encoder"),
        (lambda: hf.T5ForConditionalGeneration(hf.T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1,
                                                           num_heads=1)), "cannot be asked"),
    ],
)  # fmt: skip
def test_what_is_no_system_is_refused(make: Callable[[], Any], said: str, tmp_path: Path) -> None:
    make().save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match=said):
        find_system(str(tmp_path / "model"))


def test_another_class_and_missing_weights_are_named(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can be asked by: match, chils, odds; not pair"):
        find_system(f"pair:{saved('clip')}")
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((saved("clip") / name).read_bytes())
    save_preprocessing(folder, (32, 32))
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        describe_system(find_system(str(folder)))
    twin = describe_system(find_system(f"random-{folder}"))  # which needs no weights
    assert twin.digest.endswith("-random-0") and twin.spec.name == "random-empty"


def test_parts_of_another_class_are_named(saved: Saved, tmp_path: Path) -> None:
    folder = tmp_path / "flava"
    shutil.copytree(saved("flava"), folder)
    hf.FlavaModel(hf.FlavaConfig.from_pretrained(folder)).save_pretrained(folder)  # without the heads on top
    shutil.copy(saved("flava") / "config.json", folder)
    with pytest.raises(ModelError, match="are not those of a FlavaForPreTraining"):
        TextSide.of(find_system(f"pair:{folder}"), CPU, torch.float32)
    config = json.loads((saved("clip") / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["Blip2ForImageTextRetrieval"]}))
    with pytest.raises(ModelError, match="cannot be asked by pair"):
        describe_system(find_system(f"pair:{folder}"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "clip"}, "often one whose name ends in -hf"),
        ({"architectures": ["Siglip2Model"], "vision_config": {}}, "NaFlex model, which takes pictures of any shape"),
        ({"architectures": ["PaliGemmaForConditionalGeneration"], "vision_config": {}}, "Known classes: CLIPModel"),
        ({"model_type": "clip"}, "its config.json names no class"),
    ],
)
def test_a_class_that_cannot_be_asked_is_named(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said):
        find_system(str(tmp_path))


def test_an_encoder_and_a_decoder_are_no_decoder_alone(saved: Saved, tmp_path: Path) -> None:
    folder = tmp_path / "blip-2"
    shutil.copytree(saved("blip-2"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] = {"model_type": "t5", "vocab_size": 9, "d_model": 8, "num_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"through an encoder and a decoder \(t5\).* such as Salesforce/blip2-opt-2.7b"
    ):
        describe_system(find_system(str(folder)))


def test_an_alias_of_something_else_says_where_it_goes() -> None:
    for find, name, option in (
        (find_system, "gpt2", "model"),
        (find_system, "dinov2", "encoder"),
        (find_lm, "llava", "system"),
        (find_encoder, "pocket-clip", "system"),
    ):
        with pytest.raises(UsageError, match=f"Unknown .* '{name}' goes with --{option}[.]"):
            find(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("llava", "type 'hf download llava-hf/llava-1.5-7b-hf', or give a local directory"),
        ("chameleon", "is gated: accept its licence at https://huggingface.co/facebook/chameleon-7b, then type"),
        ("owner/nothing", "type 'hf download owner/nothing'"),
    ],
)
def test_weights_that_are_not_here_are_named_with_what_to_type(
    name: str, said: str, asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert call(["-q", *asked, "--system", name]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["pool=pooled", "layer=-2", "epochs=1"])
def test_systems_have_no_settings_of_encoders_and_of_training(setting: str) -> None:
    with pytest.raises(UsageError, match=f"nothing has the setting '{setting.partition('=')[0]}'.*crop"):
        resolve(Options(system="pocket-clip", settings=(setting,)))


def test_what_a_task_sets_for_heads_is_not_of_systems() -> None:
    (cell,) = resolve(Options(system="pocket-clip", task="paper_full")).cells
    assert (cell.features.layer, cell.features.pool, cell.trainer.epochs) == (-1, "tokens", TrainerSpec().epochs)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("order=question_first", "Leave out --set order=question_first."),
        ("frame={question} {image}", "In --set frame=, put {image} before {question}."),
    ],
)
def test_a_question_before_the_image_is_refused(
    setting: str, said: str, saved: Saved, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["-q", *asked, "--system", str(saved("llava")), "--set", setting]) == 2
    assert f"'llava' is shown the image first. {said}" in capsys.readouterr().err
