"""Whole systems that answer: packed questions behind kept pictures, against their own forward once a question."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
import transformers as hf
from torch import Tensor

from taxbench.lms.forward import ACCELERATOR_CHUNK, CHUNK, QuestionTable, tokenise
from taxbench.lms.frames import frame_of
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.registry.models import find_system
from taxbench.specs.task import PromptSpec
from taxbench.systems.answering import AnsweringSide, KeptPrefix, own_prompt
from taxbench.util.devices import pick_dtype
from tests.bench.rounds import Ratio, compare
from tests.features.tiny_encoders import save_preprocessing
from tests.systems.tiny_systems import ANSWER, IMAGE, TINY, tokenizer

SIDE, PATCH = 336, 14  # of pictures of LLaVA 1.5: 576 image tokens
SHORT = 56  # the side of pictures of 16 tokens
NAMES = ("crow", "gull", "bird", "tool", "fish", "hammer", "saw", "trout") * 8
ANSWERS = (("Yes",), ("No",))
QUESTIONS = tuple(f"Is there a {name} in this image?" for name in NAMES)
WORDS = [
    *(f"USER: {question} Answer Yes or No. ASSISTANT: Yes No" for question in QUESTIONS),
    "user\nmodel\nassistant\nUser\nAssistant\nQuestion",
]


def bench_systems(device: torch.device, folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield how many times as fast systems are asked 64 questions about each of some pictures.

    Weights are random: on an accelerator in the shapes of LLaVA 1.5 7B, elsewhere a small LLaVA, behind as many image
    tokens and behind as few as there may be, and the tiny models that tests have of every class, which are asked about
    more pictures: a round should take longer than what others do on the machine.
    """
    large = device.type != "cpu"
    for size in (SIDE,) if large else (SIDE, SHORT):
        place = folder / f"llava-{size}"
        _save_llava(place, size, large, pick_dtype(device.type))
        yield _asked(place, device, rounds, "LLaVA 7B" if large else "a small LLaVA", 4)
    for kind in [] if large else [kind for kind, tiny in TINY.items() if tiny.reads == ANSWER]:
        yield _asked(TINY[kind].save(folder / kind, WORDS), device, rounds, f"a tiny {kind}", 32)


def _asked(folder: Path, device: torch.device, rounds: int, name: str, n: int) -> Ratio:
    """Return how many times as fast a system is asked about n pictures."""
    side = AnsweringSide.of(find_system(str(folder)), device, pick_dtype(device.type))
    prompt = own_prompt(side, PromptSpec(frame="auto", answer_form="blank"), ANSWERS)
    frame = frame_of(prompt, ANSWERS, "image_first", side.tokenizer)
    table = tokenise(side, QUESTIONS, ANSWERS, frame)
    forward = KeptPrefix(side, table, CHUNK if device.type == "cpu" else ACCELERATOR_CHUNK)
    scorer = QuestionScorer(side, frame, table, "packed", None, forward)
    size = side.whole.preprocessing()
    pixels = torch.randn(n, 3, size.height, size.width).to(device, side.dtype)
    tokens = _vectors(side, pixels[:1]).shape[1]
    what = f"a system asked packed / once a question: {name}, {tokens} image tokens"
    return compare(what, partial(_packed, side, scorer, pixels), partial(_whole, side, table, pixels), rounds, 10.0)


@torch.inference_mode()
def _vectors(side: AnsweringSide, pixels: Tensor) -> Tensor:
    """Return what stands in rows for pictures.  # (b, k, d)"""
    return side.vectors_of(side.whole.architecture.image(side.model.whole, pixels).float())


@torch.inference_mode()
def _packed(side: AnsweringSide, scorer: QuestionScorer, pixels: Tensor) -> None:
    scorer.margins(_vectors(side, pixels), torch.arange(len(NAMES), device=pixels.device).expand(len(pixels), -1)).cpu()


@torch.inference_mode()
def _whole(side: AnsweringSide, table: QuestionTable, pixels: Tensor) -> float:
    """Ask four questions as anyone would, and return the seconds that all of them would take."""
    image = side.how.tokens(side.whole.config, _vectors(side, pixels[:1]).shape[1])
    before, block = table.opening, torch.tensor(image, device=pixels.device)
    start = time.perf_counter()
    for term in range(4):
        ids = torch.cat([before, block, table.full(term)])[None]
        seen = torch.zeros_like(ids, dtype=torch.bool)
        seen[:, len(before) : len(before) + len(block)] = True
        given = {"attention_mask": torch.ones_like(ids), **side.how.whole(side.model.whole, pixels[:1], seen)}
        side.model.whole(input_ids=ids, logits_to_keep=1, **given).logits.cpu()
    return (time.perf_counter() - start) * len(pixels) * len(NAMES) / 4


def _save_llava(folder: Path, size: int, large: bool, dtype: torch.dtype) -> None:
    """Save a LLaVA for pictures of one size."""
    torch.manual_seed(0)
    width, layers, heads, inner, vocabulary = (4096, 32, 32, 11008, 32064) if large else (128, 3, 4, 344, 900)
    seen, blocks, parts, middle = (1024, 24, 16, 4096) if large else (128, 2, 4, 256)
    text = {"model_type": "llama", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": heads, "intermediate_size": inner, "vocab_size": vocabulary}  # fmt: skip
    vision = {"model_type": "clip_vision_model", "hidden_size": seen, "num_hidden_layers": blocks, "image_size": size,
              "num_attention_heads": parts, "intermediate_size": middle, "patch_size": PATCH}  # fmt: skip
    config = hf.LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE)
    hf.LlavaForConditionalGeneration(config).to(dtype).save_pretrained(folder)
    save_preprocessing(folder, (size, size))
    tokenizer(row="<s> $A", words=WORDS).save_pretrained(folder)
