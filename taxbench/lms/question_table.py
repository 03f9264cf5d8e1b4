"""The questions of a vocabulary as token ids."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taxbench.lms.frozen import FrozenLM
from taxbench.protocol.answers import Strings, answer_tokens


@dataclass(frozen=True, slots=True)
class QuestionTable:
    """Texts as token ids, without the stem that all begin with ("Is there"), right-aligned."""

    bos: Tensor  # (1,) int64, or empty
    stem: Tensor  # (s,) int64
    ids: Tensor  # (v, w) int64, 0 where unused
    used: Tensor  # (v, w) bool
    answers: tuple[Strings, Strings]  # token ids of the positive and of the negative answers

    @property
    def widths(self) -> Tensor:
        """Return how many tokens each text has after the stem.  # (v,) int64"""
        return self.used.sum(1)

    @property
    def length(self) -> int:
        """Return how many tokens the longest row has besides soft tokens."""
        return len(self.bos) + len(self.stem) + self.ids.shape[1]

    @property
    def strings(self) -> Strings:
        """Return all answers, the positive ones first."""
        return self.answers[0] + self.answers[1]

    def full(self, term: int) -> Tensor:
        """Return the whole text of a row.  # (n,)"""
        return torch.cat([self.stem, self.ids[term][self.used[term]]])

    def continued(self, strings: Strings) -> "QuestionTable":
        """Follow every question by every answer but for its last token, which is only ever predicted.

        Returns:
            The texts, those of one question next to each other: row `term · len(strings) + string`.
        """
        more, width = max(map(len, strings)) - 1, self.ids.shape[1]
        shape = (len(self.ids), len(strings), width + more)
        ids, used = self.ids.new_zeros(shape), self.used.new_zeros(shape)
        for number, string in enumerate(strings):
            end = shape[2] - len(string) + 1  # of the question; slots are filled from the right
            ids[:, number, end - width : end], used[:, number, end - width : end] = self.ids, self.used
            ids[:, number, end:], used[:, number, end:] = self._row(string[:-1]), True
        return QuestionTable(self.bos, self.stem, ids.flatten(0, 1), used.flatten(0, 1), self.answers)

    def _row(self, tokens: tuple[int, ...]) -> Tensor:
        return torch.tensor(tokens, dtype=torch.int64, device=self.ids.device)


def tokenise(
    lm: FrozenLM, questions: tuple[str, ...], answers: tuple[tuple[str, ...], tuple[str, ...]]
) -> QuestionTable:
    """Tokenise every question once.

    Raises:
        ModelError: the tokenizer does not tell the answers apart.
    """
    rows = [lm.encode(question) for question in questions]
    common = 0  # every rest keeps at least the token that the answer is read at
    while all(len(row) > common + 1 and row[common] == rows[0][common] for row in rows):
        common += 1
    stem = torch.tensor(rows[0][:common], dtype=torch.int64, device=lm.device)
    rows = [row[common:] for row in rows]
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    used = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, tokens in enumerate(rows):
        ids[row, width - len(tokens) :] = torch.tensor(tokens)
        used[row, width - len(tokens) :] = True
    bos = torch.tensor(lm.bos(), dtype=torch.int64, device=lm.device)
    found = answer_tokens(lm.encode, questions[0], answers)
    return QuestionTable(bos, stem, ids.to(lm.device), used.to(lm.device), found)
