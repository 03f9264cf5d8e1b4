"""Measure the embedded parts: what the encoder separates, what the language model knows from text."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from taxbench.lms.frozen import load_lm, random_twin
from taxbench.pocket.concepts import CONCEPTS
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.evaluate import Pair, by_name, everyday_pairs, margins, score, taxonomy_pairs
from taxbench.pocket.train.probe import category_cosines, draw_probe, encoder_features, linear_probe, pixel_features
from taxbench.registry.models import find_encoder, find_lm
from taxbench.taxonomy.wordnet import read_nouns


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of figures: what was measured, and its values by name."""

    what: str
    values: dict[str, float]


def encoder_figures() -> Iterator[Figures]:
    """Yield linear probe and category structure of the encoder, its random twin, and pixels."""
    probe = draw_probe()
    for name, alias in (("pocket encoder", "pocket"), ("random-init twin", "random-pocket"), ("pixels", "")):
        pictures = probe.pictures
        features = encoder_features(find_encoder(alias), pictures) if alias else pixel_features(pictures)
        within, across = category_cosines(features, probe)
        values = {"leaf accuracy": linear_probe(features, probe), "cosine within": within, "cosine across": across}
        yield Figures(name, values)


def lm_figures() -> Iterator[Figures]:
    """Yield text-only scores of the language model and of its random twin, in the benchmark's format.

    Raises:
        DataError: WordNet, from which the held-out pairs are drawn, is not on this machine.
    """
    corpus = Corpus(read_nouns())
    lm = load_lm(find_lm("pocket"), torch.device("cpu"), torch.float32)
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
            yield Figures(f"{label}{name} ({found.n_questions} questions)", by_name(found))
