"""How controls answer that are told what is true of names: no LM is asked."""

import torch
from torch import Tensor, nn

from taxbench.heads.base import Head
from taxbench.lms.question_scorer import QuestionScorer


class NameHead(Head):
    """A head that gives the probability of every name; a term is as probable as the names that have it."""

    members: Tensor
    prior: Tensor

    def __init__(self, mapping: nn.Module, mean: Tensor, std: Tensor, members: Tensor, share: Tensor) -> None:
        """Take which names have which terms, and how much of training has each name.

        Args:
            members: The share of a name's training images that have a term.  # (names, v)
            share: The share of all training images that have a name.  # (names,)
        """
        super().__init__(mapping, mean, std)
        self.register_buffer("members", members)
        self.register_buffer("prior", torch.logit(share @ members, _LEAST))  # (v,)

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer | None) -> Tensor:
        """Return log odds of Yes, were both answers to a term as likely beforehand.  # (b, t, f), (b, q) → (b, q)"""
        probability = self.mapped(features).squeeze(1).exp() @ self.members  # (b, v)
        return (torch.logit(probability, _LEAST) - self.prior).gather(1, terms.clamp(min=0))


class TermHead(Head):
    """A head that gives the margin of every term."""

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer | None) -> Tensor:
        """Look the margins up.  # (b, t, f), (b, q) → (b, q)"""
        return self.mapped(features).squeeze(1).gather(1, terms.clamp(min=0))


_LEAST = 1e-6  # the least probability, and one less the greatest: what no image of training had is still no certainty
