"""Ask a finished head questions, as many rows at a time as fit into memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional

from taxbench.features.feature_rows import FeatureRows, ImagePairs, Images, NameFeatures
from taxbench.features.store.reader import free_memory
from taxbench.heads.base import FixedHead, Head, SoftHead
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.training.head_state import group_by_image
from taxbench.util.errors import TrainingError
from taxbench.util.progress import Reporter

_SHARE = 0.5  # of the free memory: the estimate is one of activations and knows nothing of fragmentation


class RowBudget:
    """Rows that fit into memory at a time; results do not depend on it, but for rounding where heads read states.

    Args:
        row_bytes: An estimate of the memory that one row takes at most.
        jobs: How many share the memory.
    """

    def __init__(self, row_bytes: int, device: torch.device, jobs: int = 1) -> None:
        self.rows = max(1, int(free_memory(device) * _SHARE / jobs) // max(1, row_bytes))

    def parts(self, n: int, at_once: int = 1) -> Iterator[slice]:
        """Cut n rows into equal parts of which some fit at once."""
        count = min(n, -(-n * at_once // self.rows) if n > self.rows else at_once)
        for i in range(count):
            yield slice(i * n // count, (i + 1) * n // count)

    def each(self, n: int, most: int, work: Callable[[slice], None]) -> None:
        """Do some work on n rows, at most so many at a time, and on fewer where memory runs out.

        Raises:
            TrainingError: a single row does not fit.
        """
        start = 0
        while start < n:
            part = slice(start, min(n, start + min(most, self.rows)))
            try:
                work(part)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                self.halve(error, most)
            else:
                start = part.stop

    def halve(self, error: RuntimeError, n: int) -> None:
        """Take half as many rows from now on.

        Raises:
            TrainingError: a single row does not fit.
        """
        at_once = min(self.rows, n)
        if at_once <= 1:
            raise TrainingError(
                f"One image with its questions does not fit into memory ({str(error).splitlines()[0]}). Take fewer "
                "feature vectors (--set pool=grid4), a smaller model, or another --device."
            ) from None
        self.rows = at_once // 2


def out_of_memory(error: Exception) -> bool:
    """Say whether an error means that memory ran out; on a CPU torch has no type of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


# Rows at a time where memory is no limit: more do not compute faster. Questions a row: an image's part of the LM's work
# is done once for them all.
_ROWS, _QUESTIONS = 128, 128


def answer_losses(margins: Tensor, answers: Tensor) -> Tensor:
    """Return −log softmax(right answer) between the two answers, from log odds of Yes.  # (..., q), (..., q) bool"""
    # In float64: CPUs compute the last few of an array by another routine, and the last bits of a question's gradient
    # would depend on how many questions it is computed with.
    exact = margins.float() if margins.device.type == "mps" else margins.double()
    return functional.softplus(torch.where(answers, -exact, exact)).float()


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head with all that it takes to ask it."""

    head: Head
    images: Images
    scorer: QuestionScorer
    fitted: dict[str, JsonValue] = field(default_factory=dict)
    """What the head chose by itself."""
    answered: dict[int, float] | None = None
    """Where images look alike to the head: its margins so far, by look · terms + term."""


def predict_margins(fitted: FittedHead, questions: QuestionSet, report: Reporter, label: str = "ask") -> np.ndarray:
    """Return the margin log p(Yes) − log p(No) of every question, none asked twice.  # (q,) float32

    Raises:
        TrainingError: one is no number.
    """
    if fitted.answered is None or fitted.images.looks is None:
        return _margins(fitted, questions, report, label)
    place = fitted.images.looks[questions.image] * len(fitted.scorer.table.ids) + questions.term
    _, first = np.unique(place, return_index=True)
    once = np.zeros(len(questions), bool)
    once[first] = [key not in fitted.answered for key in place[first].tolist()]
    if once.any():
        # Each in a row of its own, so that no answer depends on what else was asked.
        found = _margins(fitted, questions.where(once), report, label, together=1)
        fitted.answered.update(zip(place[once].tolist(), found.tolist(), strict=True))
    return np.array([fitted.answered[key] for key in place.tolist()], np.float32)


@torch.inference_mode()
def _margins(
    fitted: FittedHead, questions: QuestionSet, report: Reporter, label: str, together: int = _QUESTIONS
) -> np.ndarray:
    """Return the margin of every question, some of an image asked together; see `predict_margins`.  # (q,) float32"""
    rows, head, images, scorer = group_by_image(questions, together), fitted.head, fitted.images, fitted.scorer
    k = head.mapped(images(rows.image[:1])).shape[1]
    budget = RowBudget(scorer.row_bytes(k, rows.term.shape[1], training=False), scorer.lm.device, jobs=2)
    found = np.full(len(questions), np.nan, np.float32)
    with report.bar(label, len(questions), "q") as advance:

        def ask(part: slice) -> None:
            term = torch.from_numpy(rows.term[part]).to(scorer.lm.device)
            answer, source = head.margins(images(rows.image[part]), term, scorer).cpu().numpy(), rows.source[part]
            found[source[source >= 0]] = answer[source >= 0]
            advance(int((source >= 0).sum()))

        budget.each(len(rows.image), _ROWS, ask)
    if not np.isfinite(found).all():
        raise TrainingError(f"{(~np.isfinite(found)).sum()} of {len(found)} answers are not numbers ({label}).")
    return found


def leaf_loss(fitted: FittedHead, protocol: Protocol) -> float:
    """Return a head's loss on leaf questions about validation images, the only ones training may be stopped by.

    Raises:
        TrainingError: an answer is no number.
    """
    questions = protocol.validation(as_taught=True)
    training = fitted.head.training
    fitted.head.eval()
    # Quiet, and so not to be stopped: a training would go on from a checkpoint that lacks this validation.
    margins = predict_margins(fitted, questions, Reporter(quiet=True), "validate")
    fitted.head.train(training)
    return float(answer_losses(torch.from_numpy(margins), torch.from_numpy(questions.answer)).mean())


def blank_margins(fitted: FittedHead, terms: np.ndarray) -> np.ndarray | None:
    """Return margins about an empty image, one with the mean of all features.  # (v,) int64 → (v,) float32

    None where there is no such thing: where the LM is not asked, and where images are names.
    """
    images = fitted.images.rows if isinstance(fitted.images, ImagePairs) else fitted.images
    if isinstance(images, NameFeatures) or not isinstance(fitted.head, SoftHead | FixedHead):
        return None
    mean = fitted.head.mean
    empty = FeatureRows(mean.expand(1, fitted.images.tokens, -1), mean.device)
    questions = QuestionSet(np.zeros(len(terms), np.int64), terms, np.zeros(len(terms), bool))
    return _margins(replace(fitted, images=empty), questions, Reporter(quiet=True), "empty image")
