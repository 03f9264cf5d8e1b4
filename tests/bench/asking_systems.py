"""A whole system that answers: packed questions behind kept pictures, against its own forward once a question."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
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

SIDE, PATCH = 336, 14  # of pictures of LLaVA 1.5: 576 image tokens
SHORT = 56  # the side of pictures of 16 tokens
SPECIAL = ("<pad>", "<s>", "</s>", "<image>")
NAMES = ("crow", "gull", "bird", "tool", "fish", "hammer", "saw", "trout") * 8
ANSWERS = (("Yes",), ("No",))
TEXT = f"USER: Is there a {' '.join(NAMES)} in this image? Answer Yes or No. ASSISTANT: Yes No"


def bench_systems(device: torch.device, folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield how many times as fast a LLaVA is asked 64 questions about each of four pictures.

    Weights are random: on an accelerator in the shapes of LLaVA 1.5 7B, elsewhere small, behind as many image tokens,
    and behind as few as there may be.
    """
    large = device.type != "cpu"
    for pixels in (SIDE,) if large else (SIDE, SHORT):
        yield _one_size(device, folder / f"llava-{pixels}", rounds, pixels)


def _one_size(device: torch.device, folder: Path, rounds: int, size: int) -> Ratio:
    """Return how many times as fast a LLaVA is asked about pictures of one size."""
    torch.manual_seed(0)
    dtype, large = pick_dtype(device.type), device.type != "cpu"
    side = _saved(folder, size, large, device, dtype)
    prompt = own_prompt(side, PromptSpec(frame="auto", answer_form="blank"), ANSWERS)
    frame = frame_of(prompt, ANSWERS, "image_first", side.tokenizer)
    table = tokenise(side, tuple(f"Is there a {name} in this image?" for name in NAMES), ANSWERS, frame)
    forward = KeptPrefix(side, table, ACCELERATOR_CHUNK if large else CHUNK)
    scorer = QuestionScorer(side, frame, table, "packed", None, forward)
    pixels = torch.randn(4, 3, size, size).to(device, dtype)
    name, tokens = "LLaVA 7B" if large else "a small LLaVA", (size // PATCH) ** 2
    what = f"a system asked packed / once a question: {name}, {tokens} image tokens"
    return compare(what, partial(_packed, side, scorer, pixels), partial(_whole, side, table, pixels), rounds, 10.0)


@torch.inference_mode()
def _packed(side: AnsweringSide, scorer: QuestionScorer, pixels: Tensor) -> None:
    kept = side.whole.architecture.image(side.model.whole, pixels)
    scorer.margins(side.vectors_of(kept), torch.arange(len(NAMES), device=pixels.device).expand(len(pixels), -1)).cpu()


@torch.inference_mode()
def _whole(side: AnsweringSide, table: QuestionTable, pixels: Tensor) -> float:
    """Ask four questions as anyone would, and return the seconds that all of them would take."""
    tokens = (pixels.shape[-1] // PATCH) ** 2
    image = torch.tensor(side.how.tokens(side.model.whole.config, tokens), device=pixels.device)
    start = time.perf_counter()
    for term in range(4):
        ids = torch.cat([table.opening, image, table.full(term)])[None]
        given = {"pixel_values": pixels[:1], "attention_mask": torch.ones_like(ids), "logits_to_keep": 1}
        side.model.whole(input_ids=ids, **given).logits.cpu()
    return (time.perf_counter() - start) * len(pixels) * len(NAMES) / 4


def _saved(folder: Path, size: int, large: bool, device: torch.device, dtype: torch.dtype) -> AnsweringSide:
    """Save a LLaVA and load it as the system that it is."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    raw.train_from_iterator([TEXT] * 9, trainer)
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )  # fmt: skip
    width, layers, heads, inner, vocabulary = (4096, 32, 32, 11008, 32064) if large else (128, 3, 4, 344, 900)
    seen, blocks, parts, middle = (1024, 24, 16, 4096) if large else (128, 2, 4, 256)
    text = {"model_type": "llama", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": heads, "intermediate_size": inner, "vocab_size": vocabulary}  # fmt: skip
    vision = {"model_type": "clip_vision_model", "hidden_size": seen, "num_hidden_layers": blocks, "image_size": size,
              "num_attention_heads": parts, "intermediate_size": middle, "patch_size": PATCH}  # fmt: skip
    config = hf.LlavaConfig(vision_config=vision, text_config=text, image_token_index=SPECIAL.index("<image>"))
    hf.LlavaForConditionalGeneration(config).to(dtype).save_pretrained(folder)
    save_preprocessing(folder, (size, size))
    tokenizer.save_pretrained(folder)
    return AnsweringSide.of(find_system(str(folder)), device, dtype)
