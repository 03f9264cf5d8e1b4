"""A control: ridge regression from the LM's vectors of names to what is true of them, as norms go by word vectors.

No image is seen and nothing is asked: it says what lies linearly in the LM's vectors of names, for one who is told the
truth about other names. What is predicted of a name is always fitted to the others.
"""

import numpy as np
import torch
from torch import nn

from taxbench.heads.base import NameTable
from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec

SEES = "name"
READS = "terms"
NOTE = "control: asks no LM, told what is true of other names"
CONTROL = True

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)


class Settings(Spec, strict=True):
    """The name probe has no options."""


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return (b, 1, 1) → (b, 1, v): what is predicted of each name, less what is true of training images on average.

    Of all kinds of label vectors and strengths of the penalty the one counts under which the names of training predict
    each other best. A name itself, which leaf questions ask, is told.
    """
    told, share = data.told()  # (names, v), (names,)
    trained = share > 0
    kinds = {"own": data.own_words(data.texts).cpu().numpy()} if data.own_words else data.label_kinds
    found = {
        (kind, strength): leave_one_out(_standardised(vectors), told, trained, strength)
        for kind, vectors in kinds.items()
        for strength in STRENGTHS
    }
    asked = told[:, len(data.texts) :]
    errors = {key: np.square(each[trained, len(data.texts) :] - asked[trained]).mean() for key, each in found.items()}
    best = min(errors, key=errors.__getitem__)
    data.chosen["labels"], data.chosen["alpha"] = best
    predicted = np.hstack([told[:, : len(data.texts)], found[best][:, len(data.texts) :]])
    return NameTable(torch.from_numpy(predicted - share @ told).float()[:, None].to(data.device))


def _standardised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of which no direction counts for more than others by its size alone.  # (n, d) float64"""
    centred = vectors.astype(np.float64) - vectors.mean(0)
    return np.asarray(centred / np.maximum(vectors.std(0), 1e-6 * (np.abs(vectors).max() + 1e-30)))


def leave_one_out(vectors: np.ndarray, truth: np.ndarray, trained: np.ndarray, strength: float) -> np.ndarray:
    """Return ridge's predictions of what is true of names: of trained ones each fitted to the others.

    Ridge with a free offset is a linear smoother, so leaving one out takes no other fit (Hastie et al., The Elements of
    Statistical Learning, 2nd ed., 7.10).

    Args:
        vectors: Of each name.  # (n, d)
        truth: What is true of it.  # (n, v)
        trained: Which names are fitted to.  # (n,) bool
        strength: The penalty, in units of the mean variance of the vectors' directions.

    Returns:
        # (n, v)
    """
    middle, known = vectors[trained].mean(0), truth[trained]
    u, s, axes = np.linalg.svd(vectors[trained] - middle, full_matrices=False)
    penalty = strength * (np.square(s).mean() or 1.0)
    smoother = (u * (s**2 / (s**2 + penalty))) @ u.T + 1 / len(known)  # (t, t)
    others = (vectors - middle) @ axes.T @ ((s / (s**2 + penalty))[:, None] * (u.T @ (known - known.mean(0))))
    predicted = np.asarray(others + known.mean(0))
    own = np.diag(smoother)[:, None]
    predicted[trained] = (smoother @ known - own * known) / np.maximum(1 - own, 1e-9)
    return predicted
