"""Systems whose language model sees pictures as vectors among its words: asked in packed rows, as its own forward does.

The part of a row that all questions of a picture share is computed once, with the mask, positions and further vectors
that the model has for images; its keys and values are kept, and questions are put to them side by side. At the start
that is compared with the model's own forward, from pixels to logits.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from taxbench.features.feature_rows import FeatureRows, Images
from taxbench.lms.chat import in_chat
from taxbench.lms.forward import (
    ACCELERATOR_CHUNK,
    CHUNK,
    Packed,
    QuestionTable,
    Slots,
    additive,
    cache_name,
    cache_of,
    embed_tokens,
    layers_of,
    look_back,
    tokenise,
)
from taxbench.lms.frames import Frame, frame_of
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.question_scorer import EquivalenceCheck, QuestionScorer, compare
from taxbench.protocol.protocol import Protocol
from taxbench.specs.task import QUESTION, PromptSpec
from taxbench.systems.architectures import Answering
from taxbench.systems.text_side import AsTheyAre, TextSide
from taxbench.util.errors import ModelError

# Up to so many tokens a question, chunks are as long as was measured for questions of about that width; of wider ones
# they are shorter, since attention among questions side by side costs the square: at 50 tokens, four fifths of all.
_WIDTH = 12


class TextHalf(nn.Module):
    """A system's language model, called as causal language models are; it keeps the whole."""

    def __init__(self, whole: Any, how: Answering) -> None:
        super().__init__()
        self.whole = whole
        self.base_model, layer = how.halves(whole)
        self.config, bias = whole.config.get_text_config(), getattr(layer, "bias", None)
        if forbidden := how.forbidden(whole):
            bias = torch.zeros_like(layer.weight[:, 0]) if bias is None else bias.clone()
            bias[forbidden] = torch.finfo(bias.dtype).min
        self._output = SimpleNamespace(weight=layer.weight, bias=bias)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type that it computes in."""
        return cast(torch.dtype, self.get_input_embeddings().weight.dtype)

    def get_input_embeddings(self) -> Any:
        """Return the table of its words."""
        return self.base_model.get_input_embeddings()

    def get_output_embeddings(self) -> SimpleNamespace:
        """Return weight and bias of its output layer, which is never right about what it never answers."""
        return self._output


class _Decoded(FeatureRows):
    """Pictures as the vectors that stand in rows, made of what is kept of them."""

    def __init__(self, rows: FeatureRows, decode: Callable[[Tensor], Tensor]) -> None:
        self._rows, self._decode = rows, decode
        self._device, self._statistics = rows._device, {}
        self.tokens, self.width = self(np.zeros(1, np.int64)).shape[1:]

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the vectors of images.  # (b,) → (b, k, d) float32"""
        return self._decode(self._rows(images)).float()


@dataclass(frozen=True)
class AnsweringSide(TextSide):
    """The language model of a system."""

    text_alone: bool = field(default=False, kw_only=True)
    """Whether names stand where pictures would, in rows that are read as any text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", TextHalf(self.model, self.how))
        FrozenLM.__post_init__(self)

    @property
    def how(self) -> Answering:
        """Return how it is asked."""
        answers = self.whole.architecture.answers
        assert answers is not None, self.whole.spec.name
        return replace(answers, block=False, deep=False) if self.text_alone else answers

    @cached_property
    def as_text(self) -> "AnsweringSide":
        """Return it for rows without pictures: names that stand where those would, and vectors of words."""
        return replace(self, model=self.model.whole, text_alone=True)

    def bos(self) -> list[int]:
        """Return the token that opens a row, or nothing where images come before it."""
        return FrozenLM.bos(self) if self.how.opens else []

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text as they follow an image, which tokenizers begin a word after."""
        return FrozenLM.encode(self, self._sign + text)[bool(self._sign) :]

    def opening(self, frame: Frame) -> list[int]:
        """Return the tokens before an image, as they are where the image is in the text; see `FrozenLM.opening`."""
        if self.text_alone:
            return FrozenLM.opening(self, frame)
        before = FrozenLM.encode(self, frame.before + self._sign)
        before = before[:-1] if self._sign else before
        return before if before[:1] == self.bos() else self.bos() + before

    @property
    def _sign(self) -> str:
        """Return the token that stands for a part of an image, or nothing where the tokenizer, or the row, has none."""
        if self.text_alone:
            return ""
        return self.tokenizer.convert_ids_to_tokens(self.how.tokens(self.whole.config, 3)[1]) or ""

    def seen(self, images: Images, asked: bool) -> Images:
        """Return what heads see of pictures; see `TextSide`."""
        decoded = _Decoded(cast(FeatureRows, images), self.vectors_of)
        return AsTheyAre(decoded) if asked else decoded

    @torch.inference_mode()
    def vectors_of(self, kept: Tensor) -> Tensor:
        """Return what stands in rows for pictures.  # (b, t, f) → (b, k, d), wider where layers add to it"""
        return self.how.vectors(self.model.whole, kept)


@dataclass(frozen=True, slots=True)
class KeptPrefix(Packed):
    """Asks all questions of an image behind keys and values of the image that are computed once, as its model does."""

    def chunks(self, texts: int, width: int) -> int:
        """Return in how many parts texts are put to the prefix; see `Packed`."""
        return 0 if self.chunk is None else -(-texts // max(1, self.chunk * _WIDTH // max(width, _WIDTH)))

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts; see `Forward`."""
        if self.chunk is None:
            return self._row_by_row(soft_tokens, texts, width, keep)
        row, allowed, positions, after, more = self._prefix(soft_tokens)
        cache, p = cache_of(), row.shape[1]
        first = self._run(row, additive(allowed, self.lm.dtype), positions, cache, more)
        layers, parts = layers_of(cache), []
        for chunk in torch.tensor_split(texts, self.chunks(texts.shape[1], width), dim=1):
            asked, used = self._slots(chunk, width)
            behind = torch.cat([used.new_ones(len(used), p), used.flatten(1)], dim=1)
            mask = additive(look_back(behind, used.shape[1], p)[:, p:], self.lm.dtype)
            restarted = ((used.cumsum(-1) - 1).clamp(min=0) + after).flatten(1)
            hidden = self._run(asked, mask, restarted, cache_of(layers), {})
            parts.append(hidden.reshape(*chunk.shape, width, -1)[:, :, -keep:])
        return Slots(first, torch.cat(parts, dim=1))

    def _row_by_row(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask each text in a row of its own, with all that stands before it."""
        prefixes, parts = [], []
        for column in torch.split(texts, 1, dim=1):
            row, allowed, positions, after, more = self._prefix(soft_tokens)
            asked, used = self._slots(column, width)
            p, (b, n) = row.shape[1], used.flatten(1).shape
            whole = look_back(torch.cat([used.new_ones(b, p), used.flatten(1)], dim=1))
            whole[:, :p, :p] = allowed
            own = (used.flatten(1).cumsum(-1) - 1).clamp(min=0) + after
            positions = torch.cat([positions, own.expand(*positions.shape[:-1], n)], dim=-1)
            more = {name: _padded(value, n) for name, value in more.items()}
            mask = additive(whole, self.lm.dtype)
            hidden = self._run(torch.cat([row, asked], dim=1), mask, positions, None, more)
            prefixes.append(hidden[:, :p])
            parts.append(hidden[:, None, p:][:, :, -keep:])
        return Slots(prefixes[0], torch.cat(parts, dim=1))

    def _prefix(self, soft_tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, int, dict[str, Any]]:
        """Return a row up to where questions differ: vectors, who sees whom, positions, the next one, and more."""
        how, b, width = cast(AnsweringSide, self.lm).how, len(soft_tokens), self.lm.width
        start, stem = (embed_tokens(self.lm, ids, b) for ids in (self.table.opening, self.table.stem))
        image = soft_tokens[..., :width].to(self.lm.dtype)
        row = torch.cat([start, image, stem], dim=1)
        o, k, p = start.shape[1], image.shape[1], row.shape[1]
        allowed = look_back(torch.ones(b, p, dtype=torch.bool, device=row.device), prefix=p)
        if how.block:
            allowed[:, o : o + k, o : o + k] = True
        if not how.deep:
            return row, allowed, torch.arange(p, device=row.device).expand(b, -1), p, {}
        positions, after = _of_grid(o, k, stem.shape[1], row.device)
        visual = torch.zeros(b, p, dtype=torch.bool, device=row.device)
        visual[:, o : o + k] = True
        added = [each.flatten(0, 1) for each in torch.split(soft_tokens[..., width:], width, dim=-1)]
        more = {"visual_pos_masks": visual, "deepstack_visual_embeds": added}
        return row, allowed, positions[:, None].expand(-1, b, -1), after, more

    def _run(self, rows: Tensor, mask: Tensor, positions: Tensor, cache: Any, more: dict[str, Any]) -> Tensor:
        """Return the last hidden states of rows.  # (b, n, d)"""
        base = self.lm.model.base_model
        kept = {"use_cache": False} if cache is None else {"use_cache": True, cache_name(base): cache}
        found = base(inputs_embeds=rows, attention_mask=mask, position_ids=positions, **kept, **more)
        return cast(Tensor, found.last_hidden_state)


def _padded(value: Any, n: int) -> Any:
    """Lengthen what is said of the places of a row by those of a question."""
    return nn.functional.pad(value, (0, n)) if isinstance(value, Tensor) else value


def _of_grid(o: int, k: int, stem: int, device: torch.device) -> tuple[Tensor, int]:
    """Return positions in time, height and width: of o tokens, a square image of k, and a stem; and the next one."""
    side = round(k**0.5)
    place = torch.arange(k, device=device)
    image = o + torch.stack([torch.zeros_like(place), place // side, place % side])
    before = torch.arange(o, device=device).expand(3, -1)
    behind = (o + side + torch.arange(stem, device=device)).expand(3, -1)
    return torch.cat([before, image, behind], dim=1), o + side + stem


@dataclass(frozen=True)
class AnsweringScorer(QuestionScorer):
    """A question scorer of a system, with the texts that its table holds as tokens."""

    questions: tuple[str, ...] = ()
    answers: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @cached_property
    def as_text(self) -> QuestionScorer:
        """Return it for rows in which words stand where a picture would."""
        lm = cast(AnsweringSide, self.lm).as_text
        table = tokenise(lm, self.questions, self.answers, self.frame)
        return replace(self, lm=lm, table=table, forward=replace(self.forward, lm=lm, table=table))


def answering_scorer(lm: AnsweringSide, protocol: Protocol, prompt: PromptSpec) -> AnsweringScorer:
    """Return a system's language model, asked in the fastest way in which it answers as its own forward does.

    Raises:
        ModelError: it can be asked in none.
    """
    questions, answers = protocol.questions, protocol.task.questions.answers
    either = answers.positive, answers.negative
    frame = frame_of(prompt, either, "image_first", lm.tokenizer)
    table = tokenise(lm, questions, either, frame)
    tried, problem = trial(lm, table), None
    for path, chunk in (("packed", CHUNK if lm.device.type == "cpu" else ACCELERATOR_CHUNK), ("plain", None)):
        note = f"'{lm.spec.name}' is asked each question in a row of its own, several times slower: {problem}."
        forward, warning = KeptPrefix(lm, table, chunk), note if problem else None
        scorer = AnsweringScorer(lm, frame, table, path, warning, forward, False, questions, either)  # type: ignore[arg-type]
        if (problem := tried.problem(scorer.margins)) is None:
            return scorer
    raise ModelError(f"'{lm.spec.name}' does not answer about kept pictures as its own forward does: {problem}.")


@torch.inference_mode()
def trial(lm: AnsweringSide, table: QuestionTable) -> EquivalenceCheck:
    """Ask the model itself two questions about two random pictures, from pixels to logits."""
    size = lm.whole.preprocessing()
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 3, size.height, size.width, generator=draw).to(lm.device, lm.dtype)
    kept = lm.whole.architecture.image(lm.model.whole, pixels).float()
    terms = torch.tensor([[0, len(table.ids) - 1]] * 2, device=lm.device)
    eps = torch.finfo(lm.dtype).eps
    scores, again = (own_scores(lm, table, x, terms) for x in (pixels, pixels * (1 + 2 * eps)))
    positive = len(table.answers[0])
    expected, moved = compare(scores, positive), compare(again, positive)
    rounding = float((expected - moved).square().mean().sqrt())
    step = eps * float(scores.square().mean().sqrt())
    return EquivalenceCheck(lm.vectors_of(kept), terms, expected, max(rounding, step / 2))


def own_scores(lm: AnsweringSide, table: QuestionTable, pixels: Tensor, terms: Tensor) -> Tensor:
    """Return log p of every answer as the model's own forward has it, each in a row of its own.

    Args:
        pixels: Normalised pictures.  # (b, 3, height, width)
        terms: What each is asked.  # (b, q)

    Returns:
        The scores.  # (b, q, strings)
    """
    whole, how, found = lm.model.whole, lm.how, []
    k = how.vectors(whole, lm.whole.architecture.image(whole, pixels[:1]).float()).shape[1]
    image = torch.tensor(how.tokens(whole.config, k), device=lm.device)
    for picture, asked in zip(torch.split(pixels, 1), terms.tolist(), strict=True):
        for term, string in ((term, string) for term in asked for string in table.strings):
            answer = torch.tensor(string, device=lm.device)
            ids = torch.cat([table.opening, image, table.full(term), answer[:-1]])[None]
            of_image = torch.zeros_like(ids, dtype=torch.bool)
            of_image[:, len(table.opening) : len(table.opening) + k] = True
            given = how.whole(whole, picture, of_image)
            logits = whole(input_ids=ids, attention_mask=torch.ones_like(ids), **given).logits[0].float()
            places = logits[-len(string) :].log_softmax(-1)
            found.append(places.gather(1, answer[:, None]).sum())
    return torch.stack(found).reshape(*terms.shape, -1)


def own_prompt(lm: AnsweringSide, wanted: PromptSpec, answers: tuple[tuple[str, ...], tuple[str, ...]]) -> PromptSpec:
    """Return a prompt with what is `auto` of it as the system's releases are asked; answers follow both ways."""
    form = "both" if wanted.answer_form == "auto" else wanted.answer_form
    frame = lm.whole.spec.frame if wanted.frame == "auto" else wanted.frame
    asked = f"{QUESTION} Answer {answers[0][0]} or {answers[1][0]}." if lm.how.instructed else QUESTION
    return PromptSpec(frame=_own_chat(lm, asked) if frame in ("", "chat") else frame, answer_form=form)


def _own_chat(lm: AnsweringSide, asked: str) -> str:
    """Return what its checkpoint's own chat template says, and where that shows no picture, its releases' one."""
    how = lm.how
    sign, shown = how.image
    said = how.chat.replace(QUESTION, asked)
    with suppress(ModelError):
        own = in_chat([{"type": "image"}, {"type": "text", "text": asked}], lm.tokenizer)
        said = own if own.count(sign) == own.count(asked) == 1 else said
    return said.replace(sign, shown)
