"""A control: the text in place of the image, its name as it is said in the frame that the question stands in."""

import torch
from torch import nn

from taxbench.heads.base import NameTable
from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec

SEES = "name"
NOTE = "control: reads the name"
CONTROL = True


class Settings(Spec, strict=True):
    """The text-only control has no options."""


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return (b, 1, 1) → (b, k, d): the input embeddings of the name's own tokens, k those of the longest name.

    Shorter names begin with zero vectors, which `FixedHead` leaves out. Nothing is learnt.
    """
    tokens = [data.said(name) for name in data.texts]
    table = torch.zeros(len(tokens), max(map(len, tokens)), data.lm.width, device=data.lm.device)
    with torch.no_grad():
        for row, ids in zip(table, tokens, strict=True):
            row[len(row) - len(ids) :] = data.lm.embed(ids).float()
    return NameTable(table)
