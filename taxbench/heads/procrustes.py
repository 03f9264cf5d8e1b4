"""An orthogonal map from whitened features to label vectors, after Smith et al. (2017, arXiv 1702.03859)."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import LabelMap
from taxbench.heads.moments import factored_svd
from taxbench.specs.spec import Spec

READS = "labels"


class Settings(Spec, strict=True):
    """Options of the Procrustes head."""

    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Added to the variances before whitening, in units of a feature's; unset, the one with the best leaf retrieval."""
    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image."""


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return s · R after whitening, with its intercept: (f + 1) · d numbers.

    The objective is the least mean of |s·R·z − y|² over training images, z the whitened features, y the label vector of
    the image's name, R with orthonormal columns (Schönemann, 1966). R turns only the directions in which names differ;
    scipy's orthogonal_procrustes turns the others too, and nothing says whither.
    """
    alpha = data.alpha(settings.alpha, lambda alpha: data.cosines(*_solve(data, alpha)))
    return LabelMap.of(data.moments, *_solve(data, alpha))


def _solve(data: FitData, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the orthogonal map of whitened features in the basis of the moments, and its intercept.  # (r, d), (d,)"""
    values, _ = data.moments.spectrum
    scale = (values + alpha * data.moments.unit).rsqrt()  # (r,)
    names = data.labels.to(scale)
    middle = data.classes.share @ names
    left, stretch, right = factored_svd(data.classes.mean * scale * data.classes.share[:, None], names - middle)
    size = stretch.sum() / (values * scale.square()).sum()
    return size * scale[:, None] * (left @ right.T), middle
