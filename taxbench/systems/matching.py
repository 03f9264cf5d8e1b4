"""Two more readings of a system that compares pictures with texts: by the leaves of a term, and by its own odds."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from taxbench.heads.base import Head
from taxbench.heads.label_head import Hubness, LabelHead
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.systems.text_side import TextSide

OTHERWISE = "something else"
"""What stands in the templates against the asked term."""


class ChilsHead(LabelHead):
    """A label head that gives a term the similarity of the most similar name under it.

    Args:
        words: The vectors of all terms, names first.  # (v, d)
        names: The numbers of the names under each term.
    """

    def __init__(self, words: Tensor, names: tuple[Tensor, ...], n_names: int, hubness: Hubness) -> None:
        super().__init__(nn.Identity(), (torch.zeros(1), torch.ones(1)), words, n_names, hubness)
        self._names = names

    def cosines(self, mapped: Tensor) -> Tensor:
        """Return the cosine of the most similar name of each term.  # (b, n, d) → (b, v)"""
        found = super().cosines(mapped)
        return torch.stack([found[:, own.to(found.device)].amax(1) for own in self._names], dim=1)


class OddsHead(Head):
    """A head that gives the log odds which a system was trained to give: margins are 0 where it finds both alike.

    Of a softmax over texts (CLIP) that is the term's text against one about something else, of a sigmoid (SigLIP) the
    log odds of the text itself.

    Args:
        words: The vectors of all terms.  # (v, d)
    """

    words: Tensor
    otherwise: Tensor

    def __init__(self, side: TextSide, words: Tensor) -> None:
        super().__init__(nn.Identity(), torch.zeros(1), torch.ones(1))
        self.scale = float(side.model.logit_scale.exp())
        bias = getattr(side.model, "logit_bias", None)
        self.bias = None if bias is None else float(bias)
        self.register_buffer("words", words)
        self.register_buffer("otherwise", side.in_templates([OTHERWISE]))  # (1, d)

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer | None) -> Tensor:
        """Return log odds.  # (b, 1, d), (b, q) → (b, q)"""
        image = normalize(features[:, 0], dim=-1)
        found = self.scale * (image @ self.words.T).gather(1, terms.clamp(min=0))
        return found - self.scale * image @ self.otherwise.T if self.bias is None else found + self.bias
