"""Systems that answer read rows of the tokens that their releases' own processors make of a picture and a question."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from tokenizers import normalizers, pre_tokenizers

from taxbench.lms.forward import tokenise
from taxbench.lms.frames import frame_of
from taxbench.registry.models import find_system
from taxbench.specs.task import PromptSpec
from taxbench.systems.answering import AnsweringScorer, AnsweringSide, KeptPrefix, own_prompt
from tests.systems.tiny_systems import IMAGE, Saved, tokenizer

YES_NO = (("Yes",), ("No",))
QUESTION = "Is there a crow in this image?"
SMALL = {"height": 32, "width": 32}
PHOTO = np.zeros((32, 32, 3), np.uint8)
AUTO = PromptSpec(frame="auto", answer_form="auto")


def side_of(folder: Path, tokens: Any = None) -> AnsweringSide:
    side = AnsweringSide.of(find_system(str(folder)), torch.device("cpu"), torch.float32)
    tokens = tokens or side.tokenizer
    return AnsweringSide(side.spec, side.model.whole, tokens, side.digest, side.device, whole=side.whole)


def row_of(side: AnsweringSide, k: int) -> list[int]:
    """Return the tokens of a row about an image of k."""
    frame = frame_of(own_prompt(side, AUTO, YES_NO), YES_NO, "image_first", side.tokenizer)
    table = tokenise(side, (QUESTION, "Is there a saw in this image?"), YES_NO, frame)
    return [*table.opening.tolist(), *side.how.tokens(side.whole.config, k), *table.full(0).tolist()]


def llava(tokens: Any) -> Any:
    pictures = hf.LlavaImageProcessorPil(size={"shortest_edge": 32}, crop_size=SMALL)
    return hf.LlavaProcessor(pictures, tokens, 8, "default", num_additional_image_tokens=1)


def blip2(tokens: Any) -> Any:
    return hf.Blip2Processor(hf.BlipImageProcessorPil(size=SMALL), tokens, num_query_tokens=4)


def chameleon(tokens: Any) -> Any:
    tokens.add_special_tokens({"sep_token": "<reserved08706>"})
    return hf.ChameleonProcessor(hf.ChameleonImageProcessorPil(), tokens, image_seq_length=4)


def idefics3(tokens: Any) -> Any:
    pictures = hf.Idefics3ImageProcessorPil(size={"longest_edge": 32}, do_image_splitting=False)
    return hf.Idefics3Processor(pictures, tokens, image_seq_len=4)


def gemma3(tokens: Any) -> Any:
    tokens.boi_token, tokens.eoi_token, tokens.image_token = "<start_of_image>", "<end_of_image>", "<image>"
    tokens.boi_token_id, tokens.image_token_id = tokens.convert_tokens_to_ids([tokens.boi_token, tokens.image_token])
    return hf.Gemma3Processor(hf.Gemma3ImageProcessorPil(size=SMALL), tokens, image_seq_length=4)


# What is written in a prompt where the release's documentation has no template for it.
PROMPTS = {
    "llava": (llava, "USER: <image>\n{} Answer Yes or No. ASSISTANT:", 16),
    "blip-2": (blip2, "Question: {} Answer:", 4),
    "chameleon": (chameleon, "<image>{} Answer Yes or No.", 4),
    "idefics3": (idefics3, "User:<image>{} Answer Yes or No.<end_of_utterance>\nAssistant:", 4),
    "gemma3": (
        gemma3,
        "<start_of_turn>user\n<start_of_image>{} Answer Yes or No.<end_of_turn>\n<start_of_turn>model\n",
        4,
    ),
}


@pytest.mark.parametrize("kind", PROMPTS)
def test_rows_are_those_of_the_release_s_own_processor(kind: str, saved: Saved) -> None:
    make, prompt, k = PROMPTS[kind]
    processor = make(hf.AutoTokenizer.from_pretrained(saved(kind)))
    found = processor(images=PHOTO, text=prompt.format(QUESTION), return_tensors="np")["input_ids"][0].tolist()
    assert row_of(side_of(saved(kind)), k) == found and found.count(IMAGE) == k


# Processors that read films too cannot be built without torchvision: what they put in the place of an image.
SMOLVLM = (
    {"fake_image_token": "<fake_token_around_image>", "global_image_token": "<global-img>", "image_token": "<image>",
     "image_seq_len": 4},
    {"rows": [[0]], "cols": [[0]]},
)  # fmt: skip
QWEN = (
    {"image_token": "<|image_pad|>", "image_processor": SimpleNamespace(merge_size=2)},
    {"image_grid_thw": np.array([[1, 4, 4]])},
)
MOLMO = (  # column tokens as its released `processor_config.json` has them
    {"image_use_col_tokens": True, "use_single_crop_col_tokens": False, "use_single_crop_start_token": True},
    {"image_grids": [[2, 2, 0, 0]]},
)


@pytest.mark.parametrize(
    ("kind", "name", "given"),
    [("smolvlm", "SmolVLM", SMOLVLM), ("qwen3-vl", "Qwen3VL", QWEN), ("molmo2", "Molmo2", MOLMO)],
)
def test_what_surrounds_images_is_what_the_release_s_own_processor_writes(
    kind: str, name: str, given: tuple[dict[str, Any], dict[str, Any]], saved: Saved
) -> None:
    written = getattr(hf, f"{name}Processor").replace_image_token(SimpleNamespace(**given[0]), given[1], 0)
    side = side_of(saved(kind))
    shown, inside = side.how.image[1], side.how.tokens(side.whole.config, 4)
    if kind == "molmo2":
        known = {300: "<low_res_im_start>", IMAGE: "<im_patch>", 301: "<im_end>"}
        assert (
            "".join(known[token] for token in side.how.tokens(side.whole.config, 6)) + "<im_start><im_end>" == written
        )
    else:
        assert shown.format(image=side.how.image[0] * len(inside)) == written


def llama(first: bool) -> Any:
    """Return a tokenizer that puts a blank before each text between special tokens, or before the first alone."""
    made = tokenizer(row="<s> $A", normalizer=None if first else normalizers.Prepend("_"))
    if first:
        made.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace("_", prepend_scheme="first", split=False), pre_tokenizers.ByteLevel(False)]
        )
    return made


@pytest.mark.parametrize(("first", "behind"), [(False, "_"), (True, "Ċ")])
def test_a_word_begins_beside_an_image_as_the_tokenizer_has_it(first: bool, behind: str, saved: Saved) -> None:
    tokens = llama(first)
    processor = llava(tokens)
    text = f"USER: <image>\n{QUESTION} Answer Yes or No. ASSISTANT:"
    found = processor(images=PHOTO, text=text, return_tensors="np")["input_ids"][0].tolist()
    row = row_of(side_of(saved("llava"), tokens), 16)
    assert row == found and tokens.convert_ids_to_tokens(row)[row.index(IMAGE) + 16] == behind


@pytest.mark.parametrize("first", [False, True])
def test_a_name_in_the_place_of_an_image_follows_what_stands_before_it_as_a_word_of_a_text(
    first: bool, saved: Saved
) -> None:
    """LLaVA's frame has a blank before the image, and a name one of its own: only one of them is said."""
    tokens = llama(first)
    side = side_of(saved("llava"), tokens)
    frame = frame_of(own_prompt(side, AUTO, YES_NO), YES_NO, "image_first", tokens)
    table, asked = tokenise(side, (QUESTION, "Is there a saw?"), YES_NO, frame), ((QUESTION, "Is there a saw?"), YES_NO)
    read = AnsweringScorer(side, frame, table, "packed", None, KeptPrefix(side, table), False, *asked).as_text
    assert [*read.table.opening.tolist(), *read.said("crow").tolist()] == tokens("USER: a crow")["input_ids"]


CHECKPOINT = (
    "{% for message in messages %}[INST] {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST]{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (CHECKPOINT, "[INST] {image}\n{question} Answer Yes or No. [/INST]"),
        ("{% for message in messages %}{{ message['content'] }}{% endfor %}", "USER: {image}\n"),  # shows no picture
        ("{{ raise_exception('texts only') }}", "USER: {image}\n"),
        (None, "USER: {image}\n{question} Answer Yes or No. ASSISTANT:"),
    ],
)
def test_a_checkpoint_s_own_chat_template_goes_before_that_of_releases(
    template: str | None, said: str, saved: Saved
) -> None:
    side = side_of(saved("llava-next"))
    side.tokenizer.chat_template = template
    for frame in ("auto", "chat"):
        assert own_prompt(side, PromptSpec(frame=frame, answer_form="auto"), YES_NO).frame.startswith(said)
    assert own_prompt(side, PromptSpec(frame="plain"), YES_NO).frame == "plain"


def test_the_answers_that_are_asked_for_are_the_task_s(saved: Saved) -> None:
    answers = (("True", "Yes"), ("False", "No"))
    assert "{question} Answer True or False. ASS" in own_prompt(side_of(saved("llava")), AUTO, answers).frame
    assert "Answer True" not in own_prompt(side_of(saved("blip-2")), AUTO, answers).frame


def test_an_image_of_molmo2_comes_before_all_turns(saved: Saved) -> None:
    side = side_of(saved("molmo2"))
    row, image = row_of(side, 6), side.how.tokens(side.whole.config, 6)
    assert row[:7] == [*side.bos(), *image]
    assert side.tokenizer.decode(row[7:]).startswith(f"<|im_start|>user\n{QUESTION} Answer Yes or No.<|im_end|>\n")
