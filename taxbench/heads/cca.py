"""Regularised canonical correlation of features and label vectors, as in Gong et al. (2014, arXiv 1212.4522)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import LabelMap
from taxbench.heads.moments import factored_svd
from taxbench.specs.spec import Spec

READS = "labels"


class Settings(Spec, strict=True):
    """Options of the CCA head."""

    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Added to the variances of the features, in units of one's; unset, the one with the best leaf retrieval."""
    beta: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Added to the variances of the label vectors, in units of one's. Near zero, all names would become
    equally unlike, since they are fewer than dimensions."""
    power: float = Field(default=1.0, ge=0, le=8)
    """Power of its correlation that each canonical direction is weighted with, on either side."""
    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image."""


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return the map of features into canonical space, and that of label vectors: (f + 1) · k + d · k numbers.

    k, at most the names less one, directions u, v of features x and label vectors y, one after the other the most
    correlated over training images, with α and β added to their variances: the singular vectors of Cov(x)^-½ Cov(x, y)
    Cov(y)^-½ (Hotelling, 1936). scikit-learn's CCA has no α, without which the fewer names than dimensions are all
    perfectly correlated, and iterates: 12 s for ten directions on pocket, where all of every alpha take 0.08 s here.
    """
    whiten = _whitening(data, settings.beta)
    alpha = data.alpha(settings.alpha, lambda alpha: data.cosines(*_solve(data, alpha, whiten, settings.power)))
    return LabelMap.of(data.moments, *_solve(data, alpha, whiten, settings.power))


def _whitening(data: FitData, beta: float) -> Tensor:
    """Return (Cov(y) + βI)^-½, β in units of a dimension's variance.  # (d, d)"""
    share = data.classes.share
    names = data.labels.to(share)
    centred = names - share @ names
    spread = (centred * share[:, None]).T @ centred
    size, axes = torch.linalg.eigh(spread)
    whitening: Tensor = (axes * (size.clamp_min(0) + beta * size.mean()).rsqrt()) @ axes.T
    return whitening


def _solve(data: FitData, alpha: float, whiten: Tensor, power: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maps of images, in the basis of the moments, and of label vectors.  # (r, k), (k,), (d, k)"""
    values, _ = data.moments.spectrum
    white = (values + alpha * data.moments.unit).rsqrt()  # (r,)
    share = data.classes.share
    names = data.labels.to(white)
    middle = share @ names
    left, strength, right = factored_svd(data.classes.mean * white * share[:, None], (names - middle) @ whiten)
    words = whiten @ right * strength**power
    return white[:, None] * left * strength**power, middle @ words, words
