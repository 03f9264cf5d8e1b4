"""Ask a finished head questions."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from taxbench.data.protocol import Protocol
from taxbench.data.questions import QuestionSet
from taxbench.errors import TrainingError
from taxbench.features.rows import Images
from taxbench.heads.base import Head
from taxbench.lms.prompt import Prompt
from taxbench.progress import Reporter
from taxbench.training.batches import group_by_image
from taxbench.training.memory import RowBudget, out_of_memory

# Rows at a time where memory is no limit: more do not compute faster. Questions a row: an image's part of the LM's work
# is done once for them all.
_ROWS, _QUESTIONS = 128, 128


def answer_losses(margins: Tensor, answers: Tensor) -> Tensor:
    """Return −log softmax(right answer) between the two answers, from log odds of Yes.  # (..., q), (..., q) bool"""
    # In float64: CPUs compute the last few of an array by another routine, which would let a question's gradient, in its
    # last bits, depend on how many questions it is computed with.
    exact = margins.float() if margins.device.type == "mps" else margins.double()
    return functional.softplus(torch.where(answers, -exact, exact)).float()


@torch.inference_mode()
def ask(
    head: Head, images: Images, prompt: Prompt, questions: QuestionSet, report: Reporter, label: str = "ask"
) -> np.ndarray:
    """Return the margin log p(Yes) − log p(No) of every question.  # (q,) float32

    Raises:
        TrainingError: one is no number.
    """
    rows = group_by_image(questions, _QUESTIONS)
    k = head.mapped(images(rows.image[:1])).shape[1]
    budget = RowBudget(prompt.row_bytes(k, rows.term.shape[1], training=False), prompt.lm.device)
    found = np.full(len(questions), np.nan, np.float32)
    start = 0
    with report.bar(label, len(questions), "q") as advance:
        while start < len(rows.image):
            part = slice(start, start + min(_ROWS, budget.rows))
            term = torch.from_numpy(rows.term[part]).to(prompt.lm.device)
            try:
                answer = head.margins(images(rows.image[part]), term, prompt).cpu().numpy()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                budget.halve(error, _ROWS)
                continue
            source = rows.source[part]
            found[source[source >= 0]] = answer[source >= 0]
            advance(int((source >= 0).sum()))
            start = part.stop
    if not np.isfinite(found).all():
        raise TrainingError(f"{np.isnan(found).sum()} of {len(found)} answers are not numbers ({label}).")
    return found


def leaf_loss(head: Head, images: Images, protocol: Protocol, prompt: Prompt) -> float:
    """Return a head's loss on leaf questions about validation images, the only ones training may be stopped by."""
    asked = protocol.validation()
    training = head.training
    margins = ask(head.eval(), images, prompt, asked, Reporter(quiet=True), "validate")
    head.train(training)
    return float(answer_losses(torch.from_numpy(margins), torch.from_numpy(asked.answer)).mean())


@torch.inference_mode()
def blank_margins(head: Head, images: Images, prompt: Prompt, terms: np.ndarray) -> np.ndarray:
    """Return margins about an empty image, one with the mean of all features.  # (v,) int64 → (v,) float32"""
    mean = head.mean.expand(1, images.tokens, -1)
    asked = torch.from_numpy(terms).to(prompt.lm.device)
    parts = (asked[start : start + _QUESTIONS] for start in range(0, len(asked), _QUESTIONS))
    return torch.cat([head.margins(mean, part[None], prompt)[0] for part in parts]).float().cpu().numpy()
