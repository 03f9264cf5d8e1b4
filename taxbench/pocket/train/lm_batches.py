"""Turn the rows of one training step into tensors of a fixed shape, so that the step can be compiled once."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch

from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.lm_rows import MAX_CONTEXT, Phrasebook, RowMaker, TrainingRow, answer_places, lay_out

# Answers that are also scored against the whole vocabulary, so that "yes" and "no" are what the LM would write.
_WRITTEN_ANSWERS = 64
# More questions than this per row hardly ever fit.
_ANSWERS_PER_ROW = 12


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """A fixed-shape batch; unused places in the loss carry weight 0."""

    ids: torch.Tensor  # (b, l)
    segment: torch.Tensor  # (b, l)
    position: torch.Tensor  # (b, l)
    answer_at: torch.Tensor  # (a,) into the flattened batch
    answer_yes: torch.Tensor  # (a,) 1.0 yes, 0.0 no
    answer_weight: torch.Tensor  # (a,)
    token_at: torch.Tensor  # (s,) into the flattened batch
    token_next: torch.Tensor  # (s,)
    token_weight: torch.Tensor  # (s,)
    candidates: torch.Tensor  # (2,) token ids of yes and no
    noise: torch.Tensor  # (b, MAX_CONTEXT, d) to be added to the embeddings after BOS, 0 outside the context


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The sizes of one step."""

    question_rows: int
    statement_rows: int
    length: int
    width: int


class BatchMaker:
    """Make the batch of any step: a function of seed and step alone, so a resumed run sees the same data."""

    def __init__(self, corpus: Corpus, book: Phrasebook, shape: BatchShape, seed: int) -> None:
        """Keep the facts and the sizes."""
        self._corpus, self._book, self._shape, self._seed = corpus, book, shape, seed
        self._answer_ids = (book.yes, book.no)

    def rows(self, step: int, pool: int) -> list[TrainingRow]:
        """Return the rows of one step, question rows first."""
        random = Random(f"{self._seed}/{step}")
        maker = self._row_maker(random, pool)
        questions = [maker.question_row() for _ in range(self._shape.question_rows)]
        return questions + [maker.statement_row() for _ in range(self._shape.statement_rows)]

    def _row_maker(self, random: Random, pool: int) -> RowMaker:
        """Return what writes the rows of a step."""
        return RowMaker(self._corpus, self._book, random, pool, self._shape.length)

    def batch(self, step: int, pool: int, noise: float) -> TokenBatch:
        """Return the tensors of one step; `noise` is the mean standard deviation on half of the contexts."""
        rows = self.rows(step, pool)
        ids, segment, position = lay_out(rows, self._book.bos, self._shape.length)
        arrays = ids, segment, position, *self._answers(rows), *self._written(rows, ids, segment)
        candidates = torch.tensor(self._answer_ids)
        return TokenBatch(*[*map(torch.from_numpy, arrays), candidates, self._noise(step, segment, noise)])

    def _answers(self, rows: list[TrainingRow]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return place, answer and weight of every question, padded to a fixed number."""
        size = self._shape.question_rows * _ANSWERS_PER_ROW
        questions = rows[: self._shape.question_rows]
        places = answer_places(questions, self._shape.length)[:size]
        answers = [answer for row in questions for answer in row.answers][:size]
        at, yes, weight = np.zeros(size, np.int64), np.zeros(size, np.float32), np.zeros(size, np.float32)
        at[: len(places)], yes[: len(places)] = places, answers
        weight[: len(places)] = 1.0 / max(len(places), 1)
        return at, yes, weight

    def _written(
        self, rows: list[TrainingRow], ids: np.ndarray, segment: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return places, next tokens and weights scored against the whole vocabulary."""
        length, first = self._shape.length, self._shape.question_rows
        size = self._shape.statement_rows * length + _WRITTEN_ANSWERS
        at, following, weight = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.float32)
        same = (segment[first:, 1:] == segment[first:, :-1]) & (segment[first:, 1:] > 0)
        inside = np.flatnonzero(np.pad(same, ((0, 0), (0, 1)))) + first * length
        places = answer_places(rows[:first], length)[:_WRITTEN_ANSWERS]
        answers = [answer for row in rows[:first] for answer in row.answers][:_WRITTEN_ANSWERS]
        count = len(inside) + len(places)
        at[: len(inside)], following[: len(inside)] = inside, ids.reshape(-1)[inside + 1]
        at[len(inside) : count] = places
        following[len(inside) : count] = [self._answer_ids[0 if answer else 1] for answer in answers]
        weight[:count] = 1.0 / max(count, 1)
        return at, following, weight

    def _noise(self, step: int, segment: np.ndarray, scale: float) -> torch.Tensor:
        """Draw what makes half of the contexts look like the soft tokens of a trained head."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        noise = torch.randn(len(segment), MAX_CONTEXT, self._shape.width, generator=generator)
        strength = scale * 2.0 * torch.rand(len(segment), 1, generator=generator)
        strength = strength * (torch.rand(len(segment), 1, generator=generator) < 0.5)
        places = torch.from_numpy(segment[:, 1 : 1 + MAX_CONTEXT] == 0)
        return noise * (strength * places)[..., None]
