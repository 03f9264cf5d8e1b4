"""The text side of a system, in the place of a language model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from taxbench.features.feature_rows import Images
from taxbench.lms.frozen import FrozenLM
from taxbench.protocol.words import with_article
from taxbench.registry.models import model_source
from taxbench.specs.sources import LMSpec, SystemSpec
from taxbench.systems.whole_model import WholeModel
from taxbench.util.hub import load_tokenizer

TEMPLATES = ("a photo of {}.", "an image of {}.", "a picture of {}.", "a close-up photo of {}.", "a drawing of {}.",
             "a rendering of {}.", "this is {}.")  # fmt: skip
"""What a term is said in; vectors are averaged at unit length, as CLIP's own are (https://arxiv.org/abs/2103.00020)."""
_BATCH = 256


class AsTheyAre:
    """Images whose features are not standardised.

    Args:
        rows: The features.
    """

    def __init__(self, rows: Images) -> None:
        self._rows, self.tokens, self.width, self.looks = rows, rows.tokens, rows.width, rows.looks

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the features of images.  # (b,) → (b, t, f) float32"""
        return self._rows(images)

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return mean 0 and deviation 1, which leave features as they are.  # (f,), (f,)"""
        one = self._rows(images[:1])[0, 0]
        return torch.zeros_like(one), torch.ones_like(one)


class MeanImage(AsTheyAre):
    """The mean features of some images in the place of any: no picture at all, for what cannot be trained without.

    Args:
        rows: The features.
        images: Of which the mean is taken.  # (n,)
        n: How many there are in all.
    """

    def __init__(self, rows: Images, images: np.ndarray, n: int) -> None:
        super().__init__(rows)
        self.looks = np.zeros(n, np.int64)
        parts = np.array_split(images, -(-len(images) // _BATCH))
        self._mean = torch.stack([rows(part).sum(0) for part in parts]).sum(0) / len(images)  # (t, f)
        self.identity = hashlib.sha256(self._mean.cpu().numpy().tobytes()).hexdigest()

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return the mean for each image.  # (b,) → (b, t, f) float32"""
        return self._mean.expand(len(images), -1, -1)


@dataclass(frozen=True, slots=True)
class TextSide(FrozenLM):
    """The text side of a system, in the place of a language model."""

    whole: WholeModel = field(kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "embed", None)  # no vectors are put in the place of words
        object.__setattr__(self, "dtype", self.model.dtype)

    @classmethod
    def of(cls, spec: SystemSpec, device: torch.device, dtype: torch.dtype) -> Self:
        """Load a system.

        Raises:
            ModelError: it is missing, gated, or of another class.
        """
        whole = WholeModel.of(spec)
        tokenizer = load_tokenizer(model_source(spec.source), spec.gated)
        lm = LMSpec(name=spec.name, source=spec.source)
        return cls(lm, whole.load(dtype).to(device), tokenizer, whole.digest(tokenizer), device, whole=whole)

    def twin(self, seed: int) -> Self:
        """Return the same text side with random weights."""
        model, digest = self.whole.load(self.dtype, seed).to(self.device), self.digest.partition("-")[0]
        return type(self)(self.spec, model, self.tokenizer, f"{digest}-random-{seed}", self.device, whole=self.whole)

    def seen(self, images: Images, asked: bool) -> Images:
        """Return what heads see of pictures, from what is kept of them.

        Args:
            asked: Whether the system itself is, which takes its own features as they are.
        """
        return AsTheyAre(images) if asked else images

    def tokens(self, texts: Sequence[str]) -> Any:
        """Tokenise texts of several lengths, each as the system saw it in training."""
        options = {"padding": True, "truncation": True, "return_tensors": "pt"} | self.whole.architecture.tokenised
        return self.tokenizer(list(texts), **options).to(self.device)

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of texts, at unit length.  # (n, d)"""
        read = self.whole.architecture.texts
        assert read is not None, self.whole.spec.name
        parts = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
        return normalize(torch.cat([read(self.model, self.tokens(part)).float() for part in parts]), dim=-1)

    def words(self, terms: Sequence[str]) -> Tensor:
        """Return the vectors of terms, each the mean over all templates.  # (v, d)"""
        return self.in_templates([with_article(term) for term in terms])

    def in_templates(self, said: Sequence[str]) -> Tensor:
        """Return the vectors of what templates say, each the mean over all of them.  # (v, d)"""
        return normalize(sum(self.vectors([each.format(text) for text in said]) for each in TEMPLATES), dim=-1)  # type: ignore[arg-type]
