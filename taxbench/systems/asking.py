"""How a whole system is asked: its text side loaded, and the scorer and heads that put questions to it."""

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from taxbench.heads.base import Head, NameTable
from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import calibrated, label_head
from taxbench.heads.match import Settings
from taxbench.lms.question_scorer import Order, QuestionScorer
from taxbench.protocol.deprivation import true_pairs
from taxbench.protocol.protocol import Protocol
from taxbench.specs.sources import SystemSpec
from taxbench.specs.task import IMAGE, QUESTION, RAW, Answers, PromptSpec
from taxbench.systems.answering import AnsweringSide, answering_scorer, own_prompt
from taxbench.systems.matching import ChilsHead, OddsHead
from taxbench.systems.pairing import MaskedHead, PairHead
from taxbench.systems.text_side import TextSide
from taxbench.util.errors import UsageError


@dataclass(frozen=True)
class TextScorer:
    """A system's text side and the terms of a vocabulary, in the place of a language model and its questions."""

    lm: TextSide
    terms: tuple[str, ...]
    note = None

    @property
    def table(self) -> SimpleNamespace:
        """Return what is asked, by number."""
        return SimpleNamespace(ids=self.terms)

    @cached_property
    def words(self) -> Tensor:
        """Return the vectors of all terms.  # (v, d)"""
        return self.lm.words(self.terms)

    def own_words(self, terms: tuple[str, ...]) -> Tensor:
        """Return the vectors of terms.  # (v, d)"""
        return self.words[[self.terms.index(term) for term in terms]]

    def row_bytes(self, k: int, questions: int, training: bool, text: bool = False) -> int:
        """Estimate the memory that one picture takes at the peak: its similarities."""
        return 16 * (k + 1) * len(self.terms)

    def head(self, name: str, data: FitData, settings: Any, protocol: Protocol) -> Head | None:
        """Return a head that has this text side for its language model; None for one that asks no language model.

        What stands for a name in the place of a picture is the name's own vector.
        """
        if name in ("feature_probe", "name_probe"):
            return None
        mean, std = torch.zeros(1, device=data.device), torch.ones(1, device=data.device)
        if name in ("text_only", "label_oracle"):
            table = NameTable(self.own_words(data.texts)[:, None])
            return label_head(table, mean, std, data, self.terms, Settings())
        if name == "pair":
            return PairHead(self.lm, self.terms)
        if name == "odds":
            return OddsHead(self.lm, self.words)
        if name == "chils":
            return calibrated(ChilsHead(self.words, _names_under(protocol), len(data.texts), settings.hubness), data)
        if name == "masked":
            return calibrated(MaskedHead(self.lm, self.terms, len(data.texts), settings.hubness), data)
        return label_head(nn.Identity(), mean, std, data, self.terms, settings)


def load_text_side(spec: SystemSpec, device: torch.device, dtype: torch.dtype) -> TextSide:
    """Load a system, to be asked.

    Raises:
        ModelError: it is missing, gated, or of another class.
    """
    return (AnsweringSide if spec.reads == "answer" else TextSide).of(spec, device, dtype)


def system_prompt(lm: TextSide, wanted: PromptSpec, order: Order, answers: Answers) -> PromptSpec:
    """Return how questions are put to a system.

    Raises:
        UsageError: the question should come first.
    """
    first = f"'{lm.spec.name}' is shown the image first."
    if order != "image_first":
        raise UsageError(f"{first} Leave out --set order={order}.")
    if wanted.frame.find(QUESTION) < wanted.frame.find(IMAGE):
        raise UsageError(f"{first} In --set frame=, put {IMAGE} before {QUESTION}.")
    both = answers.positive, answers.negative
    return own_prompt(lm, wanted, both) if isinstance(lm, AnsweringSide) else RAW


def system_scorer(lm: TextSide, protocol: Protocol, prompt: PromptSpec) -> QuestionScorer:
    """Return a system ready to be asked a protocol's questions; see `answering_scorer`."""
    if isinstance(lm, AnsweringSide):
        return answering_scorer(lm, protocol, prompt)
    # It has all of a question scorer that heads of its own use.
    return cast(QuestionScorer, TextScorer(lm, protocol.vocabulary.terms))


def _names_under(protocol: Protocol) -> tuple[Tensor, ...]:
    """Return the numbers of the names that each term of the vocabulary is true of: of a name its own."""
    vocabulary, true = protocol.vocabulary, true_pairs(protocol.dataset.taxonomy)  # (l, h)
    of_hypernyms = [np.unique(vocabulary.name_of[leaves]) for leaves in true.T]
    return tuple(map(torch.from_numpy, [*np.arange(vocabulary.n_names)[:, None], *of_hypernyms]))
