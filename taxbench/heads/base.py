"""What a head is. Every other file in this folder that defines `Settings` is one head, found by its file name.

A head file defines `Settings`, the options of the head, and one of

    build(shape, settings)   a module for features (b, t, f) → vectors (b, k, d), trained through the frozen LM;
    fit(data, settings)      the finished module, from images, their names and the LM's label vectors, without the LM.

A reader of whole systems (SYSTEM) defines `Settings` alone: there is nothing to learn.
A module, or the first part of a sequence, may say `attention(features)`, (b, t, f) → (b, k, t): how much each vector
looks at each feature vector, which `taxbench view --inside` draws.

`prepare(mapping, data)`, beside `build`, sets what is learnt from features alone before training (code words). Seven
constants say the rest, each with the default that most heads have:

    READS = "answers"        how a question is answered: by the LM's answers (k soft tokens in its row), by its "state"
                             (a linear reading of it), by "labels" (k = 1: a vector compared with the term's own), by
                             "names" (k = 1, d = names: the log probability of each, summed over those of the term), or
                             by "terms" (k = 1, d = terms: the margin of each)
    SEES = "features"        what an image is to the head: its features, "name", the index of what it is called, or
                             "nothing"; one that sees no features is shared by encoders, and asked nothing twice
    POOL = "pooled"          the features it takes where the user does not choose: one vector, "tokens" or "gridK"
    NOTE = ""                what a table says beside its scores
    CONTROL = False          whether it is a control: boards show it and do not rank it
    SYSTEM = False           whether it reads a whole system (`systems/`), which the user chooses, and it with it; it
                             takes "tokens", is shown as a control, and notes that it is a reference
    TRAINER = {}             other settings of the trainer where the user does not choose: {"learning_rate": 1e-3}

They, and the defaults of settings, are literals: they are read without importing. A package offers a head by an entry
point of the group `taxbench.heads` that names such a module.

The classes below standardise before the mapping and read after it, so a head file holds its own idea and nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taxbench.lms.question_scorer import QuestionScorer
from taxbench.util.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class HeadShape:
    """What a head maps from and to."""

    tokens: int  # t, feature vectors an image
    features: int  # f, their width
    width: int  # d, the LM's embedding width


class Head(nn.Module):
    """Standardised features → mapping; a subclass says how questions are answered from what it gives."""

    mean: Tensor
    std: Tensor

    def __init__(self, mapping: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.mapping = mapping
        self.register_buffer("mean", mean)  # (f,)
        self.register_buffer("std", std)  # (f,)

    def mapped(self, features: Tensor) -> Tensor:
        """Return what the mapping makes of features.  # (b, t, f) → (b, k, d); two images: (b, 2, t, f) → (b, 2k, d)"""
        if features.ndim == 4:
            each = self.mapped(features.flatten(0, 1))  # (2b, k, d)
            return each.reshape(len(features), -1, each.shape[-1])
        mapped: Tensor = self.mapping((features - self.mean) / self.std)
        return mapped

    def attention(self, features: Tensor) -> Tensor | None:
        """Return how much each vector looks at each feature vector; None: it does not.  # (b, t, f) → (b, k, t)

        Of two images each vector looks at its own: (b, 2, t, f) → (b, 2k, t).
        """
        if features.ndim == 4:
            each = self.attention(features.flatten(0, 1))
            return None if each is None else each.reshape(len(features), -1, each.shape[-1])
        for module in (self.mapping, *self.mapping.children()):
            if callable(looks := getattr(module, "attention", None)):
                found: Tensor = looks((features - self.mean) / self.std)
                return found
        return None

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer) -> Tensor:
        """Return log odds of Yes against No for each image's questions.  # (b, t, f), (b, q) → (b, q)"""
        raise NotImplementedError


class SoftHead(Head):
    """A head whose vectors stand in the LM's row for the image; the LM answers.

    Soft tokens are normalised to the RMS of the LM's input embeddings and multiplied by a learnt gain that starts at 1:
    a frozen LM reads vectors of another scale as noise, and heads then take many times longer to converge. The gain is
    relative, so that a step of the optimiser is as long whether embeddings are of size 1 (Gemma) or 0.02 (Qwen).
    """

    rms: Tensor

    def __init__(self, mapping: nn.Module, mean: Tensor, std: Tensor, rms: float) -> None:
        super().__init__(mapping, mean, std)
        self.register_buffer("rms", torch.tensor(rms))
        self.gain = nn.Parameter(torch.tensor(1.0))

    def soft_tokens(self, features: Tensor) -> Tensor:
        """Map features to soft tokens.  # (b, t, f) → (b, k, d)"""
        mapped = self.mapped(features)
        unit = mapped * torch.rsqrt(mapped.square().mean(-1, keepdim=True) + 1e-8)
        return unit * (self.rms * self.gain)

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer) -> Tensor:
        """Ask the LM with the head's soft tokens in its row; return log odds of Yes.  # (b, t, f), (b, q) → (b, q)"""
        return scorer.margins(self.soft_tokens(features), terms)


class FixedHead(Head):
    """A head whose vectors stand in the LM's row exactly as they are: what `fit` finds for reading by answers.

    Images may have fewer vectors than others; the missing ones come first and are zero.
    """

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer) -> Tensor:
        """Ask the LM, images of one length at a time.  # (b, t, f), (b, q) → (b, q)"""
        mapped = self.mapped(features)  # (b, k, d)
        there = (mapped != 0).any(-1)
        if features.ndim == 4:  # of two images the second's missing ones stand in the middle
            order = there.int().argsort(stable=True, dim=1)
            mapped = mapped.gather(1, order[..., None].expand_as(mapped))
        present = there.sum(1)  # (b,)
        found = mapped.new_zeros(terms.shape)
        for length in sorted(set(present.tolist())):
            rows = (present == length).nonzero().squeeze(1)
            found = found.index_copy(0, rows, scorer.margins(mapped[rows, mapped.shape[1] - length :], terms[rows]))
        return found


class StateHead(SoftHead):
    """A head that does not wait for the LM's answer: a learnt linear map reads the state it would answer from."""

    def __init__(self, mapping: nn.Module, mean: Tensor, std: Tensor, rms: float, width: int) -> None:
        super().__init__(mapping, mean, std, rms)
        self.norm, self.match = nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, 1)

    def read(self, states: Tensor) -> Tensor:
        """Return how well image and text match.  # (b, q, d) → (b, q)"""
        # Products and sums: a matrix product this thin rounds by how many rows it has.
        matched: Tensor = (self.norm(states.float()) * self.match.weight[0]).sum(-1) + self.match.bias
        return matched

    def margins(self, features: Tensor, terms: Tensor, scorer: QuestionScorer) -> Tensor:
        """Read the LM's state.  # (b, t, f), (b, q) → (b, q)"""
        return self.read(scorer.states(self.soft_tokens(features), terms))


class NameTable(nn.Module):
    """What stands for each name."""

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        """Keep the vectors of all names.  # (n, k, d)"""
        super().__init__()
        self.register_buffer("table", table)

    def forward(self, names: Tensor) -> Tensor:
        """Look up the vectors that stand for names.  # (b, 1, 1), whole numbers → (b, k, d)"""
        return self.table[names[:, 0, 0].round().long()]


@contextmanager
def first_weights(seed: int, *purpose: str) -> Iterator[None]:
    """Have modules that are built in the block draw their weights from a seed, and leave torch's own state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "init", *purpose))
        yield


class Dropout(nn.Module):
    """Dropout with a random stream of its own, so that heads trained side by side do not disturb each other.

    `reseed` sets the streams of a head; the trainer does so at every step, and a resumed training draws the same.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.stream = torch.Generator()

    def forward(self, x: Tensor) -> Tensor:
        """Set a random share of the values to zero in training and scale up the others.  # any shape"""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape, generator=self.stream) >= self.share
        return x * kept.to(x.device) / (1 - self.share)


def reseed(head: nn.Module, seed: int) -> None:
    """Start the random streams of all dropout layers of a head from a seed."""
    for number, layer in enumerate(module for module in head.modules() if isinstance(module, Dropout)):
        layer.stream.manual_seed(seed + number)
