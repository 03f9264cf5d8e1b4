"""Train a map from features to label vectors by gradient descent, without the language model: seconds, not minutes."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from taxbench.heads.closed_form import FitData
from taxbench.util.seeds import rng

Loss = Callable[[Tensor, Tensor], Tensor]

_WARMUP = 0.1


class Pace(Protocol):
    """The settings of the descent."""

    steps: int
    """Minibatches."""
    rate: float
    """The highest step size."""
    decay: float
    """AdamW's, of the weights."""


def descend(module: nn.Module, loss: Loss, data: FitData, pace: Pace, batch: int) -> None:
    """Lower a loss of minibatches with AdamW, a short warm-up and a cosine to zero.

    Args:
        loss: Of mean features (b, f) and the indices of their names (b,).
    """
    names = torch.from_numpy(data.names).to(data.device)
    rows = data.moments.rows
    optimiser = torch.optim.AdamW(module.parameters(), lr=pace.rate, weight_decay=pace.decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / (_WARMUP * pace.steps), 0.5 + 0.5 * math.cos(math.pi * step / pace.steps)),
    )
    draw = rng(data.seed, "descent")
    for _ in range(pace.steps):
        part = torch.from_numpy(draw.choice(len(rows), min(batch, len(rows)), replace=False)).to(data.device)
        optimiser.zero_grad(set_to_none=True)
        loss(rows[part], names[part]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    module.eval().requires_grad_(False)
