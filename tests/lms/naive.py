"""Asking as the published code does: one question a row, no padding, the model's own logits. And models to ask."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig

from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.registry.models import find_lm
from taxbench.specs.sources import LMSpec

QUESTIONS = (
    "Is there a crow in this image?",
    "Is there a fire salamander in this image?",
    "Is there clothing in this image?",
    "Is there an animal in this image?",
)
YES_NO = (("Yes",), ("No",))


def load(folder: Path) -> FrozenLM:
    return load_lm(LMSpec(name=folder.name, source=str(folder)), torch.device("cpu"), torch.float32)


@cache
def pocket(dtype: torch.dtype = torch.float32) -> FrozenLM:
    return load_lm(find_lm("pocket"), torch.device("cpu"), dtype)


def with_model(lm: FrozenLM, config: PreTrainedConfig, dtype: torch.dtype = torch.float32) -> FrozenLM:
    """Return the same tokenizer with a random model."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(dtype).eval().requires_grad_(False)
    return FrozenLM(lm.spec, model, lm.tokenizer, "", lm.device)


def some_soft_tokens(lm: FrozenLM, images: int, k: int) -> Tensor:
    return torch.randn(images, k, lm.width, generator=torch.Generator().manual_seed(1)) * lm.embedding_rms()


def logits_of(scorer: QuestionScorer, soft: Tensor, term: int, more: tuple[int, ...], question_first: bool) -> Tensor:
    """Return the model's own logits for one image, one question and what follows.  # (n, vocabulary)"""
    lm, table = scorer.lm, scorer.table
    more = (*table.ending, *more)
    start, text, after = (
        lm.embed(ids) for ids in (table.opening, table.full(term), torch.tensor(more, dtype=torch.int64))
    )
    row = torch.cat([start, text, soft, after] if question_first else [start, soft, text, after])
    return lm.model(inputs_embeds=row[None], use_cache=False).logits[0]


def naive_margins(scorer: QuestionScorer, soft: Tensor, terms: Tensor, question_first: bool = False) -> Tensor:
    """Score every answer as a string, one forward pass each.  # (b, k, d), (b, q) → (b, q)"""
    found = torch.zeros(terms.shape)
    for image, column in (terms >= 0).nonzero().tolist():
        odds = []
        for strings in scorer.table.answers:
            scores = []
            for string in strings:
                logits = logits_of(scorer, soft[image], int(terms[image, column]), string[:-1], question_first)
                scores.append(logits.log_softmax(-1)[-len(string) :][torch.arange(len(string)), list(string)].sum())
            odds.append(torch.stack(scores).logsumexp(0))
        found[image, column] = odds[0] - odds[1]
    return found
