"""Questions: which term is asked of which image, and how that becomes text."""

from dataclasses import dataclass

import numpy as np

from taxbench.data.articles import with_article
from taxbench.data.taxonomy import Taxonomy


def render_question(template: str, term: str) -> str:
    """Fill a task's template: `{a_term}` is the term with its article, `{term}` the bare term."""
    return template.format(a_term=with_article(term), term=term)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions as columns, one row a question."""

    image: np.ndarray  # (q,) int64, index into the dataset's images
    term: np.ndarray  # (q,) int64, index into the vocabulary's terms
    answer: np.ndarray  # (q,) bool, whether the term is true of the image

    def __len__(self) -> int:
        return len(self.image)

    @staticmethod
    def concat(parts: "list[QuestionSet]") -> "QuestionSet":
        """Join question sets in order."""
        return QuestionSet(
            np.concatenate([part.image for part in parts]),
            np.concatenate([part.term for part in parts]),
            np.concatenate([part.answer for part in parts]),
        )


class Vocabulary:
    """All terms that can be asked: leaves first, then hypernyms; a word may be both and has then two entries."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.n_leaves = len(taxonomy.leaves)
        self.terms: tuple[str, ...] = (*taxonomy.leaves, *taxonomy.hypernyms)
        hypernym_index = {name: self.n_leaves + i for i, name in enumerate(taxonomy.hypernyms)}
        everything = np.arange(self.n_leaves, len(self.terms))
        self.true_hypernyms = [
            np.array([hypernym_index[h] for h in taxonomy.hypernyms_of[leaf]], dtype=np.int64)
            for leaf in taxonomy.leaves
        ]  # per leaf
        self.wrong_hypernyms = [np.setdiff1d(everything, true) for true in self.true_hypernyms]  # per leaf

    def is_hypernym(self, term: np.ndarray) -> np.ndarray:
        """Say which terms are hypernyms."""
        return term >= self.n_leaves


def ask_leaves(
    images: np.ndarray, leaf: np.ndarray, allowed: np.ndarray, negatives: int, generator: np.random.Generator
) -> QuestionSet:
    """Ask each image its own leaf and `negatives` wrong ones, uniform over `allowed` without its own.

    Args:
        images: Indices of the images.  # (n,)
        leaf: Leaf index of each of them, all in `allowed`.  # (n,)
        allowed: Sorted leaf indices that may be asked.  # (l,), l ≥ 2
    """
    own = np.searchsorted(allowed, leaf)  # (n,)
    draw = generator.integers(0, len(allowed) - 1, size=(len(images), negatives))  # (n, negatives)
    draw += draw >= own[:, None]  # step over the own leaf
    term = np.concatenate([leaf[:, None], allowed[draw]], axis=1)  # (n, 1 + negatives)
    return _rows(images, term, n_true=1)


def ask_hypernyms(
    images: np.ndarray, leaf: np.ndarray, vocabulary: Vocabulary, negatives: int, generator: np.random.Generator
) -> QuestionSet:
    """Ask each image every true hypernym and, for each, `negatives` wrong ones, uniform and redrawn per question."""
    parts = []
    for index in np.unique(leaf):
        true, wrong = vocabulary.true_hypernyms[index], vocabulary.wrong_hypernyms[index]
        rows = images[leaf == index]
        n_wrong = negatives * len(true) if len(wrong) else 0
        drawn = generator.integers(0, max(1, len(wrong)), size=(len(rows), n_wrong))  # (r, n_wrong)
        term = np.concatenate([np.broadcast_to(true, (len(rows), len(true))), wrong[drawn]], axis=1)
        parts.append(_rows(rows, term, n_true=len(true)))
    return QuestionSet.concat(parts)


def _rows(images: np.ndarray, term: np.ndarray, n_true: int) -> QuestionSet:
    """Flatten a table of terms per image whose first `n_true` columns are true."""
    n, columns = term.shape
    answer = np.broadcast_to(np.arange(columns) < n_true, (n, columns))
    return QuestionSet(np.repeat(images, columns), term.reshape(-1).astype(np.int64), answer.reshape(-1).copy())
