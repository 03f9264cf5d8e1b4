"""Packed rows: one image and all its questions in one row of the language model.

    BOS | soft tokens | stem | rest of question 1 | rest of question 2 | … | rest of question Q

The stem is what all questions of a vocabulary begin with ("Is there"). Each question sees the row's prefix and
itself, never another question, and its positions start right after the prefix, so the logits equal those of asking
each question alone while the prefix is computed once. Every question sits in a slot of the same width, filled from the
right, so that all answers are read at the same columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from taxbench.errors import ModelError
from taxbench.lms.answers import first_tokens
from taxbench.lms.frozen import FrozenLM


@dataclass(frozen=True, slots=True)
class QuestionTable:
    """All questions of a vocabulary as token ids, without their common stem, right-aligned."""

    bos: Tensor  # (1,) int64, or empty
    stem: Tensor  # (s,) int64
    ids: Tensor  # (v, w) int64, 0 where unused
    used: Tensor  # (v, w) bool
    answers: tuple[tuple[int, ...], tuple[int, ...]]  # token ids of the positive and of the negative answers

    def full(self, term: int) -> Tensor:
        """Return the whole question about a term.  # (n,)"""
        return torch.cat([self.stem, self.ids[term][self.used[term]]])


def tokenise(
    lm: FrozenLM, questions: tuple[str, ...], answers: tuple[tuple[str, ...], tuple[str, ...]]
) -> QuestionTable:
    """Tokenise every question once."""
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
    found = first_tokens(lm.encode, questions[0], answers)
    return QuestionTable(bos, stem, ids.to(lm.device), used.to(lm.device), found)


def margins(lm: FrozenLM, table: QuestionTable, soft_tokens: Tensor, terms: Tensor) -> Tensor:
    """Return log p(positive answers) − log p(negative answers) of every question of every image.

    Of one answer each that is the difference of their logits; of sets, of the log-sum-exps of theirs.

    Args:
        soft_tokens: What stands for the images.  # (b, k, d)
        terms: The term that each question asks; −1 pads rows with fewer questions.  # (b, q)

    Returns:
        The margins; those of padding mean nothing.  # (b, q) float32
    """
    b, q = terms.shape
    safe = terms.clamp(min=0)
    used = table.used[safe] & (terms >= 0)[..., None]  # (b, q, w)
    width = int(used.any(0).any(0).sum())  # slots no wider than this batch's longest question
    used = used[:, :, -width:]
    ends = [lm.embed(ids).expand(b, -1, -1) for ids in (table.bos, table.stem)]
    prefix = torch.cat([ends[0], soft_tokens.to(lm.dtype), ends[1]], dim=1)  # (b, p, d)
    asked = lm.embed(table.ids[safe][:, :, -width:]).reshape(b, q * width, -1)
    n = prefix.shape[1]
    columns = n + torch.arange(1, q + 1, device=lm.device) * width - 1  # where the answers are read
    output = lm.model.base_model(
        inputs_embeds=torch.cat([prefix, asked.to(lm.dtype)], dim=1),
        attention_mask=_mask(used, n, lm.dtype),
        position_ids=_positions(used, n),
        use_cache=False,
    )
    return _answer_logits(lm, output.last_hidden_state[:, columns], table.answers)


def _answer_logits(lm: FrozenLM, hidden: Tensor, answers: tuple[tuple[int, ...], tuple[int, ...]]) -> Tensor:
    """Apply only the rows of the output matrix that matter; every other logit would be thrown away."""
    output = lm.model.get_output_embeddings()
    rows = [*answers[0], *answers[1]]
    logits: Tensor = hidden.float() @ output.weight[rows].float().T  # (b, q, answers)
    if getattr(output, "bias", None) is not None:
        logits = logits + output.bias[rows].float()
    return compare(logits[..., : len(answers[0])], logits[..., len(answers[0]) :])


def compare(positive: Tensor, negative: Tensor) -> Tensor:
    """Return log Σ exp(positive) − log Σ exp(negative).  # (..., p), (..., n) → (...)"""
    return positive.logsumexp(-1) - negative.logsumexp(-1)


def _mask(used: Tensor, prefix: int, dtype: torch.dtype) -> Tensor:
    """Build the additive mask: 0 where a position may look, the most negative number elsewhere.

    A boolean mask would be silently wrong under eager attention, so a float one is always passed. Unused positions
    look at themselves, because a row of nothing but −inf would be NaN.

    Args:
        used: Which slots hold a token.  # (b, q, w)

    Returns:
        The mask.  # (b, 1, l, l) with l = prefix + q · w
    """
    b, q, width = used.shape
    length = prefix + q * width
    block = torch.zeros(length, dtype=torch.int64, device=used.device)
    block[prefix:] = torch.arange(1, q + 1, device=used.device).repeat_interleave(width)
    same = (block[None, :] == block[:, None]) | (block[None, :] == 0)
    causal = torch.ones(length, length, dtype=torch.bool, device=used.device).tril()
    filled = torch.cat([used.new_ones(b, prefix), used.reshape(b, q * width)], dim=1)  # (b, l)
    eye = torch.eye(length, dtype=torch.bool, device=used.device)
    allowed = ((same & causal)[None] & filled[:, None, :]) | eye[None]  # (b, l, l)
    return torch.where(allowed, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]


def _positions(used: Tensor, prefix: int) -> Tensor:
    """Return position ids that restart after the prefix in every slot.  # (b, l)"""
    b = used.shape[0]
    inside = (used.cumsum(-1) - 1).clamp(min=0) + prefix  # (b, q, w)
    start = torch.arange(prefix, device=used.device).expand(b, -1)
    return torch.cat([start, inside.reshape(b, -1)], dim=1)


@torch.inference_mode()
def check_packing(lm: FrozenLM, table: QuestionTable) -> None:
    """Prove on two questions about four random images that packing leaves this model's answers alone.

    The reference is the model's own unpacked forward and its full output layer. How far rounding alone moves an answer
    depends on the model and the number type, so that is measured too: the reference again, with soft tokens that
    differ in their last bits. Packing moved answers at most 1.3 times as far in bfloat16 for models that can be packed,
    6 to 12 times under ALiBi, 30 times and more where logits are rescaled. (A fixed tolerance refused a Llama of
    1 B parameters in bfloat16 on a GPU.)

    Raises:
        ModelError: the model cannot be packed (recurrent, ALiBi, or an output layer that rescales its logits).
    """
    generator = torch.Generator().manual_seed(0)
    soft = torch.randn(4, 2, lm.width, generator=generator).to(lm.device) * lm.embedding_rms()
    asked = [0, len(table.ids) - 1]
    reason = "recurrent and ALiBi models and models that rescale their logits are not supported yet."
    try:
        packed = margins(lm, table, soft, torch.tensor([asked], device=lm.device).expand(len(soft), -1))
        nudged = soft * (1 + 2 * torch.finfo(lm.dtype).eps)
        plain, again = (torch.stack([_plain(lm, table, x, term) for term in asked], dim=1) for x in (soft, nudged))
    except torch.OutOfMemoryError:
        raise
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        said = str(error).partition("\n")[0]
        raise ModelError(f"'{lm.spec.name}' does not take packed questions ({said}): {reason}") from None
    moved, rounding = ((x - plain).square().mean().sqrt() for x in (packed, again))
    if not moved <= torch.clamp(3 * rounding, min=1e-4):  # `not <=`, so that NaN is refused too
        raise ModelError(
            f"'{lm.spec.name}' answers differently when questions are packed (margins move by {float(moved):.2g}, "
            f"by {float(rounding):.2g} from rounding alone), so it cannot be used: {reason}"
        )


def _plain(lm: FrozenLM, table: QuestionTable, soft: Tensor, term: int) -> Tensor:
    """Ask one question as anyone would: a row of its own, the causal mask, the logits of the model itself.  # (b,)"""
    parts = [lm.embed(ids).expand(len(soft), -1, -1) for ids in (table.bos, table.full(term))]
    rows = torch.cat([parts[0], soft.to(lm.dtype), parts[1]], dim=1)
    hidden = torch.full((rows.shape[1], rows.shape[1]), torch.finfo(lm.dtype).min, dtype=lm.dtype, device=lm.device)
    mask = hidden.triu(1).expand(len(soft), 1, -1, -1)
    last = lm.model(inputs_embeds=rows, attention_mask=mask, use_cache=False).logits[:, -1].float()
    return compare(last[:, list(table.answers[0])], last[:, list(table.answers[1])])
