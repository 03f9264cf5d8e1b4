"""Rows of a language model: how texts about an image are put to it, plainly or packed, and what that costs.

Plain rows hold one question each, under the model's own causal mask, as anyone would ask. They are the reference, and
work where packed rows cannot: for recurrent models, for ALiBi, beyond a sliding window, and where a model does
something to its logits that taxbench does not know. Packed rows hold one image and all its questions:

    opening | soft tokens | stem | rest of question 1 | rest of question 2 | … | rest of question Q

The opening is BOS and what the frame says before the image; the stem is what all questions of a vocabulary begin with
("Is there"), with what the frame says before them. Each question sees the row's prefix and
itself, never another question, and its positions start right after the prefix, so the logits equal those of asking
each question alone while the prefix is computed once. Every question sits in a slot of the same width, filled from the
right, so that all answers are read at the same columns.

What no image changes is computed once and for all, without a gradient: the keys and values of an opening, such as what
a chat's system says, are kept, and rows begin with the soft tokens. Where nothing is trained and an image has many
questions, those of the whole prefix are kept and the questions put to them a few at a time: one long row would compare
every question with every other, only to mask it out.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from taxbench.lms.frames import Frame
from taxbench.lms.frozen import CPU_ROWS, FrozenLM
from taxbench.lms.row_memory import RowShape
from taxbench.protocol.answer_tokens import Strings, answer_tokens
from taxbench.util.errors import ModelError


@dataclass(frozen=True, slots=True)
class QuestionTable:
    """Texts as token ids, without the stem that all begin with ("Is there"), right-aligned."""

    opening: Tensor  # (o,) int64: BOS where there is one, and what the frame says before the image
    stem: Tensor  # (s,) int64
    ids: Tensor  # (v, w) int64, 0 where unused
    used: Tensor  # (v, w) bool
    answers: tuple[Strings, Strings]  # token ids of the positive and of the negative answers
    ending: tuple[int, ...] = ()  # with the question first: what the frame says after the image

    @property
    def widths(self) -> Tensor:
        """Return how many tokens each text has after the stem.  # (v,) int64"""
        return self.used.sum(1)

    @property
    def shared(self) -> int:
        """Return how many tokens all rows begin with, besides soft tokens."""
        return len(self.opening) + len(self.stem)

    @property
    def length(self) -> int:
        """Return how many tokens the longest row has besides soft tokens."""
        return self.shared + self.ids.shape[1] + len(self.ending)

    @property
    def strings(self) -> Strings:
        """Return all answers, the positive ones first."""
        return self.answers[0] + self.answers[1]

    def full(self, term: int) -> Tensor:
        """Return the whole text of a row.  # (n,)"""
        return torch.cat([self.stem, self.ids[term][self.used[term]]])

    def continued(self, strings: Strings) -> "QuestionTable":
        """Follow every question by every answer but for its last token, which is only ever predicted.

        Returns:
            The texts, those of one question next to each other: row `term · len(strings) + string`.
        """
        more, width = max(map(len, strings)) - 1, self.ids.shape[1]
        shape = (len(self.ids), len(strings), width + more)
        ids, used = self.ids.new_zeros(shape), self.used.new_zeros(shape)
        for number, string in enumerate(strings):
            end = shape[2] - len(string) + 1  # of the question; slots are filled from the right
            ids[:, number, end - width : end], used[:, number, end - width : end] = self.ids, self.used
            ids[:, number, end:] = torch.tensor(string[:-1], dtype=torch.int64, device=self.ids.device)
            used[:, number, end:] = True
        return replace(self, ids=ids.flatten(0, 1), used=used.flatten(0, 1))


def tokenise(
    lm: FrozenLM, questions: tuple[str, ...], answers: tuple[tuple[str, ...], tuple[str, ...]], frame: Frame
) -> QuestionTable:
    """Tokenise every question once, with all that its frame says around it.

    Raises:
        ModelError: the tokenizer does not tell the answers apart.
    """
    texts = [frame.around(question) for question in questions]
    rows = [lm.encode(text) for text in texts]
    common = 0  # every rest keeps at least the token that the answer is read at
    while all(len(row) > common + 1 and row[common] == rows[0][common] for row in rows):
        common += 1
    stem = torch.tensor(rows[0][:common], dtype=torch.int64, device=lm.device)
    rows = [row[common:] for row in rows]
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    used = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, tokens in enumerate(rows):
        ids[row, width - len(tokens) :] = torch.tensor(tokens)
        used[row, width - len(tokens) :] = True
    opening = lm.opening(frame)
    highest, size = max([*opening, *stem.tolist(), int(ids.max())]), lm.model.get_input_embeddings().weight.shape[0]
    if highest >= size:
        raise ModelError(
            f"The tokenizer of '{lm.spec.name}' gives token {highest:,}, and the model has {size:,}: they do not "
            "belong together, or the model lacks tokens that were added."
        )
    found = answer_tokens(lm.encode, frame.ending or texts[0], answers, frame.blanks)
    return QuestionTable(
        torch.tensor(opening, dtype=torch.int64, device=lm.device),
        stem,
        ids.to(lm.device),
        used.to(lm.device),
        found,
        tuple(lm.encode(frame.ending)),
    )


Layers = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of each layer.  # (b, heads, n, h) each"""


def masked_forward(lm: FrozenLM, rows: Tensor, mask: Tensor, positions: Tensor, past: Any = None) -> Tensor:
    """Run rows through the LM and return its last hidden states.

    Without a mask, transformers takes positions that restart for texts packed side by side and cuts the image off; a
    boolean mask is silently wrong under eager attention. So a mask of numbers is a must.

    Args:
        rows: Input embeddings.  # (b, n, d)
        mask: 0 where a position may look, the most negative number elsewhere.  # (b, 1, n, past + n)
        positions: Position ids.  # (b, n)
        past: A cache made by `cache_of`; it grows by the rows.

    Raises:
        ModelError: the mask is missing, not of the model's number type, or not of this shape.
    """
    b, n = rows.shape[:2]
    before = past.get_seq_length() if past is not None else 0
    if not isinstance(mask, Tensor) or mask.dtype != lm.dtype or mask.shape != (b, 1, n, before + n):
        found = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else repr(mask)
        expected = f"{lm.dtype} {(b, 1, n, before + n)}"
        raise ModelError(f"Rows of questions need an additive mask ({expected}), not {found}; a fault of taxbench.")
    base = lm.model.base_model
    cache = {} if past is None else {cache_name(base): past}
    output = base(inputs_embeds=rows, attention_mask=mask, position_ids=positions, use_cache=past is not None, **cache)
    return cast(Tensor, output.last_hidden_state)


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn "may look" into the mask that is added to attention scores.  # (b, n, m) bool → (b, 1, n, m)"""
    return torch.where(allowed, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]


def look_back(used: Tensor, slots: int = 1, prefix: int = 0) -> Tensor:
    """Let each position see the used ones before it and itself: a row of nothing but −inf would be NaN.

    Args:
        used: Which positions hold something.  # (b, n)
        slots: How many stretches stand behind the prefix that do not see each other.
        prefix: How many positions all of them see.

    Returns:
        Whether row i sees column j.  # (b, n, n)
    """
    n = used.shape[1]
    slot = torch.zeros(n, dtype=torch.int64, device=used.device)
    slot[prefix:] = 1 + torch.arange(n - prefix, device=used.device) // max(1, (n - prefix) // max(1, slots))
    seen = ((slot[None, :] == slot[:, None]) | (slot[None, :] == 0)).tril()
    return (seen[None] & used[:, None, :]) | torch.eye(n, dtype=torch.bool, device=used.device)[None]


def cache_of(layers: Layers = ()) -> Any:
    """Return a cache that holds keys and values, and all of them: no layer forgets beyond its window."""
    from transformers import DynamicCache

    cache = DynamicCache()
    for number, (keys, values) in enumerate(layers):
        cache.update(keys, values, number)
    return cache


def layers_of(cache: Any) -> Layers:
    """Return the keys and values that a forward pass left in a cache."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def cache_name(base: Any) -> str:
    """Return what this version of transformers calls the cache."""
    return "cache" if "cache" in signature(base.forward).parameters else "past_key_values"


@dataclass(frozen=True, slots=True)
class Slots:
    """What the LM makes of rows: hidden states, or logits where the forward gives those."""

    prefix: Tensor  # (b, ·, d), the end of what all questions of an image share, soft tokens in it; or empty
    texts: Tensor  # (b, q, c, d), of each question's last columns


@dataclass(frozen=True, slots=True)
class Forward(ABC):
    """A way of putting the texts of a table to a language model, behind soft tokens."""

    lm: FrozenLM
    table: QuestionTable

    @property
    def widths(self) -> Tensor:
        """Return how many columns each text that can be asked needs of its own.  # (v,)"""
        return self.table.widths

    @property
    def length(self) -> int:
        """Return how many tokens the longest row has besides soft tokens."""
        return self.table.length

    def following(self, strings: Strings) -> Self:
        """Return the same with every question followed by every answer but for its last token, which is predicted.

        Text `v · len(strings) + s` is then question v followed by string s.
        """
        return replace(self, table=self.table.continued(strings))

    @abstractmethod
    def tokens(self, images: int, k: float, widths: np.ndarray) -> float:
        """Return how many tokens are computed.

        Args:
            images: How many are asked.
            k: Soft tokens of an image; a mean may be a fraction.
            widths: Of each text that one of them is asked.
        """

    @abstractmethod
    def at_once(self, texts: int, width: int, k: int) -> int:
        """Return how many tokens of an image go through the LM at a time, at least.

        Args:
            texts: How many it is asked, each `width` wide.
            k: Its soft tokens.
        """

    @abstractmethod
    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts.

        Args:
            soft_tokens: What stands for the images.  # (b, k, d)
            texts: Which ones; −1 for none.  # (b, q)
            width: The widest of these texts.
            keep: How many of a text's last columns to return.
        """


@dataclass(frozen=True, slots=True)
class Bucket:
    """Images that are asked equally many questions with slots of equal width."""

    images: Tensor  # (n,) indices; on CPUs some of the last may only fill up
    real: int  # how many of them count
    questions: int
    width: int


def buckets(forward: Forward, texts: Tensor, k: int) -> Iterator[Bucket]:
    """Sort images into batches that can share a forward pass.

    On an accelerator that is one batch. On a CPU images of equal shape go together: less padding, and a row is computed
    with the same shapes, to the last bit, whatever the other rows are. Slots have one of two widths, that of nine texts
    in ten or of the widest: more would save little and make batches small. Batches with few positions are filled up
    with copies, because a CPU multiplies those by another routine.

    Args:
        texts: Which ones of the forward's; −1 for none.  # (b, q, texts a question)
        k: Soft tokens of an image.
    """
    asked, widths = texts >= 0, forward.widths
    width = torch.where(asked, widths[texts.clamp(min=0)], 0).amax((1, 2))  # (b,)
    columns = torch.arange(1, texts.shape[1] + 1, device=texts.device)
    questions = (asked.any(-1) * columns).amax(1)  # (b,), to the last one that is asked
    if texts.device.type != "cpu":
        if widest := int(width.max()):
            yield Bucket(torch.arange(len(texts), device=texts.device), len(texts), texts.shape[1], widest)
        return
    usual = widths.sort().values[len(widths) * 9 // 10]
    width = torch.where(width > usual, widths.max(), usual)
    for count, wide in sorted(set(zip(questions.tolist(), width.tolist(), strict=True))):
        if count:
            images = ((questions == count) & (width == wide)).nonzero().squeeze(1)
            fewest = max(2, -(-CPU_ROWS // forward.at_once(count * texts.shape[2], wide, k)))
            yield Bucket(torch.cat([images, images[:1].expand(max(0, fewest - len(images)))]), len(images), count, wide)


def embed_tokens(lm: FrozenLM, ids: Tensor, b: int) -> Tensor:
    """Embed tokens that stand in every row.  # (n,) → (b, n, d)"""
    return cast(Tensor, lm.embed(ids).to(lm.dtype).expand(b, -1, -1))


@dataclass(frozen=True, slots=True)
class Plain(Forward):
    """Asks one text a row."""

    logits: bool = False  # give the logits of the model itself instead of its hidden states

    def tokens(self, images: int, k: float, widths: np.ndarray) -> float:
        """Return how many tokens are computed; see `Forward`."""
        return len(widths) * (self.table.shared + k) + float(widths.sum())

    def at_once(self, texts: int, width: int, k: int) -> int:
        """Return how many tokens of an image go through the LM at a time; see `Forward`."""
        return texts * (self.table.shared + k + width)

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts; see `Forward`."""
        image, question = (texts >= 0).nonzero(as_tuple=True)  # (n,) each
        n, asked = len(image), texts[image, question]
        start = [embed_tokens(self.lm, ids, n) for ids in (self.table.opening, self.table.stem)]
        rest = self.lm.embed(self.table.ids[asked][:, -width:]).to(self.lm.dtype)
        rows = torch.cat([start[0], soft_tokens.to(self.lm.dtype)[image], start[1], rest], dim=1)  # (n, l, d)
        p = rows.shape[1] - width
        used = torch.cat([rest.new_ones(n, p, dtype=torch.bool), self.table.used[asked][:, -width:]], dim=1)
        found = plain_forward(self.lm, rows, used, self.logits)  # (n, l, ·)
        first = torch.searchsorted(image, torch.arange(len(texts), device=image.device)).clamp(max=n - 1)
        return Slots(found[first, :p], spread(found[:, -keep:], texts))


def plain_forward(lm: FrozenLM, rows: Tensor, used: Tensor, logits: bool) -> Tensor:
    """Run rows with unused places through the model as rows without any, padded on the right.

    Args:
        rows: Input embeddings.  # (n, l, d)
        used: Which of them count.  # (n, l)
        logits: Whether to return logits instead of hidden states.

    Returns:
        What the model makes of them, where they were.  # (n, l, ·)
    """
    order = (~used).long().argsort(dim=1, stable=True)  # (n, l)
    mask = torch.arange(rows.shape[1], device=rows.device) < used.sum(1, keepdim=True)
    model = lm.model if logits else lm.model.base_model
    output = model(
        inputs_embeds=rows.gather(1, order[..., None].expand_as(rows)), attention_mask=mask.long(), use_cache=False
    )
    found = cast(Tensor, output.logits if logits else output.last_hidden_state)
    back = order.argsort(dim=1)
    return found.gather(1, back[..., None].expand(-1, -1, found.shape[-1]))


def spread(found: Tensor, texts: Tensor) -> Tensor:
    """Put what was found for asked texts where they were asked.  # (n, ...), (b, q) → (b, q, ...)"""
    return found.new_zeros(*texts.shape, *found.shape[1:]).index_put((texts >= 0).nonzero(as_tuple=True), found)


# Questions that are put to kept keys and values at a time. On a CPU, pocket LM, 64 soft tokens, 64 questions: 0.63 ms a
# question in chunks of 8 or 16, 0.77 in chunks of 32, 0.90 in rows of 16 of their own, 1.24 in one row (bfloat16: 0.20,
# 0.26, 0.28, 0.71). An accelerator is kept waiting by short rows.
CHUNK, ACCELERATOR_CHUNK = 16, 64


def keep_opening(lm: FrozenLM, table: QuestionTable) -> Layers:
    """Compute the keys and values of an opening; nothing where it is no more than one token.  # (1, heads, o, h)

    SmolLM2-135M on a CPU, two questions an image, trained in .58 of the time with an opening of 29 tokens (its chat),
    .84 with 6, .92 with 4.
    """
    o = len(table.opening)
    if o < 2:
        return ()
    cache, used = cache_of(), table.used.new_ones(1, o)
    with torch.inference_mode(False), torch.no_grad():
        mask = additive(look_back(used), lm.dtype)
        masked_forward(lm, embed_tokens(lm, table.opening, 1), mask, _count(used, o), cache)
    return layers_of(cache)


@dataclass(frozen=True, slots=True)
class Packed(Forward):
    """Asks all questions of an image in one row."""

    chunk: int | None = CHUNK  # None: never keep the prefix's keys and values
    opening: Layers = ()  # kept keys and values of the opening; none: it is computed with every image

    @property
    def kept(self) -> int:
        """Return how many tokens at the beginning of rows are not computed with them."""
        return len(self.table.opening) if self.opening else 0

    def tokens(self, images: int, k: float, widths: np.ndarray) -> float:
        """Return how many tokens are computed; see `Forward`."""
        return images * (self.table.shared - self.kept + k) + float(widths.sum())

    def chunks(self, texts: int, width: int) -> int:
        """Return in how many parts texts of a width are put to a kept prefix; 0: in one row with it."""
        if self.chunk is None or texts <= self.chunk or torch.is_grad_enabled():
            return 0
        return -(-texts // self.chunk)

    def at_once(self, texts: int, width: int, k: int) -> int:
        """Return how many tokens of an image go through the LM at a time; see `Forward`."""
        prefix, chunks = self.table.shared - self.kept + k, self.chunks(texts, width)
        return min(prefix, texts // chunks * width) if chunks else prefix + texts * width

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts; see `Forward`."""
        (b, q), o, chunks = texts.shape, self.kept, self.chunks(texts.shape[1], width)
        start = [embed_tokens(self.lm, ids, b) for ids in (self.table.opening[o:], self.table.stem)]
        prefix = torch.cat([start[0], soft_tokens.to(self.lm.dtype), start[1]], dim=1)  # (b, n, d)
        n, p = prefix.shape[1], o + prefix.shape[1]
        beside = -(-q // max(1, chunks)) if self.lm.window_of_row else 1
        if self.lm.window is not None and p + beside * width > self.lm.window:
            # The model would look back a fixed number of places, and packed rows put questions further apart.
            return Plain(self.lm, self.table)(soft_tokens, texts, width, keep)
        opening = [(keys.expand(b, -1, -1, -1), values.expand(b, -1, -1, -1)) for keys, values in self.opening]
        if not chunks:
            asked, used = self._slots(texts, width)
            positions = torch.cat([_count(used, p), _restart(used, p)], dim=1)[:, o:]
            mask = additive(look_back(_in_line(used, p), q, p)[:, o:], self.lm.dtype)
            rows = torch.cat([prefix, asked], dim=1)
            hidden = masked_forward(self.lm, rows, mask, positions, cache_of(opening) if o else None)
            return Slots(hidden[:, :n], hidden[:, n:].reshape(b, q, width, -1)[:, :, -keep:])
        # The prefix is computed once, then questions are put to it chunk by chunk.
        none = texts.new_zeros(b, 0, width, dtype=torch.bool)
        cache = cache_of(opening)
        mask = additive(look_back(_in_line(none, p), prefix=p)[:, o:], self.lm.dtype)
        first = masked_forward(self.lm, prefix, mask, _count(none, p)[:, o:], cache)
        layers, parts = layers_of(cache), []
        for chunk in torch.tensor_split(texts, chunks, dim=1):
            asked, used = self._slots(chunk, width)
            mask = additive(look_back(_in_line(used, p), used.shape[1], p)[:, p:], self.lm.dtype)
            hidden = masked_forward(self.lm, asked, mask, _restart(used, p), cache_of(layers))
            parts.append(hidden.reshape(*chunk.shape, width, -1)[:, :, -keep:])
        return Slots(first, torch.cat(parts, dim=1))

    def shape(self, length: int, width: int, texts: int, training: bool) -> RowShape:
        """Return what the packed row of one image amounts to in the LM.

        Args:
            length: Of a row with one text.
            width: Of a text's own part.
        """
        if self.chunk is not None and texts > self.chunk and not training:
            return RowShape(1, self.chunk * width, length + (self.chunk - 1) * width, logits=0)
        keys = length + (texts - 1) * width
        return RowShape(1, keys - self.kept, keys, logits=0)

    def _slots(self, texts: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Return the embeddings of texts and which are in use.  # (b, q · w, d), (b, q, w)"""
        columns = self.table.ids.shape[1] - width
        safe = texts.clamp(min=0)
        used = self.table.used[safe][:, :, columns:] & (texts >= 0)[..., None]
        return self.lm.embed(self.table.ids[safe][:, :, columns:]).flatten(1, 2).to(self.lm.dtype), used


def _in_line(used: Tensor, prefix: int) -> Tensor:
    """Put the slots of a row behind its prefix.  # (b, q, w) bool → (b, prefix + q · w)"""
    return torch.cat([used.new_ones(len(used), prefix), used.flatten(1)], dim=1)


def _count(used: Tensor, prefix: int) -> Tensor:
    """Return the positions of the prefix.  # (b, p)"""
    return torch.arange(prefix, device=used.device).expand(len(used), -1)


def _restart(used: Tensor, prefix: int) -> Tensor:
    """Return positions that restart after the prefix in every slot.  # (b, q, w) → (b, q · w)"""
    return ((used.cumsum(-1) - 1).clamp(min=0) + prefix).flatten(1)
