"""The question before the image: another prompt, much cheaper where an image is few soft tokens.

    BOS | question | soft tokens | ending   (answers are read at the last token)

What the LM makes of a question does not depend on the image, so its keys and values are computed once per question and
kept, without a gradient; each row then costs its soft tokens only, and what the frame says after the image.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from taxbench.lms.forward import (
    Forward,
    Layers,
    QuestionTable,
    Slots,
    additive,
    cache_of,
    embed_tokens,
    layers_of,
    look_back,
    masked_forward,
    plain_forward,
    spread,
)
from taxbench.lms.frozen import FrozenLM
from taxbench.protocol.answer_tokens import Strings

_BATCH = 64  # questions whose keys and values are computed together


@dataclass(frozen=True, slots=True)
class QuestionFirst(Forward):
    """Asks one text a row, the soft tokens after the question."""

    layers: Layers | None  # kept keys and values of all questions; None: ask plainly
    strings: Strings = ((0,),)  # what follows the ending: text v · len(strings) + s is question v, string s
    logits: bool = False  # asked plainly: give the logits of the model itself instead of its hidden states

    @property
    def widths(self) -> Tensor:
        """Return the widths of texts; see `Forward`."""
        return self.table.widths.repeat_interleave(len(self.strings))

    @property
    def length(self) -> int:
        """Return the longest row; see `Forward`."""
        return self.table.shared + self.table.ids.shape[1] + self.behind

    @property
    def behind(self) -> int:
        """Return how many tokens besides soft tokens follow a question at most."""
        return len(self.table.ending) + max(map(len, self.strings)) - 1

    def tokens(self, images: int, k: float, widths: np.ndarray) -> float:
        """Return how many tokens are computed; see `Forward`."""
        questions = 0.0 if self.layers is not None else len(widths) * self.table.shared + float(widths.sum())
        return len(widths) * (k + self.behind) + questions

    def at_once(self, texts: int, width: int, k: int) -> int:
        """Return how many tokens of an image go through the LM at a time; see `Forward`."""
        return texts * (k + self.behind)

    def following(self, strings: Strings) -> Self:
        """Follow soft tokens by answers; see `Forward`."""
        return replace(self, strings=strings)

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts; see `Forward`."""
        image, column = (texts >= 0).nonzero(as_tuple=True)  # (n,) each
        term = texts[image, column] // len(self.strings)
        after, there = self._after(soft_tokens[image], texts[image, column] % len(self.strings))  # (n, a, d), (n, a)
        before = _used(self.table, term, width)  # (n, p)
        used = torch.cat([before, there], dim=1)
        p, window = before.shape[1], self.lm.window
        if self.layers is None or (window is not None and used.shape[1] > window):
            rows = torch.cat([_questions(self.lm, self.table, term, width), after], dim=1)
            found = plain_forward(self.lm, rows, used, self.logits)
        else:
            kept = torch.cat([torch.arange(p - width), torch.arange(-width, 0)]).to(term.device)
            past = cache_of([(keys[term][:, :, kept], values[term][:, :, kept]) for keys, values in self.layers])
            mask = additive(look_back(used)[:, p:], self.lm.dtype)
            found = masked_forward(self.lm, after, mask, _positions(used)[:, p:], past)
        return Slots(found[:, :0], spread(found[:, -keep:], texts))

    def _after(self, soft_tokens: Tensor, string: Tensor) -> tuple[Tensor, Tensor]:
        """Return soft tokens, the ending, and an answer but for its last token, unused places first."""
        k, more = soft_tokens.shape[1], self.behind
        strings = [(*self.table.ending, *string) for string in self.strings]
        padded = [[*text[:-1], *[0] * (more + 1 - len(text))] for text in strings]
        ids = torch.tensor(padded, dtype=torch.int64, device=string.device)  # (strings, more)
        lengths = torch.tensor([len(text) - 1 for text in strings], device=string.device)
        tail = self.lm.embed(ids[string]).to(self.lm.dtype)
        rows = torch.cat([soft_tokens.to(self.lm.dtype), tail], dim=1)
        used = torch.arange(k + more, device=string.device) < k + lengths[string][:, None]
        order = used.long().argsort(dim=1, stable=True)
        return rows.gather(1, order[..., None].expand_as(rows)), used.gather(1, order)


def keep_questions(lm: FrozenLM, table: QuestionTable) -> Layers:
    """Compute the keys and values of every question, in memory: v · p · 2 · layers · key width numbers."""
    parts = []
    with torch.inference_mode(False), torch.no_grad():
        for start in range(0, len(table.ids), _BATCH):
            cache, width = cache_of(), table.ids.shape[1]
            terms = torch.arange(start, min(start + _BATCH, len(table.ids)), device=lm.device)
            used = _used(table, terms, width)
            mask = additive(look_back(used), lm.dtype)
            masked_forward(lm, _questions(lm, table, terms, width), mask, _positions(used), cache)
            parts.append(layers_of(cache))
    return [(torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer])) for layer in zip(*parts, strict=True)]


def _questions(lm: FrozenLM, table: QuestionTable, terms: Tensor, width: int) -> Tensor:
    """Return BOS, stem and the last columns of the rest.  # (n, p, d)"""
    start = [embed_tokens(lm, ids, len(terms)) for ids in (table.opening, table.stem)]
    return torch.cat([*start, lm.embed(table.ids[terms][:, -width:]).to(lm.dtype)], dim=1)


def _used(table: QuestionTable, terms: Tensor, width: int) -> Tensor:
    """Return which columns of questions that come first hold a token.  # (n, p) bool"""
    return torch.cat([table.used.new_ones(len(terms), table.shared), table.used[terms][:, -width:]], dim=1)


def _positions(used: Tensor) -> Tensor:
    """Return the position ids of question-first rows, which count used columns only.  # (n, l)"""
    return (used.cumsum(1) - 1).clamp(min=0)
