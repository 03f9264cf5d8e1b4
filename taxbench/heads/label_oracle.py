"""A control: the embedding of what the image is called as its one soft token, the ceiling that the LM allows."""

from torch import nn

from taxbench.heads.base import NameTable
from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec

SEES = "name"
NOTE = "control: is told the name"
CONTROL = True


class Settings(Spec, strict=True):
    """The label oracle has no options."""


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return (b, 1, 1) → (b, 1, d): the mean input embedding of the name's tokens. Nothing is learnt."""
    return NameTable(data.label_vectors("input")[:, None])
