"""A linear map learnt by a hinge rank loss on label vectors: DeViSE (Frome et al., 2013)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.base import first_weights
from taxbench.heads.closed_form import FitData
from taxbench.heads.descent import descend
from taxbench.specs.spec import Spec

READS = "labels"

_BATCH = 64


class Settings(Spec, strict=True):
    """Options of the DeViSE head."""

    margin: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """By how much the right name has to be nearer than each wrong one."""
    steps: int = Field(default=500, ge=1)
    """Minibatches of 64 images."""
    rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    """AdamW's highest step size."""
    decay: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """AdamW's decay of the weights."""
    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image."""


class Linear(nn.Module):
    """A linear map of the mean feature vector."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(features, width)

    def forward(self, features: Tensor) -> Tensor:
        """Map mean features into the space of label vectors by DeViSE's linear map.  # (b, t, f) → (b, 1, d)"""
        mapped: Tensor = self.map(features.mean(1, keepdim=True))
        return mapped


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return the trained map M: (f + 1) · d numbers.

    The objective is Σⱼ max(0, margin − t·Mx + tⱼ·Mx) over all wrong trained names j, t their unit label vectors (the
    paper draws wrong names until one violates the margin; with a few hundred names all of them cost the same).
    """
    with first_weights(data.seed, "devise"):
        module = Linear(data.moments.rows.shape[1], data.labels.shape[1]).to(data.device)
    trained = (data.classes.count > 0).nonzero().squeeze(1).to(data.device)
    labels = data.labels[trained]

    def loss(rows: Tensor, names: Tensor) -> Tensor:
        scores = module(rows[:, None]).squeeze(1) @ labels.T
        return hinge_rank(scores, torch.searchsorted(trained, names), settings.margin)

    descend(module, loss, data, settings, _BATCH)
    return module


def hinge_rank(scores: Tensor, right: Tensor, margin: float) -> Tensor:
    """Return the mean over images of the summed hinges of wrong names.  # (b, c), (b,)"""
    behind = margin - scores.gather(1, right[:, None]) + scores
    wrong = torch.ones_like(scores).scatter(1, right[:, None], 0.0)
    return (behind.clamp_min(0) * wrong).sum(1).mean()
