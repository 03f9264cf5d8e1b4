"""Whether a run was asked what the protocol asks, for the dataset that everybody has."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from taxbench.datasets.dataset import Dataset, load_dataset
from taxbench.protocol.protocol import Protocol
from taxbench.results.predictions import OWN, Predictions, collected
from taxbench.specs.result import Result
from taxbench.util.errors import TaxbenchError

_POCKET = "pocket"
_MOST_PAIRS = 10_000_000  # THINGS has half a million


def size_problems(predictions: Predictions) -> Iterator[str]:
    """Yield why a record would cost hours where it is shown: AUROC is resampled by pairs of leaves, term by term.

    Of questions about two images, by pairs of what they show.
    """
    asked = np.unique(
        np.column_stack([predictions.term, np.sort(predictions.leaf_pairs(), axis=1), predictions.answer]), axis=0
    )
    counts = [np.bincount(asked[asked[:, -1] == answer, 0], minlength=len(predictions.terms)) for answer in (0, 1)]
    pairs = int((counts[0].astype(np.int64) * counts[1]).sum())
    if pairs > _MOST_PAIRS:
        yield f"Its terms are asked of {pairs:,} pairs of leaves, too many to resample; at most {_MOST_PAIRS:,}."


def question_problems(result: Result, predictions: Predictions) -> Iterator[str]:
    """Yield how the questions, their words and the evidence of a run on `pocket` differ from the protocol's.

    Of a graded task, whose re-pairing goes by the features, only the dataset is checked; of other datasets, nothing.
    """
    run = result.run
    if run.dataset.name != _POCKET:
        return
    dataset = _pocket()
    if run.dataset.fingerprint != dataset.fingerprint:
        yield (
            f"The dataset '{_POCKET}' has the fingerprint {dataset.fingerprint} in this version, not "
            f"{run.dataset.fingerprint}. Run it again with this version."
        )
        return
    if run.task.counterfactual.kind == "graded":
        return
    protocol = Protocol(run.task, dataset, run.seed)
    try:
        digest = protocol.asked_property and protocol.asked_property.digest
        if digest != run.dataset.properties:
            yield f"run.dataset.properties is {run.dataset.properties}; in this version of '{_POCKET}' it is {digest}."
        for name, texts in (("taught", protocol.taught_texts), ("asked", protocol.asked_texts)):
            if (said := run.language and getattr(run.language, name)) != texts.digest:
                yield (
                    f"run.language.{name} is {said}; by the file of that language here it is {texts.digest}: other "
                    "words were said. Run it again with this file."
                )
        if result.unlabelled_terms != protocol.unlabelled:
            yield f"unlabelled_terms is {result.unlabelled_terms}; the protocol gives {protocol.unlabelled}."
        asked = _asked(protocol)
    except TaxbenchError as error:
        yield f"The protocol cannot ask this task of '{_POCKET}': {error}"
        return
    if asked.questions_digest() != predictions.questions_digest():
        yield _difference(asked, predictions, run.seed)
    evidence = protocol.evidence()
    for name, value in evidence:
        if getattr(result.evidence, name) != value:
            yield f"evidence.{name} is {getattr(result.evidence, name)}; the protocol gives {value}."


@cache
def _pocket() -> Dataset:
    """Return the dataset `pocket`, loaded once, against which questions are checked."""
    return load_dataset(_POCKET)


def _asked(protocol: Protocol) -> Predictions:
    """Return the questions that the protocol asks in the test, as predictions with margins of zero."""
    images = [image.id for image in protocol.dataset.images]
    asked = {split: protocol.test(split) for split in protocol.task.evaluate}
    parts = {split: (questions, {OWN: np.zeros(len(questions))}) for split, questions in asked.items()}
    return collected(parts, images, protocol.leaf, protocol.dataset.taxonomy.leaves, protocol.vocabulary.terms)


def _difference(asked: Predictions, found: Predictions, seed: int) -> str:
    """Say where a record's questions first differ from those that the protocol asks."""
    begins = f"The questions are not those that the protocol asks of '{_POCKET}' with seed {seed}"
    if len(asked) != len(found):
        return f"{begins}: {len(found):,}, not {len(asked):,}."
    for row in range(len(asked)):
        mine, theirs = (f"{each.splits[each.split[row]]}: {each.in_words(row)}" for each in (asked, found))
        if mine != theirs:
            return f"{begins}: question {row:,} is {theirs}, not {mine}."
    return f"{begins}: the leaves of its images are others."
