"""Systems that read a picture and a text together give what their own forward gives, from pictures read once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from taxbench.protocol.words import with_article
from taxbench.registry.models import find_system
from taxbench.systems.pairing import CAPTION, MaskedHead, PairHead
from taxbench.systems.text_side import TextSide
from tests.features.tiny_encoders import normalised, pictures
from tests.systems.conftest import kept
from tests.systems.tiny_systems import Saved

CPU = torch.device("cpu")
TERMS = ("crow", "old tool", "fish")


def flava(folder: Path, pixels: Tensor, text: str) -> Any:
    model: Any = hf.FlavaForPreTraining.from_pretrained(folder)
    tokenizer: Any = hf.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer([text] * len(pixels), padding="max_length", max_length=77, return_tensors="pt")
    masked = {
        "input_ids_masked": tokens["input_ids"],
        "bool_masked_pos": torch.zeros(len(pixels), 4, 4, dtype=torch.bool),
    }
    codebook = torch.zeros(len(pixels), 3, 32, 32)
    return model(pixel_values=pixels, codebook_pixel_values=codebook, **tokens, **masked), tokens


def flava_match(folder: Path, pixels: Tensor, text: str) -> Tensor:
    return flava(folder, pixels, text)[0].itm_logits.diff(dim=-1)[:, 0]


def blip2_match(folder: Path, pixels: Tensor, text: str) -> Tensor:
    model: Any = hf.Blip2ForImageTextRetrieval.from_pretrained(folder)
    tokenizer: Any = hf.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer([text] * len(pixels), return_tensors="pt")
    return model(pixels, **tokens, use_image_text_matching_head=True).logits_per_image.diff(dim=-1)[:, 0]


@pytest.mark.parametrize(("kind", "own"), [("flava", flava_match), ("blip-2-itm", blip2_match)])
@torch.inference_mode()
def test_log_odds_of_pairs_are_those_of_the_model_s_own_forward(
    kind: str, own: Callable[[Path, Tensor, str], Tensor], saved: Saved
) -> None:
    folder, pixels = saved(kind), pictures((32, 32), 3)
    name = f"pair:{folder}"
    head = PairHead(TextSide.of(find_system(name), CPU, torch.float32), TERMS)
    texts = [CAPTION.format(with_article(term)) for term in TERMS]
    expected = torch.stack([own(folder, normalised(pixels), text) for text in texts], dim=1)  # (3, terms)
    terms = torch.tensor([[0, 1, 2], [2, 0, -1], [1, -1, -1]])
    seen = kept(name, pixels)
    found, asked = head.margins(seen, terms, None), terms >= 0
    # Log odds, which a softmax before a softmax would squash to less than one.
    assert float(expected.std()) > 1e-3 and float(expected.abs().max()) > 0.05
    torch.testing.assert_close(found[asked], expected.gather(1, terms.clamp(min=0))[asked], atol=1e-4, rtol=0)
    order = [2, 0, 1]
    torch.testing.assert_close(head.margins(seen[order], terms[order], None), found[order], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_masked_word_is_as_likely_as_the_model_s_own_forward_says(saved: Saved) -> None:
    folder, pixels = saved("flava"), pictures((32, 32), 3)
    side = TextSide.of(find_system(f"masked:{folder}"), CPU, torch.float32)
    head = MaskedHead(side, TERMS, 2, "standardise")
    output, tokens = flava(folder, normalised(pixels), "a photo of a [MASK].")
    place = (tokens["input_ids"][0] == side.tokenizer.mask_token_id).nonzero().item()
    logp = output.mmm_text_logits[:, place].log_softmax(-1)
    first = [side.tokenizer.encode(f" {term}", add_special_tokens=False)[0] for term in TERMS]
    found = head.cosines(kept(f"masked:{folder}", pixels))
    torch.testing.assert_close(found, logp[:, first], atol=1e-4, rtol=0)
    assert float(logp[:, tokens["input_ids"][0, 2]].std()) > 1e-4
