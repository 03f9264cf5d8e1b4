"""The pocket pair: captions that name leaves and hypernyms, a frozen encoder, and weights that know both."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer

from taxbench.cli.main import call
from taxbench.pocket.concepts import BY_NAME, CONCEPT_NAMES, CONCEPTS
from taxbench.pocket.train.clip import ClipTraining, captions, make_pair, pair_loss, train_clip
from taxbench.registry.models import find_encoder, find_system, model_source
from taxbench.specs.result import Result
from taxbench.util.errors import TrainingError

SHIPPED = Path(model_source(find_system("pocket-clip").source))
ENCODER = Path(model_source(find_encoder("pocket").source))
TINY = ClipTraining(steps=3, batch=32, per_concept=1, pool_seed=9, vocabulary=400, width=32, depth=1, projection=8)


def test_captions_name_leaves_and_hypernyms_alike() -> None:
    duck, car = captions(BY_NAME["duck"]), captions(BY_NAME["car"])
    for said, names in ((duck, ("a duck", "a bird", "an animal")), (car, ("a car", "a vehicle"))):
        counts = [sum(name in text for text in said) for name in names]
        assert sum(counts) == len(said) and counts[0] == len(said) / 2
    assert len({len(captions(concept)) for concept in CONCEPTS}) == 1


def test_training_repeats_itself_and_leaves_the_encoder_as_it_is(tmp_path: Path, pool: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        report = train_clip(tmp_path / name, dataclasses.replace(TINY, seed=seed), pool)
        assert (report.steps, report.pictures) == (3, len(CONCEPT_NAMES))
    files = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    trained, encoder = load_file(tmp_path / "a" / "model.safetensors"), load_file(ENCODER / "model.safetensors")
    assert all(torch.equal(trained[f"vision_model.{name}"], weight) for name, weight in encoder.items())
    assert str(ENCODER) not in (tmp_path / "a" / "config.json").read_text()
    with pytest.raises(TrainingError, match="more than the 104 drawn"):
        train_clip(tmp_path / "d", dataclasses.replace(TINY, batch=105), pool)


def test_the_loss_is_that_of_the_model_s_own_class() -> None:
    torch.manual_seed(0)
    pair = make_pair(ENCODER, 50, TINY).eval()
    pixels, tokens = torch.randn(5, 3, 32, 32), {"input_ids": torch.randint(50, (5, 4))}
    seen = pair.vision_model(pixels).pooler_output.flatten(1)
    pair.vision_model.forward = lambda **given: (None, seen)  # a ResNet's own has two dimensions more
    whole = pair(pixel_values=pixels, **tokens, return_loss=True, return_dict=True).loss
    torch.testing.assert_close(pair_loss(pair, seen, tokens), whole)


def test_shipped_weights_are_small_and_what_the_command_makes() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 3_000_000
    made = make_pair(ENCODER, len(AutoTokenizer.from_pretrained(SHIPPED)), ClipTraining())
    shipped, encoder = load_file(SHIPPED / "model.safetensors"), load_file(ENCODER / "model.safetensors")
    assert {name: weight.shape for name, weight in shipped.items()} == {
        name: weight.shape for name, weight in made.state_dict().items()
    }
    assert all(torch.equal(shipped[f"vision_model.{name}"], weight) for name, weight in encoder.items())
    text = made.config.text_config.to_dict() | {"dtype": None}
    assert AutoConfig.from_pretrained(SHIPPED).text_config.to_dict() == text
    processors = [json.loads((folder / "preprocessor_config.json").read_text()) for folder in (SHIPPED, ENCODER)]
    assert processors[0] == processors[1]


def test_it_knows_leaves_and_hypernyms_that_heads_never_hear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--system", "pocket-clip", "--task", "unseen_hypernym", "--limit", "2", "--device", "cpu"]
    assert call(["-q", *words, "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--json"]) == 0
    result = Result.model_validate(json.loads(capsys.readouterr().out)[0])
    assert result.is_control and result.note.startswith("reference")
    assert result.scores["unseen"].auroc > 0.9 and result.scores["leaf"].auroc > 0.9
    assert result.scores["unseen"].macro_f1 > 0.75 > 0.6 > result.controls["random_lm"]["unseen"].macro_f1
    assert result.controls["random_lm"]["unseen"].auroc < 0.7
