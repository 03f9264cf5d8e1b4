"""What is inside a trained head: which words its soft tokens are nearest to, and where in a picture they look."""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from taxbench.heads.base import FixedHead, SoftHead
from taxbench.lms.label_vectors import label_vectors
from taxbench.protocol.questions import Vocabulary
from taxbench.results.predictions import Predictions
from taxbench.runs.run_options import NamesHere
from taxbench.runs.trained import TrainedHead, trained_head
from taxbench.specs.result import Result
from taxbench.systems.text_side import TextSide
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import UsageError
from taxbench.util.progress import Reporter
from taxbench.util.vectors import unit

_MOST_TOKENS = 16
"""Soft tokens of a picture whose words are kept."""
_PICTURES = 256
"""At a time; and as many are enough to know the mean soft token."""


@dataclass(frozen=True, slots=True)
class NearestWords:
    """Of one kind of vectors of words: to how many soft tokens each relation is nearest."""

    kind: str
    """`input`, `template_LAYER` or `last`: see `lms.label_vectors`."""
    shares: tuple[float, ...]
    """In the order of `RELATIONS`."""


@dataclass(frozen=True, slots=True)
class InsideHead:
    """What is inside the head of one result, for the pictures that it was asked about."""

    words: tuple[str, ...]
    """Names of leaves, then hypernyms."""
    kinds: tuple[NearestWords, ...]
    by_chance: tuple[float, ...]
    """The shares of words drawn at random."""
    shown: str
    """The kind by which most soft tokens have the own name."""
    nearest: np.ndarray  # (pictures, k) index into words: by the kind that is shown
    looks: np.ndarray | None  # (pictures, side, side), 0 to 1: where soft tokens look; None: it cannot be told


def inside_of(result: Result, predictions: Predictions, here: NamesHere, report: Reporter) -> InsideHead:
    """Return what is inside the head of a result.

    Soft tokens and words are compared by cosine, words less the mean of their kind, soft tokens less that of their
    place: states of language models share most of their direction, whatever they stand for.

    Raises:
        UsageError: the head is not in the cache, or puts no soft tokens into an LM, or those of two pictures at once.
        TaxbenchError: its inputs are not found here.
    """
    if result.run.task.in_pairs:
        raise UsageError(f"The questions of {result!r} are about two pictures each: only of one its inside is shown.")
    head = trained_head(result, "", here, report)
    lm = head.fitted.scorer.lm
    if isinstance(lm, TextSide) or not isinstance(head.fitted.head, SoftHead | FixedHead):
        raise UsageError(f"The head of {result!r} puts no soft tokens into a language model.")
    known = head.context.dataset.taxonomy
    vocabulary = Vocabulary(known)
    words = vocabulary.terms
    relation = relations(known, vocabulary)[_places(known, predictions)]  # (pictures, words)
    vectors = {kind: unit(each - each.mean(0)) for kind, each in label_vectors(lm, words, head.context.cache).items()}
    near, looks = _near(head, predictions.images, vectors)
    related = {kind: np.take_along_axis(relation, each, axis=1) for kind, each in near.items()}  # (pictures, k)
    counts = {kind: np.bincount(each.ravel(), minlength=4) for kind, each in related.items()}
    kinds = tuple(NearestWords(kind, _shares(count)) for kind, count in counts.items())
    shown = max(kinds, key=lambda each: each.shares[0]).kind
    chance = _shares(np.bincount(relation.ravel(), minlength=4))
    return InsideHead(words, kinds, chance, shown, near[shown][:, :_MOST_TOKENS], looks)


def relations(taxonomy: Taxonomy, vocabulary: Vocabulary) -> np.ndarray:
    """Return what each word is to each leaf, an index into `RELATIONS`.  # (leaves, words)"""
    above = [set(taxonomy.hypernyms_of[leaf]) for leaf in taxonomy.leaves]
    found = np.full((len(above), len(vocabulary.terms)), 3)
    for row, mine in enumerate(above):
        siblings = [bool(mine & other) for other in above]
        found[row, vocabulary.name_of[siblings]] = 1
        hypernyms = [vocabulary.n_names + i for i, each in enumerate(taxonomy.hypernyms) if each in mine]
        found[row, hypernyms] = 2
        found[row, vocabulary.name_of[row]] = 0
    return found


def _places(taxonomy: Taxonomy, predictions: Predictions) -> np.ndarray:
    """Return the leaf of every picture that was asked about, under the task's pairing.  # (pictures,)"""
    place = {leaf: row for row, leaf in enumerate(taxonomy.leaves)}
    return np.asarray(np.array([place[leaf] for leaf in predictions.leaves])[predictions.leaf_of])


def _near(
    head: TrainedHead, images: tuple[str, ...], vectors: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return by kind the nearest word of every soft token, and where they look.  # kind → (pictures, k)"""
    some = images[:: max(1, len(images) // _PICTURES)][:_PICTURES]
    centre = head(head.features(some)).mean(0)  # (k, d)
    found, looks = {kind: list[np.ndarray]() for kind in vectors}, list[np.ndarray]()
    for start in range(0, len(images), _PICTURES):
        features = head.features(images[start : start + _PICTURES])
        soft = unit(head(features) - centre)
        for kind, each in vectors.items():
            found[kind].append((soft @ each.T).argmax(-1))
        if (attention := head.attention(features)) is not None:
            looks.append(attention.mean(1))
    near = {kind: np.concatenate(each) for kind, each in found.items()}
    return near, _on_grid(np.concatenate(looks)) if looks else None


def _on_grid(looks: np.ndarray) -> np.ndarray | None:
    """Return where soft tokens look as squares, the most looked at 1; None where vectors are no grid.

    Args:
        looks: Of each picture, a share for every feature vector.  # (pictures, t)
    """
    side = isqrt(looks.shape[1])
    if side < 2 or side * side != looks.shape[1]:
        return None
    largest = np.maximum(looks.max(1, keepdims=True), 1e-12)
    return np.asarray((looks / largest).reshape(len(looks), side, side))


def _shares(counts: np.ndarray) -> tuple[float, ...]:
    """Return counts as shares of their sum."""
    return tuple((counts / counts.sum()).tolist())
