"""Packed rows: one image and all its questions in one row of the language model.

    BOS | soft tokens | stem | rest of question 1 | rest of question 2 | … | rest of question Q

The stem is what all questions of a vocabulary begin with ("Is there"). Each question sees the row's prefix and
itself, never another question, and its positions start right after the prefix, so the logits equal those of asking
each question alone while the prefix is computed once. Every question sits in a slot of the same width, filled from the
right, so that all answers are read at the same columns.

Where nothing is trained and an image has many questions, the prefix's keys and values are kept and the questions put
to them a few at a time: one long row would compare every question with every other, only to mask it out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from taxbench.lms.forward import Slots, TableForward, embed_tokens
from taxbench.lms.masked import additive, cache_of, layers_of, look_back, masked_forward
from taxbench.lms.plain import Plain
from taxbench.lms.row_memory import RowShape

# Questions that are put to kept keys and values at a time. On a CPU, pocket LM, 64 soft tokens, 64 questions: 0.63 ms a
# question in chunks of 8 or 16, 0.77 in chunks of 32, 0.90 in rows of 16 of their own, 1.24 in one row (bfloat16: 0.20,
# 0.26, 0.28, 0.71). An accelerator is kept waiting by short rows.
CHUNK, ACCELERATOR_CHUNK = 16, 64


@dataclass(frozen=True, slots=True)
class Packed(TableForward):
    """Asks all questions of an image in one row."""

    chunk: int | None = CHUNK  # None: never keep keys and values

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts; see `Forward`."""
        b, q = texts.shape
        start = [embed_tokens(self.lm, ids, b) for ids in (self.table.bos, self.table.stem)]
        prefix = torch.cat([start[0], soft_tokens.to(self.lm.dtype), start[1]], dim=1)  # (b, p, d)
        p = prefix.shape[1]
        if self.lm.window is not None and p + width > self.lm.window:
            # The model would look back a fixed number of places, and packed rows put questions further apart.
            return Plain(self.lm, self.table)(soft_tokens, texts, width, keep)
        if self.chunk is not None and q > self.chunk and not torch.is_grad_enabled():
            return self._kept(prefix, texts, width, keep)
        asked, used = self._slots(texts, width)
        positions = torch.cat([_count(used, p), _restart(used, p)], dim=1)
        hidden = masked_forward(
            self.lm, torch.cat([prefix, asked], dim=1), additive(_allowed(used, p), self.lm.dtype), positions
        )
        return Slots(hidden[:, :p], hidden[:, p:].reshape(b, q, width, -1)[:, :, -keep:])

    def shape(self, length: int, width: int, texts: int, training: bool) -> RowShape:
        """Return what one image amounts to.

        Args:
            length: Of a row with one text.
            width: Of a text's own part.
            texts: How many the image is asked.
            training: Whether a gradient is needed.
        """
        if self.chunk is not None and texts > self.chunk and not training:
            return RowShape(1, self.chunk * width, length + (self.chunk - 1) * width, logits=0)
        columns = length + (texts - 1) * width
        return RowShape(1, columns, columns, logits=0)

    def _kept(self, prefix: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Compute the prefix once, then put questions to it chunk by chunk."""
        p = prefix.shape[1]
        none = texts.new_zeros(len(texts), 0, width, dtype=torch.bool)
        cache = cache_of()
        first = masked_forward(self.lm, prefix, additive(_allowed(none, p), self.lm.dtype), _count(none, p), cache)
        layers, parts = layers_of(cache), []
        chunk = self.chunk or CHUNK
        for some in (texts[:, start : start + chunk] for start in range(0, texts.shape[1], chunk)):
            asked, used = self._slots(some, width)
            mask = additive(_allowed(used, p)[:, p:], self.lm.dtype)
            hidden = masked_forward(self.lm, asked, mask, _restart(used, p), cache_of(layers))
            parts.append(hidden.reshape(*some.shape, width, -1)[:, :, -keep:])
        return Slots(first, torch.cat(parts, dim=1))

    def _slots(self, texts: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Return the embeddings of texts and which are in use.  # (b, q · w, d), (b, q, w)"""
        columns = self.table.ids.shape[1] - width
        safe = texts.clamp(min=0)
        used = self.table.used[safe][:, :, columns:] & (texts >= 0)[..., None]
        return self.lm.embed(self.table.ids[safe][:, :, columns:]).flatten(1, 2).to(self.lm.dtype), used


def _allowed(used: Tensor, prefix: int) -> Tensor:
    """Say where each position may look: at the prefix and, before itself, at its own slot.

    Args:
        used: Which slots hold a token.  # (b, q, w)

    Returns:
        Whether row i sees column j.  # (b, l, l) bool with l = prefix + q · w
    """
    b, q, width = used.shape
    block = torch.zeros(prefix + q * width, dtype=torch.int64, device=used.device)
    block[prefix:] = torch.arange(1, q + 1, device=used.device).repeat_interleave(width)
    same = (block[None, :] == block[:, None]) | (block[None, :] == 0)
    return look_back(torch.cat([used.new_ones(b, prefix), used.flatten(1)], dim=1)) & same[None]


def _count(used: Tensor, prefix: int) -> Tensor:
    """Return the positions of the prefix.  # (b, p)"""
    return torch.arange(prefix, device=used.device).expand(len(used), -1)


def _restart(used: Tensor, prefix: int) -> Tensor:
    """Return positions that restart after the prefix in every slot.  # (b, q, w) → (b, q · w)"""
    return ((used.cumsum(-1) - 1).clamp(min=0) + prefix).flatten(1)
