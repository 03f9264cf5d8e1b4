"""Systems that compare pictures with texts: scores are those of the model's own forward, from pictures read once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor

from taxbench.board.submit.examine import examine
from taxbench.cli.main import call
from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import LabelHead
from taxbench.heads.match import Settings
from taxbench.registry.models import find_system
from taxbench.specs.result import Result
from taxbench.systems.asking import TextScorer
from taxbench.systems.matching import ChilsHead, OddsHead
from taxbench.systems.text_side import TEMPLATES, TextSide
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import UsageError
from tests.features.tiny_encoders import normalised, pictures
from tests.made import LEAVES
from tests.systems.conftest import kept
from tests.systems.tiny_systems import Saved

CPU = torch.device("cpu")
TEXTS = ["a photo of a crow.", "a hammer", "saw", "this is a rather long text about a gull on a roof."]


def clip(folder: Path, pixels: Tensor, tokens: Any) -> Tensor:
    model: Any = hf.CLIPModel.from_pretrained(folder)
    return model(pixel_values=pixels, **tokens).logits_per_image / model.logit_scale.exp()


def siglip(folder: Path, pixels: Tensor, tokens: Any) -> Tensor:
    model: Any = hf.SiglipModel.from_pretrained(folder)
    return (model(pixel_values=pixels, **tokens).logits_per_image - model.logit_bias) / model.logit_scale.exp()


def dual(folder: Path, pixels: Tensor, tokens: Any) -> Tensor:
    model: Any = hf.VisionTextDualEncoderModel.from_pretrained(folder)
    return model(pixel_values=pixels, **tokens).logits_per_image / model.logit_scale.exp()


def flava(folder: Path, pixels: Tensor, tokens: Any) -> Tensor:
    model: Any = hf.FlavaForPreTraining.from_pretrained(folder)
    masked = {
        "input_ids_masked": tokens["input_ids"],
        "bool_masked_pos": torch.zeros(len(pixels), 4, 4, dtype=torch.bool),
    }
    found = model(pixel_values=pixels, codebook_pixel_values=torch.zeros(len(pixels), 3, 32, 32), **tokens, **masked)
    return found.contrastive_logits_per_image / model.flava.logit_scale.exp()


def blip2(folder: Path, pixels: Tensor, tokens: Any) -> Tensor:
    model: Any = hf.Blip2ForImageTextRetrieval.from_pretrained(folder)
    return model(pixels, **tokens, use_image_text_matching_head=False).logits_per_image


OWN = {"clip": clip, "siglip": siglip, "dual": dual, "flava": flava, "blip-2-itm": blip2}
PADDING = {"siglip": {"padding": "max_length", "max_length": 64}}


def cosines(folder: Path, pixels: Tensor, texts: list[str]) -> Tensor:
    """Return the similarities of pictures that are read once and texts.  # (n, v)"""
    vectors = TextSide.of(find_system(str(folder)), CPU, torch.float32).vectors(texts)
    scale = torch.zeros(1), torch.ones(1)
    return LabelHead(torch.nn.Identity(), scale, vectors, len(texts), "none").cosines(kept(folder, pixels))


@pytest.mark.parametrize("kind", OWN)
def test_similarities_are_those_of_the_model_s_own_forward(kind: str, saved: Saved) -> None:
    folder, pixels = saved(kind), pictures((32, 32))
    tokenizer: Any = hf.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(TEXTS, return_tensors="pt", **PADDING.get(kind, {"padding": True}))
    if kind == "siglip":
        del tokens["attention_mask"]  # its own processor gives none
    with torch.inference_mode():
        whole = OWN[kind](folder, normalised(pixels), tokens)
    found = cosines(folder, pixels, TEXTS)
    assert found.shape == whole.shape == (4, 4) and float(found.std()) > 1e-3
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)
    order = [2, 0, 3, 1]
    torch.testing.assert_close(cosines(folder, pixels[order], TEXTS), found[order], atol=1e-5, rtol=0)


def test_texts_of_siglip_are_filled_up_as_in_its_training(saved: Saved) -> None:
    side = TextSide.of(find_system(str(saved("siglip"))), CPU, torch.float32)
    assert side.tokens(["a crow"])["input_ids"].shape == (1, 64)
    torch.testing.assert_close(side.vectors(TEXTS)[:1], side.vectors(TEXTS[:1]))


def test_a_term_s_vector_is_the_mean_over_templates(saved: Saved) -> None:
    side = TextSide.of(find_system(str(saved("clip"))), CPU, torch.float32)
    each = torch.stack([side.vectors([template.format("an owl")])[0] for template in TEMPLATES])
    torch.testing.assert_close(each.norm(dim=1), torch.ones(len(TEMPLATES)))
    torch.testing.assert_close(side.words(["owl", "saw"])[0], torch.nn.functional.normalize(each.mean(0), dim=0))


def run(words: list[str], *more: str, capsys: pytest.CaptureFixture[str]) -> list[Result]:
    assert call(["-q", *words, *more]) == 0
    return [Result.model_validate(each) for each in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.usefixtures("no_processor")
def test_a_system_is_asked_from_the_command_line(
    kind: str, saved: Saved, asked: list[str], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (result,) = run(asked, "--system", str(saved(kind)), capsys=capsys)
    assert (result.head, result.is_control, result.lm, result.encoder) == ("match", True, kind, kind)
    assert result.note.startswith("reference")
    assert set(result.controls) == {"chance", "random_lm", "no_image", "shuffled_features", "label_oracle",
                                    "text_only", "feature_probe", "name_probe"}  # fmt: skip
    assert result.controls["no_image"]["leaf"].auroc == 0.5
    assert result.controls["text_only"]["leaf"].auroc == 1.0  # a name is most like itself
    assert result.controls["shuffled_features"] != result.scores != result.controls["random_lm"]
    folder = next((tmp_path / "out").rglob("result.json")).parent
    assert [reason for reason in examine(folder, find_tasks([photos])).reasons if "dataset" not in reason] == []
    assert call(["leaderboard", "show", str(tmp_path / "out"), "--format", "md"]) == 0
    assert f"| reference | {kind} " in capsys.readouterr().out.replace("  ", "")  # shown, and not ranked


def test_chils_reads_a_hypernym_by_its_nearest_leaf(
    saved: Saved, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, pixels = saved("clip"), pictures((32, 32))
    side = TextSide.of(find_system(f"chils:{folder}"), CPU, torch.float32)
    below = [[i for i, above in enumerate(LEAVES.values()) if above == name] for name in ("bird", "tool")]
    names = tuple(map(torch.tensor, [*([i] for i in range(len(LEAVES))), *below]))
    head = ChilsHead(side.words([*LEAVES, "bird", "tool"]), names, len(LEAVES), "none")
    seen = kept(folder, pixels)
    found, own = head.cosines(seen), seen[:, 0] @ side.words(list(LEAVES)).T / seen[:, 0].norm(dim=1, keepdim=True)
    torch.testing.assert_close(found[:, :6], own)
    torch.testing.assert_close(found[:, 6:], torch.stack([own[:, some].amax(1) for some in below], dim=1))
    (result,) = run(asked, "--system", f"chils:{folder}", capsys=capsys)
    assert (result.lm, result.head, result.is_control) == ("clip-chils", "chils", True)
    assert "upper bound" in result.note
    (plain,) = run(asked, "--system", str(folder), capsys=capsys)
    assert result.scores["unseen"] != plain.scores["unseen"]
    assert result.scores["leaf"].auroc == pytest.approx(plain.scores["leaf"].auroc)
    for words in (["leaderboard", "show", "--format", "md"], ["compare", "head=chils", "head=match", "--results"]):
        assert call([*words, str(tmp_path / "out")]) == 0
        assert "upper bound" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["clip", "siglip", "dual"])
def test_odds_are_those_that_the_system_was_trained_to_give(
    kind: str, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxbench.systems.text_side.TEMPLATES", ("a photo of {}.",))
    folder, pixels = saved(kind), pictures((32, 32))
    side = TextSide.of(find_system(f"odds:{folder}"), CPU, torch.float32)
    seen = kept(folder, pixels)
    found = OddsHead(side, side.words(["crow", "old saw"])).margins(seen, torch.tensor([[0, 1]] * 4), None)
    tokens = side.tokens(["a photo of a crow.", "a photo of an old saw.", "a photo of something else."])
    model: Any = side.model
    with torch.inference_mode():
        logits = model(pixel_values=normalised(pixels), **tokens).logits_per_image
    expected = logits[:, :2] if kind == "siglip" else logits[:, :2] - logits[:, 2:]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_an_alias_says_its_reader_behind_or_before() -> None:
    for name in ("pocket-clip-chils", "chils:pocket-clip"):
        spec = find_system(name)
        assert (spec.name, spec.reads) == ("pocket-clip-chils", "chils")
    assert find_system("random-pocket-clip-odds").random
    with pytest.raises(UsageError, match="Unknown system 'nothing-chils'"):
        find_system("nothing-chils")


def test_hypernyms_do_not_set_the_threshold(saved: Saved) -> None:
    side = TextSide.of(find_system(str(saved("clip"))), CPU, torch.float32)
    draw, names, lines = np.random.default_rng(0), np.arange(24) % 6, []
    features = torch.from_numpy(draw.normal(size=(48, 1, 12)).astype(np.float32))
    for above in (("bird", "tool", "fish"), ("thing", "being")):
        scorer = TextScorer(side, (*LEAVES, *above))
        data = FitData(
            lambda rows: features[torch.from_numpy(rows)], np.arange(24), names, np.arange(24, 48), names,
            tuple(LEAVES), side, pytest.fail, 0, own_words=scorer.own_words,
            told=lambda: None,
        )  # fmt: skip
        head = scorer.head("match", data, Settings(), None)  # type: ignore[arg-type]
        assert isinstance(head, LabelHead)
        lines.append(head.line)
    assert torch.equal(lines[0], lines[1])


def test_counterfactual_tasks_are_left_out(saved: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "--system", str(saved("clip")), "--task", "counterfactual_high", "--limit", "2"]) == 2
    assert "never saw" in capsys.readouterr().err
