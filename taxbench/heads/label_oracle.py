"""A control: the embedding of what the image is called as its one soft token, the ceiling that the LM allows."""

from torch import Tensor, nn

from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec

SEES = "name"
NOTE = "control: is told the name"
CONTROL = True


class Settings(Spec, strict=True):
    """The label oracle has no options."""


class NameTable(nn.Module):
    """What stands for each name."""

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        """Keep the vectors of all names.  # (n, k, d)"""
        super().__init__()
        self.register_buffer("table", table)

    def forward(self, names: Tensor) -> Tensor:
        """Look names up.  # (b, 1, 1), whole numbers → (b, k, d)"""
        return self.table[names[:, 0, 0].round().long()]


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return (b, 1, 1) → (b, 1, d): the mean input embedding of the name's tokens. Nothing is learnt."""
    return NameTable(data.label_vectors("input")[:, None])
