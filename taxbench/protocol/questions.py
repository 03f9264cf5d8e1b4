"""Questions: a vocabulary's terms as text, and who is asked what."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np

from taxbench.protocol.words import plural, with_article
from taxbench.specs.task import Questions
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.seeds import rng


def render_question(questions: Questions, term: str, forms: Mapping[str, str]) -> str:
    """Fill a task's template: `{a_term}` is the term with its article, `{term}` the bare term, `{plural}` its plural.

    Args:
        forms: The dataset's own forms with articles, used where the task asks for them.
    """
    own = forms.get(term) if questions.articles == "dataset" else None
    return questions.template.format(a_term=own or with_article(term), term=term, plural=plural(term))


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions as columns, one row a question."""

    image: np.ndarray  # (q,) int64, index into the dataset's n images; of two: first + n · (second + 1)
    term: np.ndarray  # (q,) int64, index into the vocabulary's terms
    answer: np.ndarray  # (q,) bool, whether the term is true of the image

    def __len__(self) -> int:
        return len(self.image)

    def where(self, rows: np.ndarray) -> "QuestionSet":
        """Return some of the questions.  # rows: (q,) bool"""
        return QuestionSet(self.image[rows], self.term[rows], self.answer[rows])

    @staticmethod
    def concat(parts: "list[QuestionSet]") -> "QuestionSet":
        """Join question sets in order."""
        columns = zip(*((part.image, part.term, part.answer) for part in parts), strict=True)
        return QuestionSet(*map(np.concatenate, columns))


class Vocabulary:
    """All terms that can be asked: the names of leaves first, then hypernyms, then the questions of a property task.

    A word may be both and has then two entries. Leaves that share a name (THINGS has three batons) share an entry.
    """

    def __init__(self, taxonomy: Taxonomy, of_property: tuple[str, ...] = ()) -> None:
        display_name = [taxonomy.display_name(leaf) for leaf in taxonomy.leaves]
        names = sorted(set(display_name))
        self.n_names = len(names)
        self.n_taught = len(names) + len(taxonomy.hypernyms)
        self.terms: tuple[str, ...] = (*names, *taxonomy.hypernyms, *of_property)
        index = {name: i for i, name in enumerate(names)}
        self.name_of = np.array([index[name] for name in display_name], dtype=np.int64)  # (l,)

    def is_hypernym(self, term: np.ndarray) -> np.ndarray:
        """Say which terms are hypernyms."""
        return (term >= self.n_names) & (term < self.n_taught)


class QuestionSampler:
    """What may be asked of each leaf's images: true terms, and for each of them the wrong terms to draw from."""

    def __init__(self, true: np.ndarray, wrong: np.ndarray, related: np.ndarray | None = None) -> None:
        """Take tables over leaves and terms.

        Args:
            true: Which terms are true of a leaf and may be asked of it.  # (l, v) bool
            wrong: Which terms are wrong for a leaf and may be asked of it.  # (l, v) bool
            related: Which terms are siblings; wrong terms are then drawn from the siblings of the true one where there
                are any.  # (v, v) bool
        """
        leaf, self.term = np.nonzero(true)  # (p,) each: one pair of a leaf and a true term
        self.first = np.searchsorted(leaf, np.arange(len(true) + 1))  # (l + 1,): where each leaf's pairs begin
        options = [np.flatnonzero(wrong[row]) for row in range(len(true))]  # per leaf
        per_pair = [options[row] for row in leaf]
        if related is not None:
            near = [row[related[term][row]] for row, term in zip(per_pair, self.term, strict=True)]
            per_pair = [some if len(some) else every for some, every in zip(near, per_pair, strict=True)]
        self._set_wrong(per_pair)

    def _set_wrong(self, per_pair: list[np.ndarray]) -> None:
        """Take the wrong terms of each pair, joined to one row."""
        self.count = np.array([len(row) for row in per_pair], dtype=np.int64)  # (p,)
        self.start = np.cumsum(self.count) - self.count  # (p,)
        self.wrong = np.concatenate([*per_pair, np.zeros(0, np.int64)]).astype(np.int64)

    def fixed(self, n: int, seed: int, purpose: str) -> "QuestionSampler":
        """Return the same with `n` wrong terms of each pair, drawn once: every question of the pair asks those."""
        kept = []
        for pair, (start, count) in enumerate(zip(self.start, self.count, strict=True)):
            some = rng(seed, "fixed", purpose, pair).permutation(self.wrong[start : start + count])
            kept.append(some[:n])
        fixed = copy(self)
        fixed._set_wrong(kept)
        return fixed

    def sample(
        self,
        images: np.ndarray,
        leaf: np.ndarray,
        negatives: int,
        generator: np.random.Generator | None,
        distinct: bool = False,
    ) -> QuestionSet:
        """Ask each image every true term and, for each, `negatives` wrong ones.

        Args:
            images: Indices of the images.  # (n,)
            leaf: Leaf of each of them.  # (n,)
            generator: What wrong terms are drawn with, uniformly and with replacement; None takes them in order.
            distinct: Whether an image is asked no wrong term twice; with a generator. Where its wrong terms run out,
                fewer are asked.
        """
        n_pairs = self.first[leaf + 1] - self.first[leaf]  # (n,)
        image = np.repeat(images, n_pairs)  # (r,)
        ends = np.cumsum(n_pairs)
        pair = np.arange(len(image)) - np.repeat(ends - n_pairs, n_pairs) + np.repeat(self.first[leaf], n_pairs)
        count = np.maximum(self.count[pair], 1)[:, None]  # (r, 1)
        if generator is None:
            draw = np.arange(negatives)[None, :] % count
        else:
            draw = generator.integers(0, count, size=(len(pair), negatives))  # (r, negatives)
        place = np.minimum(self.start[pair][:, None] + draw, max(0, len(self.wrong) - 1))
        drawn = self.wrong[place] if len(self.wrong) else np.zeros((len(pair), negatives), np.int64)
        term = np.concatenate([self.term[pair][:, None], drawn], axis=1)  # (r, 1 + negatives)
        answer = np.broadcast_to(np.arange(1 + negatives) == 0, term.shape)
        there = answer | (self.count[pair] > 0)[:, None]  # a pair without wrong terms asks no negative
        if distinct and generator is not None:
            self._redraw(image, pair, term[:, 1:], there[:, 1:], generator)
        columns = np.repeat(image, 1 + negatives).reshape(term.shape)
        return QuestionSet(columns[there], term[there].astype(np.int64), answer[there])

    def _redraw(
        self, image: np.ndarray, pair: np.ndarray, term: np.ndarray, there: np.ndarray, generator: np.random.Generator
    ) -> None:
        """Draw anew, among what their image is not asked yet, wrong terms that it is asked for a second time.

        Args:
            image: The image of each row.  # (r,)
            pair: Its pair of a leaf and a true term.  # (r,)
            term: Wrong terms as they were drawn, which change.  # (r, n)
            there: Which of them are asked; those for which nothing is left no longer are.  # (r, n) bool
        """
        owner = np.broadcast_to(image[:, None], term.shape)
        asked = set(zip(owner[there].tolist(), term[there].tolist(), strict=True))
        _, first = np.unique(np.stack([owner[there], term[there]]), axis=1, return_index=True)
        again = np.setdiff1d(np.arange(there.sum()), first)
        for row, column in np.argwhere(there)[again].tolist():
            start = self.start[pair[row]]
            options = self.wrong[start : start + self.count[pair[row]]].tolist()
            left = [option for option in options if (image[row], option) not in asked]
            there[row, column] = bool(left)
            if left:
                term[row, column] = left[generator.integers(len(left))]
                asked.add((image[row], term[row, column]))
