"""Ridge regression onto the name's input embedding, which then stands for the image in the language model's row."""

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import LabelMap
from taxbench.specs.spec import Spec


class Settings(Spec, strict=True):
    """Options of the ridge token head."""

    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Penalty of the weights in units of a feature's variance; unset, the one with the best leaf retrieval."""


class Word(nn.Module):
    """A vector as long as the embedding of a word, in the direction that a map gives."""

    length: Tensor

    def __init__(self, mapping: nn.Module, length: Tensor) -> None:
        super().__init__()
        self.mapping = mapping
        self.register_buffer("length", length)

    def forward(self, features: Tensor) -> Tensor:
        """Map features, and bring the result to the length of a word's embedding.  # (b, t, f) → (b, 1, d)"""
        return normalize(self.mapping(features), dim=-1) * self.length


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return W = (Cov(x) + αI)⁻¹ Cov(x, e) and its intercept: (f + 1) · d numbers.

    The objective is the mean of |Wx − e|² + α|W|², e the mean input embedding of the name's tokens. Shrinkage and doubt
    between names make Wx short, and an LM reads a short vector as a weak one: it is brought to the median length of e.
    """
    names = data.label_vectors("input").to(data.moments.mean)
    unit = normalize(names - names.mean(0), dim=-1)
    alpha = data.alpha(settings.alpha, lambda alpha: data.indicators(alpha) @ (unit @ unit.T))
    weight, bias = data.indicator_map(alpha)
    mapping = LabelMap.of(data.moments, weight @ names, bias @ names)
    return Word(mapping, names.norm(dim=1).median().float()).to(data.device)
