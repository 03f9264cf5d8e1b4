"""A control: logistic regression from features to names, a linear probe (Alain and Bengio, 2016, arXiv 1610.01644).

No language model answers. On leaf questions it says what the features alone allow; on hypernyms it is told the
taxonomy, and bounds what a head can reach through an LM that knows all of it.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from taxbench.heads.closed_form import FitData
from taxbench.heads.moments import pooled
from taxbench.specs.spec import Spec

READS = "names"
NOTE = "control: asks no LM, told the taxonomy"
CONTROL = True

STRENGTHS = (0.01, 0.1, 1.0)
_DEFAULT = 0.1
_MOST_STEPS = 300


class Settings(Spec, strict=True):
    """The feature probe has no options."""


class NamePosterior(nn.Module):
    """Log probabilities of names; those that training never says have none."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)  # (f, names)
        self.register_buffer("bias", bias)  # (names,)

    def forward(self, features: Tensor) -> Tensor:
        """Classify mean features.  # (b, t, f) → (b, 1, names)"""
        return log_softmax(features.mean(1) @ self.weight + self.bias, dim=-1)[:, None]


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return scikit-learn's multinomial logistic regression: (f + 1) · names numbers.

    Of a few strengths of the penalty the one counts under which validation images' names are likeliest.
    """
    parts = (data.images, data.names, data.val_images, data.val_names)
    key = ("feature_probe", data.features_key, data.texts, *(part.tobytes() for part in parts))
    strength, weight, bias = data.shared.get(key, lambda: _regression(data))
    data.chosen["C"] = strength
    return NamePosterior(weight, bias).to(data.device)


def _regression(data: FitData) -> tuple[float, Tensor, Tensor]:
    """Return the chosen strength and the map from standardised features to logits of all names."""
    train = pooled(data.features, data.images).cpu().numpy()
    strengths = STRENGTHS if len(data.val_images) else (_DEFAULT,)
    models = {each: LogisticRegression(C=each, max_iter=_MOST_STEPS).fit(train, data.names) for each in strengths}
    best = _likeliest(models, data) if len(data.val_images) else _DEFAULT
    model = models[best]
    rows, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # which scikit-learn gives one row, the log odds of the second
        rows, intercept = np.vstack([np.zeros_like(rows), rows]), np.r_[0, intercept]
    weight = torch.zeros(train.shape[1], len(data.texts))
    bias = torch.full((len(data.texts),), -torch.inf)
    weight[:, model.classes_] = torch.from_numpy(rows.T).float()
    bias[model.classes_] = torch.from_numpy(intercept).float()
    return best, weight, bias


def _likeliest(models: dict[float, LogisticRegression], data: FitData) -> float:
    """Return the strength under which the feature probe finds the validation images' names likeliest."""
    held = pooled(data.features, data.val_images).cpu().numpy()
    loss = {
        strength: log_loss(data.val_names, model.predict_proba(held), labels=model.classes_)
        for strength, model in models.items()
    }
    return min(loss, key=lambda strength: loss[strength])
