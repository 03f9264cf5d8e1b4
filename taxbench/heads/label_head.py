"""Reading by label vectors: how alike what a head makes of an image and the vector of the asked term are."""

import warnings
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from taxbench.heads.base import Head
from taxbench.heads.closed_form import FitData
from taxbench.heads.moments import Moments
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.util.seeds import rng

Hubness = Literal["none", "csls", "standardise"]
"""What is done about terms that are near to every image: nothing; cross-domain similarity local scaling (Conneau et
al., 2018, arXiv 1710.04087); or each term's similarities minus their mean over training images, by their spread."""

_NEIGHBOURS = 10  # of CSLS, as published
_SAMPLE, _WRONG = 8192, 4  # images, and wrong names of each, that the reading is calibrated on
_BATCH = 512


class LabelMap(nn.Module):
    """An affine map of the mean feature vector, and of the label vectors where a head moves those too."""

    weight: Tensor
    bias: Tensor
    moved: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor, words: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.float())  # (f, k)
        self.register_buffer("bias", bias.float())  # (k,)
        self.register_buffer("moved", None if words is None else words.float())  # (d, k)

    @classmethod
    def of(cls, moments: Moments, weight: Tensor, bias: Tensor, words: Tensor | None = None) -> "LabelMap":
        """Take a map that was found in the basis of the moments.  # (r, k), (k,)"""
        whole = moments.spectrum[1] @ weight
        return cls(whole, bias - moments.mean @ whole, words).to(moments.rows.device)

    def forward(self, features: Tensor) -> Tensor:
        """Map mean features to the vector that is compared with label vectors.  # (b, t, f) → (b, 1, k)"""
        return (features.mean(1) @ self.weight + self.bias)[:, None]

    def words(self, labels: Tensor) -> Tensor:
        """Return label vectors, mapped where the head moves those too.  # (v, d) → (v, k)"""
        return labels if self.moved is None else labels @ self.moved


class HubnessSettings(Protocol):
    """The settings that reading by label vectors needs of a head."""

    hubness: Hubness


class LabelHead(Head):
    """A head whose one vector is compared with the vector of the asked term; the LM itself is not asked.

    margin = slope · similarity + offset, where the similarity is the cosine after the correction for hubs: the log odds
    of a question that is as often true as not.
    """

    words: Tensor
    centre: Tensor
    spread: Tensor
    line: Tensor

    def __init__(self, mapping: nn.Module, scale: tuple[Tensor, Tensor], words: Tensor, n_names: int, hubness: Hubness):
        super().__init__(mapping, *scale)
        self.n_names, self.hubness = n_names, hubness  # names come first among the terms
        self.register_buffer("words", normalize(words, dim=-1))  # (v, k)
        self.register_buffer("centre", words.new_zeros(len(words)))  # (v,)
        self.register_buffer("spread", words.new_ones(len(words)))  # (v,)
        self.register_buffer("line", words.new_tensor([1.0, 0.0]))  # slope and offset

    def cosines(self, mapped: Tensor) -> Tensor:
        """Return the cosines of mapped images, each by its best vector, and all label vectors.  # (b, n, k) → (b, v)"""
        found = normalize(mapped.flatten(0, 1), dim=-1) @ self.words.T  # (b · n, v)
        return found.reshape(*mapped.shape[:2], -1).amax(1)

    def corrected(self, cosines: Tensor) -> Tensor:
        """Correct for hubs; an image's neighbours are names, so what else may be asked changes nothing.  # (b, v)"""
        if self.hubness == "csls":
            return 2 * cosines - self.centre - _nearest(cosines[:, : self.n_names], 1)[:, None]
        return (cosines - self.centre) / self.spread

    def settle(self, cosines: Tensor) -> None:
        """Take the correction from how alike training images and terms are.  # (n, v)"""
        if self.hubness == "csls":
            self.centre.copy_(_nearest(cosines, 0))
        elif self.hubness == "standardise":
            self.centre.copy_(cosines.mean(0))
            self.spread.copy_(cosines.std(0, correction=0).clamp_min(1e-6))

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer | None) -> Tensor:
        """Compare images with the asked terms' label vectors; return log odds.  # (b, t, f), (b, q) → (b, q)"""
        found = self.corrected(self.cosines(self.mapped(features)))
        return self.line[0] * found.gather(1, terms.clamp(min=0)) + self.line[1]


@torch.no_grad()
def label_head(
    mapping: nn.Module, mean: Tensor, std: Tensor, data: FitData, terms: tuple[str, ...], settings: HubnessSettings
) -> LabelHead:
    """Build the head that reads what a `fit` with READS = "labels" returned; calibrate it on leaf questions.

    Hubs show on training images. The line is fitted to validation images where there are any: training images are
    nearer to their names than new ones, the more so the freer the map, and the threshold would be too high.

    Args:
        mean: Of the features that training images are standardised with.  # (f,)
        std: The same.  # (f,)
        terms: Every term of the vocabulary in its order: the names of leaves, then hypernyms.
    """
    words = data.words(terms)
    moves = getattr(mapping, "words", None)
    words = moves(words) if moves else words
    return calibrated(LabelHead(mapping, (mean, std), words, len(data.texts), settings.hubness), data)


@torch.no_grad()
def calibrated(head: LabelHead, data: FitData) -> LabelHead:
    """Settle a head's correction for hubs on training images, and fit its line to leaf questions; see `label_head`."""
    head = head.to(data.device)
    draw = rng(data.seed, "label_head")
    train = draw.permutation(len(data.images))[:_SAMPLE]
    head.settle(_cosines(head, data, data.images[train]))
    images, names = data.images[train], data.names[train]
    if len(data.val_images):
        some = draw.permutation(len(data.val_images))[:_SAMPLE]
        images, names = data.val_images[some], data.val_names[some]
    found = head.corrected(_cosines(head, data, images))[:, : head.n_names].cpu().double().numpy()  # (n, names)
    trained = np.unique(data.names)
    turn = draw.integers(1, len(trained), size=(len(names), _WRONG))
    wrong = trained[(np.searchsorted(trained, names)[:, None] + turn) % len(trained)]
    line = logistic_line(found[np.arange(len(names)), names], np.take_along_axis(found, wrong, 1).ravel())
    head.line.copy_(torch.from_numpy(line))
    return head.eval()


def _cosines(head: LabelHead, data: FitData, images: np.ndarray) -> Tensor:
    """Return the cosines of images and all terms' label vectors under a head.  # (n,) → (n, v)"""
    parts = np.array_split(images, -(-len(images) // _BATCH))
    return torch.cat([head.cosines(head.mapping(data.features(part))) for part in parts])


def logistic_line(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Fit log odds = slope · x + offset by logistic regression, both answers weighing the same.  # (2,)

    Targets are drawn in from 0 and 1 as by Platt (1999), so that answers which one threshold separates do not push the
    slope to infinity.
    """
    from scipy.linalg import LinAlgWarning  # here: what fits no line, such as a plan, loads without them
    from sklearn.linear_model import LogisticRegression

    x = np.concatenate([right, wrong])
    middle, scale = x.mean(), max(float(x.std()), 1e-12)
    design = (x[:, None] - middle) / scale  # (n + m, 1)
    n, m = len(right), len(wrong)
    yes = np.repeat([(n + 1) / (n + 2), 1 / (m + 2)], [n, m])
    weight = np.repeat([0.5 / n, 0.5 / m], [n, m])
    # A target between the two answers is each of them, weighted. Newton's method, since in float32, which is kept, the
    # line must depend neither on where the descent stopped nor on the library's version; without a penalty, which the
    # targets make needless.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # all similarities are the same: the slope is 0
        fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(
            np.concatenate([design, design]),
            np.repeat([True, False], len(x)),
            np.concatenate([weight * yes, weight * (1 - yes)]),
        )
    slope = fitted.coef_[0, 0] / scale
    return np.array([slope, fitted.intercept_[0] - slope * middle])


def _nearest(cosines: Tensor, dim: int) -> Tensor:
    """Return the mean cosine of the nearest few along a dimension, as CSLS corrects hubness by."""
    return cosines.topk(min(_NEIGHBOURS, cosines.shape[dim]), dim).values.mean(dim)
