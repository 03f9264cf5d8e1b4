"""Plain rows: one question a row, the model's own causal mask, as anyone would ask.

Slower than packed rows, and the reference for them. They work where those cannot: for recurrent models, for ALiBi,
beyond a sliding window, and where a model does something to its logits that taxbench does not know.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from taxbench.lms.forward import Slots, TableForward, embed_tokens
from taxbench.lms.frozen import FrozenLM


@dataclass(frozen=True, slots=True)
class Plain(TableForward):
    """Asks one text a row."""

    logits: bool = False  # give the logits of the model itself instead of its hidden states

    def __call__(self, soft_tokens: Tensor, texts: Tensor, width: int, keep: int) -> Slots:
        """Ask images some texts; see `Forward`."""
        image, question = (texts >= 0).nonzero(as_tuple=True)  # (n,) each
        n, asked = len(image), texts[image, question]
        start = [embed_tokens(self.lm, ids, n) for ids in (self.table.bos, self.table.stem)]
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
