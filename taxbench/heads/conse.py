"""A convex combination of the likeliest names' label vectors: ConSE (Norouzi et al., 2014, arXiv 1312.5650)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec

READS = "labels"

SHRINKAGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9)


class Settings(Spec, strict=True):
    """Options of the ConSE head."""

    most: int = Field(default=10, ge=1)
    """Names that are combined, the T of the paper."""
    shrinkage: float | None = Field(default=None, gt=0, lt=1, allow_inf_nan=False)
    """How far the covariance inside names is drawn towards a sphere; unset, the one under which validation images'
    names are likeliest."""
    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image."""


class Combination(nn.Module):
    """Posterior of the trained names, then the mean of the label vectors of the likeliest."""

    weight: Tensor
    bias: Tensor
    labels: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, labels: Tensor, most: int) -> None:
        super().__init__()
        self.most = min(most, len(labels))
        self.register_buffer("weight", weight)  # (f, c)
        self.register_buffer("bias", bias)  # (c,)
        self.register_buffer("labels", labels)  # (c, d)

    def forward(self, features: Tensor) -> Tensor:
        """Combine the label vectors of the likeliest names, weighed by their posterior.  # (b, t, f) → (b, 1, d)"""
        likely, which = (features.mean(1) @ self.weight + self.bias).topk(self.most)
        return torch.einsum("bt,btd->bd", likely.softmax(-1), self.labels[which])[:, None]


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return ConSE over a linear discriminant, not a network's softmax: (f + 1) · c + c · d numbers, c the names.

    The classifier is regularised LDA: normal with one covariance inside all names, shrunk towards a sphere. It is
    scikit-learn's (solver lsqr), which takes 1 s on pocket for what takes 0.02 s from the moments.
    """
    shrinkage = settings.shrinkage
    if shrinkage is None:
        shrinkage = max(SHRINKAGES, key=lambda each: _likelihood(data, each)) if len(data.val_images) else 0.1
        data.chosen["shrinkage"] = shrinkage
    weight, bias = discriminant(data, shrinkage)
    whole = data.moments.spectrum[1] @ weight
    bias = bias - data.moments.mean @ whole
    labels = data.labels[_trained(data).to(data.device)]
    return Combination(whole.float(), bias.float(), labels, settings.most).to(data.device)


def discriminant(data: FitData, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Return the map from the basis of the moments to log odds of the trained names.  # (r, c), (c,)

    With A = (Cov(x) + αI), M the means and P the shares of names, the covariance inside names is A − MPMᵀ. Woodbury's
    identity inverts it from the same eigendecomposition as everything else: (A − MPMᵀ)⁻¹M = A⁻¹M(I − PMᵀA⁻¹M)⁻¹.
    """
    kept = _trained(data)
    values, _ = data.moments.spectrum
    means, share = data.classes.mean[kept], data.classes.share[kept]  # (c, r), (c,)
    between = (share * means.square().sum(1)).sum()
    width = data.moments.rows.shape[1]
    sphere = (values.sum() - between) / width  # mean variance inside names
    outside = means / (values + shrinkage / (1 - shrinkage) * sphere)  # (c, r): A⁻¹M
    inner = torch.eye(len(means)).to(means) - share[:, None] * (means @ outside.T)
    weight = torch.linalg.solve(inner.T, outside).T / (1 - shrinkage)  # (r, c)
    return weight, share.log() - (means * weight.T).sum(1) / 2


def _likelihood(data: FitData, shrinkage: float) -> float:
    """Return ConSE's mean log posterior of the validation images' names under a shrinkage."""
    weight, bias = discriminant(data, shrinkage)
    odds = (data.validation @ weight + bias).log_softmax(-1)
    place = torch.searchsorted(_trained(data), torch.from_numpy(data.val_names).to(odds.device))
    return float(odds.gather(1, place[:, None]).mean())


def _trained(data: FitData) -> Tensor:
    """Return the indices of the names that have training images, ConSE's classes.  # (c,)"""
    return data.classes.count.nonzero().squeeze(1)
