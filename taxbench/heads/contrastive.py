"""CLIP's contrast (Radford et al., 2021, arXiv 2103.00020), or SigLIP's (2303.15343), against frozen label vectors."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize

from taxbench.heads.base import first_weights
from taxbench.heads.closed_form import FitData
from taxbench.heads.descent import descend
from taxbench.specs.spec import Spec

READS = "labels"

_BATCH = 256


class Settings(Spec, strict=True):
    """Options of the contrastive head."""

    objective: Literal["softmax", "sigmoid"] = "softmax"
    """CLIP's symmetric cross-entropy, or SigLIP's yes or no to every pair."""
    hidden: int = Field(default=0, ge=0, le=1 << 17)
    """Width of a hidden layer of the image map; 0: the map is linear."""
    steps: int = Field(default=300, ge=1)
    """Minibatches of 256 images."""
    rate: float = Field(default=3e-3, gt=0, allow_inf_nan=False)
    """AdamW's highest step size."""
    decay: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """AdamW's decay of the weights."""
    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image."""


class ProjectionTower(nn.Module):
    """The image map, with the temperature and the bias that only training needs."""

    def __init__(self, features: int, width: int, hidden: int) -> None:
        super().__init__()
        self.map: nn.Module = nn.Linear(features, width)
        if hidden:
            self.map = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.shift = nn.Parameter(torch.tensor(-10.0))

    def forward(self, features: Tensor) -> Tensor:
        """Map mean features into the space of label vectors by the contrastive image map.  # (b, t, f) → (b, 1, d)"""
        mapped: Tensor = self.map(features.mean(1, keepdim=True))
        return mapped

    def logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return scaled cosines of mean features and labels.  # (b, f), (b, d) → (b, b)"""
        scale = self.log_scale.clamp(max=math.log(100.0)).exp()
        return scale * normalize(self.map(features), dim=-1) @ labels.T


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return the trained image map: (f + 1) · d numbers, or with a hidden layer (f + 1) · h + (h + 1) · d.

    Only the map and a temperature are learnt; the texts are the LM's unit label vectors. Several images of a batch may
    have one name: each of them is then right for each of the others' texts.
    """
    labels = data.labels
    with first_weights(data.seed, "contrastive"):
        tower = ProjectionTower(data.moments.rows.shape[1], labels.shape[1], settings.hidden).to(data.device)

    def loss(rows: Tensor, names: Tensor) -> Tensor:
        logits, same = tower.logits(rows, labels[names]), names[:, None] == names[None]
        return sigmoid_loss(logits + tower.shift, same) if settings.objective == "sigmoid" else info_nce(logits, same)

    descend(tower, loss, data, settings, _BATCH)
    return tower


def info_nce(logits: Tensor, same: Tensor) -> Tensor:
    """Return the symmetric InfoNCE loss; several right ones share the target, as in UniCL (arXiv 2204.03610).

    Args:
        logits: Images by texts.  # (b, b)
        same: Whether image and text have the same name.  # (b, b) bool
    """
    target = same.to(logits) / same.sum(1, keepdim=True)
    rows, columns = (-(target * each.log_softmax(1)).sum(1).mean() for each in (logits, logits.T))
    return (rows + columns) / 2


def sigmoid_loss(logits: Tensor, same: Tensor) -> Tensor:
    """Return SigLIP's loss: each pair is judged alone.  # (b, b), (b, b) bool"""
    return -logsigmoid(torch.where(same, logits, -logits)).sum(1).mean()
