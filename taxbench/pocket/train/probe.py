"""Measure the embedded parts: what the encoder separates, what the language model knows from text.

The encoder is judged by a linear probe and by its category structure; labels are used here only, it is trained without.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.lms.frozen import load_lm, random_twin
from taxbench.pocket.art import render
from taxbench.pocket.concepts import CONCEPTS
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.evaluate import Pair, by_name, everyday_pairs, margins, property_pairs, score, taxonomy_pairs
from taxbench.registry.models import find_encoder, find_lm
from taxbench.taxonomy.wordnet import read_nouns

# Neither the benchmark's pictures (seed 0) nor the encoder's (seed 1): choices made by probe touch no reported score.
PROBE_SEED = 2
TRAIN_PER_CONCEPT = 40
TEST_PER_CONCEPT = 20
Features = NDArray[np.float32]


Figures = tuple[str, dict[str, float]]
"""What was measured, and its values by name."""


def encoder_figures() -> Iterator[Figures]:
    """Yield linear probe and category structure of the encoder, its random twin, and pixels."""
    probe = draw_probe()
    for name, alias in (("pocket encoder", "pocket"), ("random-init twin", "random-pocket"), ("pixels", "")):
        pictures = probe.pictures
        features = encoder_features(alias, pictures) if alias else pixel_features(pictures)
        within, across = category_cosines(features, probe)
        values = {"leaf accuracy": linear_probe(features, probe), "cosine within": within, "cosine across": across}
        yield name, values


def lm_figures(model: str = "pocket") -> Iterator[Figures]:
    """Yield text-only scores of a language model and of its random twin, in the benchmark's format.

    First hypernyms, then the wordings of property tasks: the AUROC of direct ones and of reversed ones.
    """
    corpus = Corpus(read_nouns())
    lm = load_lm(find_lm(model), torch.device("cpu"), torch.float32)
    everyday = everyday_pairs(corpus, seed=0)
    sets: dict[str, list[Pair]] = {
        "everyday nouns, pairs held out": everyday.unasked + everyday.unseen,
        "  of these: stated, never asked": everyday.unasked,
        "  of these: never even stated": everyday.unseen,
        "everyday nouns, pairs trained": everyday.trained,
        "pocket leaves × 14 hypernyms": taxonomy_pairs({c.name: c.hypernyms for c in CONCEPTS}, seed=0),
    }
    for label, each in (("", lm), ("random-init twin: ", random_twin(lm, seed=0))):
        for name, pairs in sets.items():
            found = score(pairs, margins(each, pairs))
            yield f"{label}{name} ({found.n_questions} questions)", by_name(found)
    for task, (direct, against) in property_pairs().items():
        scored = {name: by_name(score(pairs, margins(lm, pairs, "{term}")))["AUROC"]
                  for name, pairs in (("direct", direct), ("reversed", against))}  # fmt: skip
        yield f"{task} ({len(direct) + len(against)} questions)", scored


@dataclass(frozen=True, slots=True)
class ProbePictures:
    """Hold the pictures of a probe; rows are ordered by index, then by concept."""

    pictures: NDArray[np.uint8]  # (n, 96, 96, 3)
    leaves: NDArray[np.int64]  # (n,) position in CONCEPTS
    train: NDArray[np.bool_]  # (n,)


def draw_probe(seed: int = PROBE_SEED) -> ProbePictures:
    """Draw 40 training and 20 test pictures of every concept."""
    per_concept = TRAIN_PER_CONCEPT + TEST_PER_CONCEPT
    pictures = np.stack([render(c.name, index, seed) for index in range(per_concept) for c in CONCEPTS])
    leaves = np.tile(np.arange(len(CONCEPTS)), per_concept)
    return ProbePictures(pictures, leaves, np.repeat(np.arange(per_concept), len(CONCEPTS)) < TRAIN_PER_CONCEPT)


def pixel_features(pictures: NDArray[np.uint8], block: int = 4) -> Features:
    """Average `block` x `block` pixels and flatten: what the pictures give away without an encoder."""
    n, height, width, channels = pictures.shape
    small = pictures.reshape(n, height // block, block, width // block, block, channels).mean(axis=(2, 4))
    return np.asarray(small.reshape(n, -1), dtype=np.float32)


def encoder_features(encoder: str | Path, pictures: NDArray[np.uint8]) -> Features:
    """Return pooled features, as runs see them, of pictures of the input size of an alias or directory.  (n, f)"""
    card = describe_encoder(find_encoder(str(encoder)))
    loaded, reading = load_encoder(card, torch.device("cpu"), torch.float32), card.reading(-1, "pooled")
    found = []
    for start in range(0, len(pictures), 128):
        batch = torch.from_numpy(np.array(pictures[start : start + 128])).permute(0, 3, 1, 2)
        found.append(loaded.encode(batch, [reading])[0].flatten(1).numpy())
    return np.concatenate(found)


def linear_probe(features: Features, probe: ProbePictures) -> float:
    """Return the test accuracy of a logistic regression on standardised features; chance is 1 / 104."""
    scaler = StandardScaler().fit(features[probe.train])
    scaled = scaler.transform(features)
    model = LogisticRegression(C=0.1, max_iter=300).fit(scaled[probe.train], probe.leaves[probe.train])
    return float(model.score(scaled[~probe.train], probe.leaves[~probe.train]))


def category_cosines(features: Features, probe: ProbePictures) -> tuple[float, float]:
    """Return the mean cosine of standardised features of two test pictures of different leaves: inside one category,
    across categories."""
    scaled = StandardScaler().fit(features[probe.train]).transform(features[~probe.train])
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    leaves = probe.leaves[~probe.train]
    names = sorted({c.category for c in CONCEPTS})
    category = np.array([names.index(c.category) for c in CONCEPTS])[leaves]
    cosine = scaled @ scaled.T
    other_leaf = leaves[:, None] != leaves[None, :]
    same = category[:, None] == category[None, :]
    return float(cosine[same & other_leaf].mean()), float(cosine[~same].mean())
