"""Rows of a language model, as every way of asking makes them: what an asker is, and which images share a batch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from taxbench.lms.frozen import FrozenLM
from taxbench.lms.output import CPU_ROWS
from taxbench.lms.question_table import QuestionTable
from taxbench.protocol.answers import Strings


@dataclass(frozen=True, slots=True)
class Slots:
    """What the LM makes of rows: hidden states, or logits where an asker gives those."""

    prefix: Tensor  # (b, p, d), of the part that all questions of an image share; empty if there is none
    texts: Tensor  # (b, q, c, d), of each question's last columns


class Forward(Protocol):
    """A way of putting texts to a language model."""

    @property
    def widths(self) -> Tensor:
        """Return how many columns each text that can be asked needs of its own.  # (v,)"""

    @property
    def length(self) -> int:
        """Return how many tokens the longest row has besides soft tokens."""

    def following(self, strings: Strings) -> "Forward":
        """Return the same with every question followed by every answer but for its last token, which is predicted.

        Text `v · len(strings) + s` is then question v followed by string s.
        """

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts.

        Args:
            soft_tokens: What stands for the images.  # (b, k, d)
            texts: Which ones; −1 for none.  # (b, q)
            width: The widest of these texts.
            keep: How many of a text's last columns to return.
        """


@dataclass(frozen=True, slots=True)
class TableForward:
    """What askers share whose rows are the texts of a table, behind soft tokens."""

    lm: FrozenLM
    table: QuestionTable

    @property
    def widths(self) -> Tensor:
        """Return the widths of texts; see `Forward`."""
        return self.table.widths

    @property
    def length(self) -> int:
        """Return the longest row; see `Forward`."""
        return self.table.length

    def following(self, strings: Strings) -> Self:
        """Follow questions by answers; see `Forward`."""
        return replace(self, table=self.table.continued(strings))


@dataclass(frozen=True, slots=True)
class Bucket:
    """Images that are asked equally many questions with slots of equal width."""

    images: Tensor  # (n,) indices; on CPUs some of the last may only fill up
    real: int  # how many of them count
    questions: int
    width: int


def buckets(widths: Tensor, texts: Tensor, k: int) -> Iterator[Bucket]:
    """Sort images into batches that can share a forward pass.

    On an accelerator that is one batch. On a CPU images of equal shape go together: less padding, and a row is computed
    with the same shapes, to the last bit, whatever the other rows are. Slots have one of two widths, that of nine texts
    in ten or of the widest: more would save little and make batches small. Batches with few positions are filled up
    with copies, because a CPU multiplies those by another routine.

    Args:
        widths: Width of each text.  # (v,)
        texts: Which ones; −1 for none.  # (b, q, texts a question)
        k: Soft tokens of an image.
    """
    asked = texts >= 0
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
            fewest = max(2, -(-CPU_ROWS // (count * k)))
            yield Bucket(torch.cat([images, images[:1].expand(max(0, fewest - len(images)))]), len(images), count, wide)


def embed_tokens(lm: FrozenLM, ids: Tensor, b: int) -> Tensor:
    """Embed tokens that stand in every row.  # (n,) → (b, n, d)"""
    return lm.embed(ids).to(lm.dtype).expand(b, -1, -1)
