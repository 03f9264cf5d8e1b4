"""What a property task asks at test: statements about a property of leaves, each in several wordings.

A statement is what a cell of the table decides: that the property holds, that a colour is one of the leaf's, that the
leaf is bigger than a reference. Each wording of it is a term with an answer a leaf, and is scored as hypernyms are.
Half of the wordings are reversed, so that an LM which likes to say Yes gains nothing by it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from taxbench.datasets.dataset import Dataset
from taxbench.protocol.leaks import lemmas
from taxbench.protocol.questions import QuestionSet
from taxbench.protocol.words import with_article, words
from taxbench.specs.property_asked import PropertyQuestions
from taxbench.specs.spec import content_hash
from taxbench.taxonomy.norms import property_of
from taxbench.taxonomy.properties import PropertyColumn, Value
from taxbench.util.errors import DataError, did_you_mean, first_few

UNCLEAR = 1.25
"""A leaf's number within this factor of a reference's is too near to it: not asked, since both answers may be right."""
_SHORTEST = 3  # letters of a word that is looked for in names, and of what must be left of a compound
# Words of questions that say nothing of a property.
_FUNCTION = words(
    """
    and any are but can could did does for from had has have how image its itself lot made make makes may might more
    most much must never not odd often one only other out own photo picture put she show shown shows some something
    than that the them there they thing things this those usually very was way were what when where which will with
    without would you your
    """
)


@dataclass(frozen=True)
class AskedProperty:
    """All statements of a property task about the leaves of a dataset, and their wordings."""

    questions: tuple[str, ...]
    """Statement by statement, each in all wordings."""
    reversed: np.ndarray  # (w,) bool: whether a wording is answered Yes where the statement is false
    truth: np.ndarray  # (l, s) int8: 1 where a statement is true of a leaf, 0 where false, -1 where it is not asked
    drawn: bool
    """Whether an image is asked the true statements and as many false ones; else all."""
    unasked: tuple[str, ...]
    """Leaves whose name says a word of a statement, and which are not asked it."""
    digest: str
    """Of the column."""
    numbers: np.ndarray | None  # (l,) the column's numbers, NaN where unknown; None: it holds no numbers
    images: int | None = None
    """How many images of a leaf are asked; None: all."""
    partners: int = 0
    """With how many others an image is asked together."""

    @property
    def answers(self) -> np.ndarray:
        """Return how each question is to be answered of each leaf: 1, 0, or -1 where it is not asked.  # (l, s · w)"""
        truth = np.repeat(self.truth, len(self.reversed), axis=1)
        flipped = np.tile(self.reversed, self.truth.shape[1])
        return np.where(truth < 0, truth, truth ^ flipped)

    def ask(self, images: np.ndarray, leaf: np.ndarray, first: int, generator: np.random.Generator) -> QuestionSet:
        """Ask images all statements, each in every wording.

        Args:
            images: Indices of the images.  # (n,)
            leaf: Leaf of each of them.  # (n,)
            first: The term of the first question.
            generator: What false statements are drawn with.
        """
        if self.images is not None:
            few = _rank_within(leaf) < self.images
            images, leaf = images[few], leaf[few]
        truth = self.truth[leaf]  # (n, s)
        asked = truth >= 0
        if self.drawn:
            order = np.where(truth == 0, generator.random(truth.shape), np.inf).argsort(1).argsort(1)
            asked = (truth > 0) | ((truth == 0) & (order < np.maximum((truth > 0).sum(1, keepdims=True), 1)))
        row, statement = np.nonzero(asked)
        n = len(self.reversed)
        term = (statement[:, None] * n + np.arange(n)).ravel()
        answer = ((truth[row, statement] > 0)[:, None] ^ self.reversed).ravel()
        return QuestionSet(np.repeat(images[row], n), first + term.astype(np.int64), answer)

    def ask_pairs(
        self, images: np.ndarray, leaf: np.ndarray, first: int, size: int, generator: np.random.Generator
    ) -> QuestionSet:
        """Ask images together with others of leaves whose numbers are clearly apart, both ways round, in all wordings.

        Args:
            images: Indices of the images.  # (n,)
            leaf: Leaf of each of them.  # (n,)
            first: The term of the first question.
            size: How many images the dataset has.
            generator: What partners are drawn with.
        """
        few = (_rank_within(leaf) < (self.images or len(leaf))) & (self.truth[leaf, 0] >= 0)
        images, number = images[few], np.log(self._numbers_of(leaf[few]))
        clear = np.abs(number[:, None] - number) >= np.log(UNCLEAR)  # (n, n)
        order = np.where(clear, generator.random(clear.shape), np.inf).argsort(1)[:, : self.partners]
        one = np.repeat(np.arange(len(images)), order.shape[1])
        other = order.ravel()
        told = clear[one, other]  # some may have fewer partners
        both = np.unique(np.sort(np.stack([one[told], other[told]]), axis=0), axis=1)  # each pair once
        one, other = np.concatenate([both, both[::-1]], axis=1)
        n = len(self.reversed)
        more = (number[one] > number[other])[:, None] ^ self.reversed  # (p, w)
        code = images[one] + size * (images[other] + 1)
        return QuestionSet(np.repeat(code, n), first + np.tile(np.arange(n), len(one)), more.ravel())

    def _numbers_of(self, leaf: np.ndarray) -> np.ndarray:
        """Return the numbers of leaves, which are above zero."""
        assert self.numbers is not None
        return np.asarray(self.numbers[leaf], np.float64)


def asked_property(asks: PropertyQuestions, dataset: Dataset) -> AskedProperty:
    """Return what a property task asks of a dataset.

    Raises:
        DataError: it has no such property, of no such kind, or a statement is true, or false, of all leaves.
    """
    column, leaves = property_of(dataset.properties, asks.column, dataset.name), dataset.taxonomy.leaves
    statements = list(_statements(asks, column, dataset))
    kept, truth, unasked = [], np.full((len(leaves), len(statements)), -1, np.int8), set[str]()
    for place, (asked, holds) in enumerate(statements):
        said = {word for text in asked for word in re.findall(r"[^\W\d_]+", text.lower())}
        telling = {word for word in said if len(word) >= _SHORTEST} - _FUNCTION
        for row, leaf in enumerate(leaves):
            if leaf in holds and _says(dataset.taxonomy.display_name(leaf), telling):
                unasked.add(leaf)
            else:
                truth[row, place] = holds.get(leaf, -1)
        if asks.partners:
            _check_pairs(asks, column, dataset)
        elif not {0, 1} <= set(truth[:, place].tolist()):
            only = "no" if 1 not in truth[:, place] else "every"
            raise DataError(
                f"'{asked[0]}' is true of {only} leaf of '{dataset.name}' that can be asked, so nothing can be told "
                f"from it: the column '{asks.column}' needs leaves of both kinds."
            )
        kept += asked
    n = len(asks.wordings), len(asks.reversed)
    digest = content_hash({leaf: _plain(value) for leaf, value in sorted(column.values.items())})
    numbers = np.array([column.values.get(leaf, np.nan) for leaf in leaves]) if column.kind == "numbers" else None
    return AskedProperty(
        tuple(kept), np.repeat([False, True], n), truth, bool(asks.values), tuple(sorted(unasked)), digest, numbers,
        asks.images, asks.partners,
    )  # fmt: skip


def _rank_within(leaf: np.ndarray) -> np.ndarray:
    """Return which of its leaf's images each one is, the first of them 0.  # (n,)"""
    order = np.argsort(leaf, kind="stable")
    starts = np.searchsorted(leaf[order], leaf[order])
    rank = np.empty(len(leaf), np.int64)
    rank[order] = np.arange(len(leaf)) - starts
    return rank


def _check_pairs(asks: PropertyQuestions, column: PropertyColumn, dataset: Dataset) -> None:
    """Refuse a column of which no two leaves can be compared."""
    numbers = [value for value in column.values.values() if isinstance(value, float)]
    if column.kind != "numbers" or min(numbers) <= 0 or max(numbers) < UNCLEAR * min(numbers):
        raise DataError(
            f"The column '{asks.column}' of '{dataset.name}' cannot be compared: expected numbers above zero, some of "
            f"them {UNCLEAR} times others."
        )


def _plain(value: Value) -> float | bool | list[str]:
    """Return a value of a column as JSON has it."""
    return sorted(value) if isinstance(value, frozenset) else value


def _statements(
    asks: PropertyQuestions, column: PropertyColumn, dataset: Dataset
) -> Iterator[tuple[list[str], dict[str, bool]]]:
    """Yield every statement: its wordings, and of which leaves it is true or false."""
    templates, known = (*asks.wordings, *asks.reversed), column.values
    wanted = "words" if asks.values else "numbers" if asks.references else "numbers or yes or no"
    if column.kind not in wanted:
        raise DataError(
            f"The task asks for {wanted}, but the column '{asks.column}' of '{dataset.name}' holds {column.kind}."
        )
    if asks.values:
        found = sorted({word for value in known.values() if isinstance(value, frozenset) for word in value})
        for word in asks.values:
            if word not in found:
                hint = did_you_mean(word, found)
                raise DataError(f"The column '{asks.column}' has no '{word}'.{hint} It has {first_few(found, 20)}.")
            yield (
                [text.format(value=word) for text in templates],
                {leaf: word in value for leaf, value in known.items() if isinstance(value, frozenset)},
            )
        return
    numbers = {leaf: float(value) for leaf, value in known.items() if isinstance(value, float | bool)}
    if asks.partners:  # what is true of a leaf depends on the other one
        yield [*templates], dict.fromkeys(numbers, True)
        return
    for name, reference in asks.references.items():
        asked = [text.format(reference=name, a_reference=with_article(name)) for text in templates]
        clear = {leaf: number for leaf, number in numbers.items()
                 if number >= reference * UNCLEAR or number <= reference / UNCLEAR}  # fmt: skip
        yield asked, {leaf: number > reference for leaf, number in clear.items()}
    if not asks.references:
        low, high = np.quantile([*numbers.values()], [1 / 3, 2 / 3])
        if column.kind == "yes or no":
            low, high = 0.0, 1.0
        clear = {leaf: number for leaf, number in numbers.items() if number <= low or number >= high}
        yield [*templates], {leaf: number >= high and number > low for leaf, number in clear.items()}


def _says(name: str, telling: set[str]) -> bool:
    """Say whether a leaf's name says one of some words: alone, or in a compound such as goldfish or bighorn."""
    for part in re.findall(r"[^\W\d_]+", name.lower()):
        for word in telling:
            long_enough = len(part) - len(word) >= _SHORTEST
            if lemmas(part) & lemmas(word) or (long_enough and (part.startswith(word) or part.endswith(word))):
                return True
    return False
