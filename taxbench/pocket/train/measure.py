"""Measure the embedded parts: what the encoder separates, what the language model knows from text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from taxbench.lms.frozen import load_lm, random_twin
from taxbench.pocket.concepts import CONCEPTS
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.evaluate import Pair, by_name, everyday_pairs, margins, score, taxonomy_pairs
from taxbench.pocket.train.probe import draw_probe, encoder_features, pixel_features, probe_features
from taxbench.registry.models import find_encoder, find_lm, model_source
from taxbench.taxonomy.wordnet import read_nouns


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of figures: what was measured, and its values by name."""

    what: str
    values: dict[str, float]


def encoder_figures() -> Iterator[Figures]:
    """Yield linear probe and category structure of the encoder, its random twin, and pixels."""
    probe = draw_probe()
    for name in ("pocket encoder", "random-init twin", "pixels"):
        if name == "pixels":
            features = pixel_features(probe.pictures)
        else:
            folder = Path(model_source(find_encoder("pocket").source))
            features = encoder_features(folder, probe.pictures, random_init=name == "random-init twin")
        found = probe_features(features, probe)
        values = {"leaf accuracy": found.accuracy, "cosine within": found.within, "cosine across": found.across}
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
            found = score(pairs, margins(each.model, each.tokenizer, pairs))
            yield Figures(f"{label}{name} ({found.n_questions} questions)", by_name(found))
