"""What a head learns from when it is not trained through the language model: images, their names, vectors of names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn.functional import normalize

from taxbench.heads.moments import Classes, LRUCache, Moments, pooled
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.label_vectors import label_vectors
from taxbench.util.vectors import unit

T = TypeVar("T")

ALPHAS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
DEFAULT_ALPHA = 0.01


@dataclass
class FitData:
    """Training images and what they are called, validation images, and the frozen LM that the names come from."""

    features: Callable[[np.ndarray], Tensor]
    """Image indices (b,) → standardised features (b, t, f) float32 on the LM's device."""
    images: np.ndarray
    """Training images.  # (n,) int64"""
    names: np.ndarray
    """What each of them is called, after a re-pairing; index into `texts`.  # (n,) int64"""
    val_images: np.ndarray
    """Validation images, of names that training says; may be none.  # (m,) int64"""
    val_names: np.ndarray
    """What each of them is called.  # (m,) int64"""
    texts: tuple[str, ...]
    """Every name of the vocabulary, also those that training never says. Hypernyms are not among them."""
    lm: FrozenLM
    said: Callable[[str], Tensor]
    """A name → its tokens where the image would be.  # (t,)"""
    seed: int
    chosen: dict[str, JsonValue] = field(default_factory=dict)
    """What the head decided by itself; goes into the result."""
    cache: Path | None = None
    """Where label vectors are kept."""
    features_key: str = ""
    """Tells features, and how they are standardised, apart in what heads share."""
    own_words: Callable[[tuple[str, ...]], Tensor] | None = None
    """A whole system's own vectors of terms, which stand in the place of the LM's.  # → (v, d), unit length"""
    shared: LRUCache = field(default_factory=LRUCache)
    """What fits with the same features and training images share; hand the same one to all of them."""

    told: Callable[[], tuple[np.ndarray, np.ndarray]] = field(kw_only=True)
    """Returns what is true of names, for controls alone: which share of a name's training images has a term, as likely
    as not where it is unknown; and which share of all training images has a name.  # (names, v), (names,)"""

    @property
    def device(self) -> torch.device:
        """Return the device that the features to fit, and so the head, are on."""
        return self.lm.device

    @property
    def moments(self) -> Moments:
        """Return the statistics of the training images, shared among heads."""
        key = ("moments", self.features_key, self.images.tobytes())
        return self.shared.get(key, lambda: Moments.of(self.features, self.images))

    @cached_property
    def classes(self) -> Classes:
        """Return the training images by name."""
        return self.moments.classes(self.names, len(self.texts))

    @cached_property
    def validation(self) -> Tensor:
        """Return the validation images in the basis of the moments.  # (m, r) float64"""
        key = ("validation", self.features_key, self.images.tobytes(), self.val_images.tobytes())
        return self.shared.get(key, lambda: self.moments.project(pooled(self.features, self.val_images)))

    def label_vectors(self, kind: str) -> Tensor:
        """Return the LM's own vectors of all names, of one kind: input, last, template_L.  # (names, d) float32"""
        return torch.from_numpy(self.label_kinds[kind]).to(self.device)

    @property
    def label_kinds(self) -> dict[str, np.ndarray]:
        """Return the LM's own vectors of all names by kind.  # kind → (names, d) float32"""
        return self._raw(self.texts)

    @cached_property
    def labels(self) -> Tensor:
        """Return the vectors of all names, of the kind with the best leaf retrieval.  # (names, d) float32, unit length

        Centred over the names and divided by their spread in each dimension, then brought to unit length. States of an
        LM share a large common part and have a few dimensions far larger than the rest, whatever the word (Ethayarajh,
        2019, arXiv 1909.00512; Timkey and van Schijndel, 2021, arXiv 2109.04404): cosines would show nothing else.
        Length follows how frequent a word is rather than what it means.
        """
        return self.words(self.texts)

    def words(self, terms: tuple[str, ...]) -> Tensor:
        """Return the vectors of any terms in the space of `labels`.  # (v, d) float32, unit length"""
        return self.own_words(terms) if self.own_words else self._unit(self._kind, terms)

    @cached_property
    def _kind(self) -> str:
        """Return the kind of label vectors with the best leaf retrieval, shared by closed-form heads."""
        parts = (self.images, self.names, self.val_images, self.val_names)
        key = ("kind", self.features_key, self._lm_key, self.texts, *(part.tobytes() for part in parts))
        self.chosen["labels"] = kind = self.shared.get(key, self._choose_kind)
        return kind

    def _choose_kind(self) -> str:
        """Choose by ridge, each kind under the alpha that serves it best."""
        kinds = sorted(self.label_kinds)
        default = max((kind for kind in kinds if kind.startswith("template")), key=lambda kind: int(kind[9:]))
        indicators = {alpha: self.indicators(alpha) for alpha in ALPHAS} if len(self.val_images) else {}
        options = [(kind, alpha) for kind in kinds for alpha in indicators]

        def scores(option: tuple[str, float]) -> Tensor:
            vectors = self._unit(option[0], self.texts).to(self.validation)
            return indicators[option[1]] @ (vectors @ vectors.T)

        return self.best(options, scores, (default, DEFAULT_ALPHA))[0]

    def indicator_map(self, alpha: float) -> tuple[Tensor, Tensor]:
        """Return ridge onto each name's indicator, in the basis of the moments.  # (r, names), (names,) float64

        Ridge onto any vectors of the names is this times those vectors, so it need not be solved for each of them.
        """
        shrunk = self.classes.mean / (self.moments.spectrum[0] + alpha * self.moments.unit)
        return (shrunk * self.classes.share[:, None]).T, self.classes.share

    def indicators(self, alpha: float) -> Tensor:
        """Return ridge's guess of each name's indicator for validation images.  # (m, names) float64"""
        weight, bias = self.indicator_map(alpha)
        return self.validation @ weight + bias

    def cosines(self, weight: Tensor, bias: Tensor, words: Tensor | None = None) -> Tensor:
        """Return how alike validation images and names are under a map.  # (r, k), (k,), (d, k) → (m, names)"""
        names = self.labels.to(weight)
        return normalize(self.validation @ weight + bias) @ normalize(names if words is None else names @ words).T

    def alpha(self, given: float | None, scores: Callable[[float], Tensor]) -> float:
        """Return the given alpha, or choose one by leaf retrieval and record it."""
        if given is not None:
            return given
        self.chosen["alpha"] = chosen = self.best(ALPHAS, scores, DEFAULT_ALPHA)
        return chosen

    def best(self, options: Sequence[T], scores: Callable[[T], Tensor], default: T) -> T:
        """Return the option with the best leaf retrieval on validation images; without such images, the default.

        Retrieval is top-1 among the names that training says; the mean reciprocal rank decides between equals.

        Args:
            scores: How well each name fits each validation image, under an option.  # → (m, names)
        """
        if not len(self.val_images):
            return default
        found = [self.retrieval(scores(option)) for option in options]
        return options[max(range(len(options)), key=found.__getitem__)]

    def retrieval(self, scores: Tensor) -> tuple[float, float]:
        """Return top-1 and mean reciprocal rank of the right name among trained ones.  # (m, names)"""
        truth = torch.from_numpy(self.val_names).to(scores.device)
        right = scores.gather(1, truth[:, None])
        trained = self.classes.count.to(scores.device) > 0
        rank = ((scores >= right) & trained).sum(1).clamp_min(1)  # ties count against
        return float((rank == 1).double().mean()), float((1 / rank).double().mean())

    @property
    def _lm_key(self) -> tuple[str, torch.dtype, str]:
        """Return what label vectors depend on of the LM: digest, dtype and device type."""
        return self.lm.digest, self.lm.dtype, self.lm.device.type

    def _raw(self, terms: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return the LM's label vectors of some terms by kind, shared by closed-form heads."""
        key = ("labels", self._lm_key, terms)
        return self.shared.get(key, lambda: label_vectors(self.lm, terms, self.cache))

    def _unit(self, kind: str, terms: tuple[str, ...]) -> Tensor:
        """Return one kind of label vectors, standardised over the names, at unit length.  # (v, d)"""
        known = self._raw(self.texts)[kind]
        index = {text: row for row, text in enumerate(self.texts)}
        others = tuple(dict.fromkeys(term for term in terms if term not in index))
        if others:  # a name is looked up, so that it has the very vector it was learnt by
            index |= {text: len(known) + row for row, text in enumerate(others)}
            known = np.concatenate([known, self._raw(others)[kind]])
        names = known[: len(self.texts)]
        centred = known - names.mean(0)
        spread = np.maximum(names.std(0), 1e-6 * (np.abs(names).max() + 1e-30))
        return torch.from_numpy(unit(centred / spread)[[index[term] for term in terms]]).float().to(self.device)
