"""Train many heads through one frozen language model at once.

The heads of a stack are independent: each has its questions, order, learning rate, clipping and end. What they share is
the forward and backward pass through the LM, by far the dearest part: at every step the rows of all heads, one row an
image, go through it as one batch. A step has three parts, so that the LM's part can be cut to fit memory and repeated:

    features ─heads▶ soft tokens │ soft tokens ─frozen LM▶ losses ─▶ d loss / d soft tokens │ ─▶ heads' gradients
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from taxbench.heads.base import StateHead
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.training.head_state import HeadBatch, HeadTrainingState
from taxbench.training.parallel import split_threads, wait_for_all
from taxbench.training.predict import FittedHead, RowBudget, answer_losses, leaf_loss, out_of_memory
from taxbench.util.errors import TaxbenchError, TrainingError, first_line
from taxbench.util.progress import Reporter

_CHECKPOINT_SECONDS = 60.0


def train_stack(
    states: Sequence[HeadTrainingState],
    scorer: QuestionScorer,
    report: Reporter,
    finished: Callable[[HeadTrainingState], None],
    jobs: int = 1,
) -> None:
    """Train heads that give the same number of soft tokens, read answers in the same way, and have the same loss.

    A head whose loss stops being a number breaks off and holds its `failure`; the others go on untouched. Once a
    minute, and when interrupted, every head writes down how far it is, where it has a `checkpoint`.

    Args:
        finished: Called with each head's state as soon as its training is over.
        jobs: How many stacks share the machine's memory.
    """
    label = states[0].label if len(states) == 1 else f"train {len(states)} heads"
    budget: RowBudget | None = None
    saved = time.monotonic()
    left = sum(state.questions_left() for state in states)
    # Alone, a stack takes both halves of the cores.
    with report.bar(label, left, "q") as advance, split_threads(states[0].device, jobs == 1) as pool:
        try:
            while live := [state for state in states if not state.done]:
                rows = _stacked(live)
                budget = budget or _budget(rows, scorer, states[0].trainer.loss == "full_text", jobs)
                losses = _step(live, rows, _Pass(scorer, budget, pool))
                for state in live:
                    _validate(state, scorer, report)
                    if state.done:
                        finished(state)
                known = [loss for loss in losses if math.isfinite(loss)]
                advance(rows.questions, f"loss {sum(known) / max(1, len(known)):.3f}")  # where Ctrl-C lands
                if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    _save(live)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            _save(states)
            raise
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            raise TrainingError(
                f"{label}: the heads do not fit into memory ({first_line(error)}). Take fewer images a step (--set "
                f"batch_images={max(1, states[0].trainer.batch_images // 2)}), or fewer heads at a time."
            ) from None


def _validate(state: HeadTrainingState, scorer: QuestionScorer, report: Reporter) -> None:
    """See how far a head has come: after an epoch where it may stop early; half way and at the end where watched."""
    may_stop = bool(state.trainer.patience) and state.epoch_ended
    watched = state.watched and state.half_way_or_done
    if state.failure is not None or not (may_stop or watched):
        return
    try:
        loss = leaf_loss(FittedHead(state.head, state.images, scorer), state.protocol)
    except TaxbenchError as error:
        if may_stop:
            state.fail(f"The head cannot be validated: {error}")
        return
    state.validation.append((state.step, loss))
    if may_stop:
        state.validated(loss)
    if watched and (said := state.told_of(loss)):
        report.say(said)


def _save(states: Sequence[HeadTrainingState]) -> None:
    """Write the checkpoints of a stack's heads that are still training."""
    for state in states:
        if not state.done:
            state.save()


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one step: the batches of several heads, one below the other."""

    soft: list[Tensor]  # each head's soft tokens, with the graph through the head; (b, k, d)
    term: Tensor  # (r, q) int64, −1 where unused
    answer: Tensor  # (r, q) bool
    weight: Tensor  # (r, 1) float32, of a question in the mean over its own head's questions
    starts: np.ndarray  # where each head's rows begin, and the end of the last
    columns: list[int]  # how many questions its rows have room for
    questions: int

    def of_heads(self, part: slice) -> list[slice]:
        """Return which rows of a part belong to each head, counted within the part."""
        edges = np.clip(self.starts, part.start, part.stop) - part.start
        return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _stacked(live: Sequence[HeadTrainingState]) -> _Rows:
    """Return the next batches of all live heads as one stack of rows."""
    batches: list[HeadBatch] = [state.batch() for state in live]
    most = max(batch.term.shape[1] for batch in batches)
    counts = [int((batch.term >= 0).sum()) for batch in batches]
    weights = [batch.term.new_full((len(batch.term), 1), 1 / n, dtype=torch.float32)
               for batch, n in zip(batches, counts, strict=True)]  # fmt: skip
    wide = [(0, most - batch.term.shape[1]) for batch in batches]
    return _Rows(
        soft=[state.head.soft_tokens(batch.features) for state, batch in zip(live, batches, strict=True)],
        term=torch.cat([functional.pad(each.term, more, value=-1) for each, more in zip(batches, wide, strict=True)]),
        answer=torch.cat([functional.pad(each.answer, more) for each, more in zip(batches, wide, strict=True)]),
        weight=torch.cat(weights),
        starts=np.cumsum([0, *(len(batch.term) for batch in batches)]),
        columns=[batch.term.shape[1] for batch in batches],
        questions=sum(counts),
    )


@dataclass(frozen=True, slots=True)
class _Pass:
    """How rows go through the LM."""

    scorer: QuestionScorer
    budget: RowBudget
    pool: ThreadPoolExecutor | None
    """Threads that parts of the rows can be spread over."""


def _budget(rows: _Rows, scorer: QuestionScorer, text: bool, jobs: int) -> RowBudget:
    """Return how many of a stack's rows go through the LM at a time."""
    k, questions = rows.soft[0].shape[1], rows.term.shape[1]
    return RowBudget(scorer.row_bytes(k, questions, training=True, text=text), rows.term.device, jobs)


def _step(live: Sequence[HeadTrainingState], rows: _Rows, how: _Pass) -> list[float]:
    """Take one step with every head; return their losses."""
    values = torch.cat([soft.detach() for soft in rows.soft])  # (r, k, d)
    gradient = torch.zeros_like(values)  # of the sum of all losses with respect to the soft tokens
    weighed = torch.zeros(rows.term.shape, device=values.device)

    def through_the_lm(part: slice) -> None:
        leaf, term, answer = values[part].requires_grad_(), rows.term[part], rows.answer[part]
        if live[0].trainer.loss == "full_text":
            losses = how.scorer.text_losses(leaf, term, answer)  # (r, q)
        elif isinstance(live[0].head, StateHead):
            losses = answer_losses(_matches(live, rows, part, how.scorer.states(leaf, term)), answer)
        else:
            losses = answer_losses(how.scorer.margins(leaf, term), answer)
        losses = torch.where(term >= 0, losses * rows.weight[part], 0.0)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        weighed[part] = losses.detach()
        if leaf.grad is not None:
            gradient[part] = leaf.grad

    # The readings of StateHeads gather gradients of their own, which two threads at once would mix up.
    pool = None if isinstance(live[0].head, StateHead) else how.pool
    while True:
        parts = list(how.budget.parts(len(values), 2 if pool else 1))
        try:
            if pool:
                wait_for_all(pool, through_the_lm, parts)
            else:
                for part in parts:
                    through_the_lm(part)
            break
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            how.budget.halve(error, len(rows.term))
        for state in live:
            state.head.zero_grad(set_to_none=True)  # a StateHead's reading may hold part of a gradient
    # Without the padding, and exactly: a loss is the same whatever its head is stacked with.
    asked = [weighed[a:b][rows.term[a:b] >= 0].cpu().double() for a, b in pairwise(rows.starts)]
    return _learn(live, rows, [float(losses.sum()) for losses in asked], gradient)


def _learn(live: Sequence[HeadTrainingState], rows: _Rows, losses: list[float], gradient: Tensor) -> list[float]:
    """Carry the gradient on through the heads; one whose loss is no number breaks off."""
    gradients = [gradient[a:b] for a, b in pairwise(rows.starts)]
    sound = [i for i, loss in enumerate(losses) if math.isfinite(loss)]
    if sound:
        torch.autograd.backward([rows.soft[i] for i in sound], [gradients[i] for i in sound])
    for i, state in enumerate(live):
        if i in sound:
            state.learn(losses[i])
        else:
            state.fail("The loss of the head stopped being a number")
    return losses


def _matches(live: Sequence[HeadTrainingState], rows: _Rows, part: slice, states: Tensor) -> Tensor:
    """Return what each StateHead reads off the states of its own rows.  # (r, q, d) → (r, q)"""
    read = [
        functional.pad(state.head.read(states[own, :most]), (0, states.shape[1] - most))
        for state, own, most in zip(live, rows.of_heads(part), rows.columns, strict=True)
        if isinstance(state.head, StateHead)
    ]
    return torch.cat(read)
