"""Ask the LM, without any picture, what the benchmark asks: the name stands where the soft tokens will stand.

The main figure is about everyday nouns and pairs whose question never occurred in training; half of those pairs were
not even stated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from taxbench.datasets.dataset import load_dataset
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.question_scorer import QuestionScorer, compare
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.reading_questions import TEMPLATE, render
from taxbench.pocket.train.tokenizer import NO, YES
from taxbench.protocol.property_questions import asked_property
from taxbench.protocol.questions import QuestionSet
from taxbench.runs.prompts import name_scores
from taxbench.scoring.metrics import category_scores, summarise
from taxbench.specs.result import Scores
from taxbench.tasks.registry import find_tasks
from taxbench.util.progress import QUIET

EVERYDAY = 2000
# A category word is part of the evaluation when it is itself everyday and covers enough everyday names.
_MIN_FAMILIARITY, _MIN_LEAVES = 3.0, 10
# It must also mostly mean that category: "work" is seldom a product, "ground" seldom a material.
_MIN_SHARE = 0.4
# A meaning counts as one of the name's main ones from this share of its uses on.
_MAIN_SENSE = 0.25


@dataclass(frozen=True, slots=True)
class Pair:
    """One question: is `term` true of `context`?"""

    context: str
    term: str
    is_yes: bool


def margins(lm: FrozenLM, pairs: Sequence[Pair], template: str = TEMPLATE) -> np.ndarray:
    """Return logit(Yes) - logit(No) of each question, put to the LM as `taxbench probe` puts questions about names.

    Returns:
        The margins, in the order of the pairs.  # (pairs,) float32
    """
    names, terms, asked = _columns(pairs)
    questions = tuple(render(template, term) for term in terms)
    scorer = QuestionScorer.of(lm, questions, ((YES.strip(),), (NO.strip(),)))
    with QUIET.bar("names", len(pairs), "q") as advance:
        scores = torch.from_numpy(name_scores(scorer, names, asked, advance))
    return np.asarray(compare(scores, positive=1))


def score(pairs: Sequence[Pair], found: np.ndarray) -> Scores:
    """Compare margins with answers as a run does; hypernyms with a single answer class are left out of the means.

    Args:
        found: The margins, in the order of the pairs.  # (pairs,)
    """
    _, terms, asked = _columns(pairs)
    return summarise(category_scores("text", terms, asked, found))


def _columns(pairs: Sequence[Pair]) -> tuple[tuple[str, ...], tuple[str, ...], QuestionSet]:
    """Return the names and the terms of pairs, sorted, and the pairs as questions that index them."""
    names, image = np.unique([pair.context for pair in pairs], return_inverse=True)
    terms, term = np.unique([pair.term for pair in pairs], return_inverse=True)
    asked = QuestionSet(image, term, np.array([pair.is_yes for pair in pairs], bool))
    return tuple(map(str, names)), tuple(map(str, terms)), asked


def by_name(scores: Scores) -> dict[str, float]:
    """Return what is shown of the scores, NaN for what could not be computed."""
    shown = {"macro-F1": scores.macro_f1, "AUROC": scores.auroc, "accuracy": scores.accuracy}
    return {name: float("nan") if value is None else value for name, value in shown.items()}


@dataclass(frozen=True, slots=True)
class EverydayPairs:
    """Questions about everyday nouns, by how much of the pair training has seen."""

    unseen: list[Pair]
    unasked: list[Pair]
    trained: list[Pair]


def everyday_pairs(corpus: Corpus, seed: int, first: int = 0, last: int = EVERYDAY) -> EverydayPairs:
    """Return the true pairs of the names ranked first..last with one wrong term each, drawn uniformly."""
    generator = np.random.default_rng(seed)
    terms = category_terms(corpus)
    result = EverydayPairs([], [], [])
    for name in corpus.ranked[first:last].tolist():
        true = _main_categories(corpus, name)
        wrong = [term for term in terms if corpus.is_wrong(name, term)]
        held_out = [term for term in wrong if corpus.is_unasked_wrong(name, term)]
        trained = [term for term in wrong if not corpus.is_unasked_wrong(name, term)]
        for term in terms:
            if term not in true or name == term:
                continue
            is_trained = not corpus.is_unasked(name, term)
            kind = result.trained if is_trained else result.unasked
            kind = result.unseen if corpus.is_unseen(name, term) else kind
            denied = trained if is_trained else held_out
            if denied:
                other = denied[int(generator.integers(len(denied)))]
                kind.append(Pair(corpus.names[name], corpus.names[term], True))
                kind.append(Pair(corpus.names[name], corpus.names[other], False))
    return result


def category_terms(corpus: Corpus) -> list[int]:
    """Return the common category words: everyday, unambiguous, and true of enough everyday names."""
    counts: dict[int, int] = {}
    for name in corpus.ranked[:EVERYDAY].tolist():
        for term in _main_categories(corpus, name):
            counts[term] = counts.get(term, 0) + 1
    return sorted(
        term for term, count in counts.items() if count >= _MIN_LEAVES and corpus.familiarity[term] >= _MIN_FAMILIARITY
    )


def _main_categories(corpus: Corpus, name: int) -> set[int]:
    """Return the category words true of the main physical meanings of a name, in their own main meaning."""
    main = [synset for synset, share in corpus.sense_weights[name] if share >= _MAIN_SENSE]
    return {
        term
        for synset in main
        for above in corpus.ancestors[synset]
        for term in corpus.lemmas[above]
        if synset in corpus.terms and term in corpus.terms[synset].ids and corpus.share(term, above) >= _MIN_SHARE
    }


def taxonomy_pairs(hypernyms_of: Mapping[str, Sequence[str]], seed: int) -> list[Pair]:
    """Return every leaf with each of its hypernyms and as many wrong ones, drawn uniformly as the benchmark does."""
    generator = np.random.default_rng(seed)
    every = sorted({term for terms in hypernyms_of.values() for term in terms})
    pairs = []
    for leaf, terms in sorted(hypernyms_of.items()):
        wrong = [term for term in every if term not in terms and term != leaf]
        for term in terms:
            pairs.append(Pair(leaf, term, True))
            pairs.append(Pair(leaf, wrong[int(generator.integers(len(wrong)))], False))
    return pairs


def property_pairs() -> dict[str, tuple[list[Pair], list[Pair]]]:
    """Return what the default property tasks ask of pocket's leaves, by task: direct wordings, and reversed ones."""
    dataset, asked = load_dataset("pocket", None), {}
    names = [dataset.taxonomy.display_name(leaf) for leaf in dataset.taxonomy.leaves]
    for task in find_tasks().resolve(["physical"]):
        if task.property_questions is None:
            continue
        found = asked_property(task.property_questions, dataset)
        kinds: tuple[list[Pair], list[Pair]] = ([], [])
        for leaf, place in np.argwhere(found.answers >= 0).tolist():
            is_reversed = int(found.reversed[place % len(found.reversed)])
            kinds[is_reversed].append(Pair(names[leaf], found.questions[place], bool(found.answers[leaf, place])))
        asked[task.name] = kinds
    return asked
