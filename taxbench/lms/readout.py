"""How answers and texts are read from what a language model gives."""

import torch
from torch import Tensor

from taxbench.lms.forward import Slots
from taxbench.lms.output import OutputLayer, to_float64
from taxbench.lms.question_table import QuestionTable
from taxbench.protocol.answers import Strings


def single(answers: tuple[Strings, Strings]) -> bool:
    """Say whether every answer is one token, so that logits at one place decide."""
    return all(len(string) == 1 for strings in answers for string in strings)


def read_tokens(output: OutputLayer, hidden: Tensor, answers: tuple[Strings, Strings]) -> Tensor:
    """Compare answers of one token each where they are read.  # (..., d) → (...)"""
    logits = output.some(hidden, [token for strings in answers for (token,) in strings])
    return compare(logits, len(answers[0]))


def read_strings(output: OutputLayer, hidden: Tensor, answers: tuple[Strings, Strings]) -> Tensor:
    """Compare answers of several tokens: the log p of a string is the sum over its tokens.

    Args:
        hidden: States at the end of each question followed by each answer, as many as the longest answer has tokens.
            # (b, q, strings, tokens, d)
    """
    strings, longest = answers[0] + answers[1], hidden.shape[3]
    targets = torch.tensor([(0,) * (longest - len(string)) + string for string in strings], device=hidden.device)
    there = torch.tensor([[column >= longest - len(string) for column in range(longest)] for string in strings])
    nll = output.nll(hidden, targets.expand(hidden.shape[:-1]))  # (b, q, strings, tokens)
    return compare(-torch.where(there.to(hidden.device), nll, 0.0).sum(-1), len(answers[0]))


def read_texts(output: OutputLayer, slots: Slots, table: QuestionTable, rows: Tensor) -> Tensor:
    """Return the mean −log p over the tokens of questions and of their right answers.

    Args:
        slots: Of the prefix and of all columns of the questions.
        table: Questions, each followed by all but the last token of the first positive, then of the first negative
            answer.
        rows: Which texts of it; −1 for none.  # (b, q)

    Returns:
        The losses.  # (b, q)
    """
    prefix, texts = slots.prefix, slots.texts
    (b, q, width), s = texts.shape[:3], len(table.stem)
    safe = rows.clamp(min=0)
    ids, used = table.ids[safe][:, :, -width:], table.used[safe][:, :, -width:]
    ends = torch.tensor([strings[0][-1] for strings in table.answers], device=ids.device)[safe % 2]  # (b, q)
    targets = torch.cat([ids, ends[..., None]], dim=2)  # (b, q, w + 1)
    counts = torch.cat([used, torch.ones_like(used[:, :, :1])], dim=2)
    # What predicts a token is the state before it; before a question's first token that is the end of the prefix.
    first = used & (used.cumsum(-1) == 1)
    before = torch.cat([prefix[:, None, -1:].expand(b, q, 1, -1), texts[:, :, :-1]], dim=2)
    before = torch.where(first[..., None], prefix[:, None, -1:], before)
    nll = output.nll(torch.cat([before, texts[:, :, -1:]], dim=2), targets)
    total = torch.where(counts, nll, 0.0).sum(-1)  # (b, q)
    p = prefix.shape[1]
    stem = output.nll(prefix[:, p - s - 1 : p - 1], table.stem.expand(b, s)).sum(-1)  # (b,)
    return (total + stem[:, None]) / (counts.sum(-1) + s)


def compare(scores: Tensor, positive: int) -> Tensor:
    """Return log Σ exp(first `positive` scores) − log Σ exp(the others).  # (..., n) → (...)"""
    if scores.shape[-1] == 2:
        return scores[..., 0] - scores[..., 1]
    fine = to_float64(scores)
    return (fine[..., :positive].logsumexp(-1) - fine[..., positive:].logsumexp(-1)).to(scores.dtype)
