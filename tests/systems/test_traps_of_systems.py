"""What is easily got wrong about a class of systems, and that no comparison with its own forward would show alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from transformers.models.llava_next import modeling_llava_next

from taxbench.registry.models import find_system
from taxbench.systems.architectures import ARCHITECTURES
from taxbench.systems.text_side import TextSide
from taxbench.systems.whole_model import describe_system
from tests.features.tiny_encoders import normalised, pictures
from tests.systems.tiny_systems import Saved

TEXTS = ["a photo of a crow.", "a photo of an old saw."]


def side_of(name: str) -> TextSide:
    return TextSide.of(find_system(name), torch.device("cpu"), torch.float32)


@torch.inference_mode()
def test_queries_of_blip2_stand_without_positions_before_texts_that_begin_at_the_first(saved: Saved) -> None:
    side = side_of(f"pair:{saved('blip-2-itm')}")
    read, model, rows = side.whole.architecture.pairs, side.model, list[Tensor]()
    assert read is not None
    tokens = side.tokens(TEXTS)
    seen = side.whole.architecture.image(model, normalised(pictures((32, 32), 2)))
    model.qformer.register_forward_pre_hook(lambda _, args: rows.append(args[0]))
    found = read(model, seen, tokens)
    queries, n = model.query_tokens, model.query_tokens.shape[1]
    words = model.embeddings.word_embeddings(tokens["input_ids"])
    places = model.embeddings.position_embeddings.weight[: words.shape[1]]
    torch.testing.assert_close(rows[0], torch.cat([queries.expand(2, -1, -1), words + places], dim=1))
    model.query_tokens.data = queries[:, torch.arange(n).roll(1)]
    torch.testing.assert_close(read(model, seen, tokens), found)
    model.query_tokens.data = queries + torch.randn_like(queries)
    assert not torch.allclose(read(model, seen, tokens), found, atol=1e-3)


@torch.inference_mode()
def test_the_one_view_of_llava_next_is_what_its_model_makes_of_one(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = hf.LlavaNextForConditionalGeneration.from_pretrained(saved("llava-next"))
    pixels = normalised(pictures((32, 32), 2))
    monkeypatch.setattr(modeling_llava_next, "image_size_to_num_patches", lambda **_: 1)
    own = model.get_image_features(pixels[:, None], torch.tensor([[32, 32]] * 2)).pooler_output
    torch.testing.assert_close(ARCHITECTURES["llava_next", "answer"].image(model, pixels), torch.stack(list(own)))


def test_patches_of_qwen_stand_in_the_order_of_its_own_processor(saved: Saved) -> None:
    model: Any = hf.Qwen3VLForConditionalGeneration.from_pretrained(saved("qwen3-vl"))
    pixels = normalised(pictures((32, 32), 2))
    options = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
    own = hf.Qwen2VLImageProcessorPil(**options, do_resize=False, do_rescale=False, do_normalize=False)
    found = own(list(pixels.numpy()), return_tensors="pt", input_data_format="channels_first")
    given = ARCHITECTURES["qwen3_vl", "answer"].answers.whole(model, pixels, torch.zeros(1))  # type: ignore[union-attr]
    torch.testing.assert_close(given["pixel_values"], found["pixel_values"])
    assert torch.equal(given["image_grid_thw"], found["image_grid_thw"])


def test_patches_of_molmo2_are_pooled_each_once_with_none_on_the_right_and_below(saved: Saved) -> None:
    model: Any = hf.Molmo2ForConditionalGeneration.from_pretrained(saved("molmo2"))
    pixels = normalised(pictures((40, 40), 2))  # five patches a side
    given = ARCHITECTURES["molmo2", "answer"].answers.whole(model, pixels, torch.zeros(1))  # type: ignore[union-attr]
    pooled = given["image_token_pooling"].reshape(2, 9, 4)
    assert pooled[0, [0, 2, 8]].tolist() == [[0, 1, 5, 6], [4, -1, 9, -1], [24, -1, -1, -1]]
    assert sorted(pooled[1].flatten().tolist()) == [-1] * 11 + list(range(25, 50))
    assert given["image_grids"].tolist() == [[3, 3, 0, 0]] * 2
    patch = pixels[1, :, 8:16, 16:24].permute(1, 2, 0)  # channels last
    torch.testing.assert_close(given["pixel_values"][1, 7], patch.flatten())


# What `preprocessor_config.json` of the releases says of sizes.
SIZES: dict[str, dict[str, Any]] = {
    "llava-next": {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}},
    "idefics3": {"size": {"longest_edge": 1456}, "max_image_size": {"longest_edge": 364}, "do_image_splitting": True},
    "smolvlm": {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}, "do_image_splitting": True},
    "qwen3-vl": {"size": {"longest_edge": 16777216, "shortest_edge": 65536}},
}


@pytest.mark.parametrize(("kind", "side"), [("llava-next", 32), ("idefics3", 32), ("smolvlm", 32), ("qwen3-vl", 448)])
def test_the_whole_picture_is_the_one_view_where_releases_take_several(
    kind: str, side: int, saved: Saved, tmp_path: Path
) -> None:
    folder = tmp_path / kind
    shutil.copytree(saved(kind), folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **SIZES[kind]}))
    found = describe_system(find_system(str(folder))).preprocessing
    assert (found.height, found.width, found.resize) == (side, side, None)


@torch.inference_mode()
def test_tokens_of_chameleon_s_pictures_survive_every_type_they_are_stored_as(saved: Saved) -> None:
    how = ARCHITECTURES["chameleon", "answer"]
    ids = torch.arange(4, 8196, dtype=torch.int32)[None]  # as many as it has

    class Model:
        class model:
            get_image_tokens = staticmethod(lambda pixels: ids)

        get_input_embeddings = staticmethod(lambda: lambda found: found)

    kept = how.image(Model, torch.zeros(1))
    assert how.answers is not None
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert torch.equal(how.answers.vectors(Model, kept.to(dtype).float()), ids.long())
