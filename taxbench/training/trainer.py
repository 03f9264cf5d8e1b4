"""Train a head through a frozen language model, and ask a trained head questions."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taxbench.data.protocol import Protocol
from taxbench.data.questions import QuestionSet
from taxbench.errors import TrainingError
from taxbench.features.rows import FeatureRows
from taxbench.heads.base import Head, Shape
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.packing import QuestionTable, margins
from taxbench.progress import Reporter
from taxbench.registry.heads import head_module
from taxbench.seeds import derive_seed, rng
from taxbench.specs.run import HeadSpec, TrainerSpec
from taxbench.training.batches import group_by_image

# Questions a row at evaluation: more would waste attention on blocks that never look at each other.
_EVAL_QUESTIONS, _EVAL_IMAGES = 16, 128


@dataclass(frozen=True, slots=True)
class Bench:
    """What heads of one run are trained on: a frozen LM, its tokenised questions, and features."""

    lm: FrozenLM
    table: QuestionTable
    features: FeatureRows


def build_head(spec: HeadSpec, bench: Bench, train_images: np.ndarray, seed: int) -> Head:
    """Build a head whose initial weights follow the seed and whose scales follow training features and the LM."""
    module = head_module(spec.name)
    mean, std = bench.features.statistics(train_images)
    shape = Shape(tokens=bench.features.tokens, features=bench.features.width, width=bench.lm.width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "init", spec.name))
        mapping = module.build(shape, module.Settings.model_validate(spec.settings))
    return Head(mapping.to(bench.lm.device), mean, std, bench.lm.embedding_rms()).to(bench.lm.device)


def train_head(
    head: Head, bench: Bench, protocol: Protocol, trainer: TrainerSpec, report: Reporter, label: str
) -> Head:
    """Train a head on the protocol's questions; the loss is the cross-entropy between the two answers.

    Args:
        label: What the progress bar calls it.

    Raises:
        TrainingError: the loss stops being a number.
    """
    n_images = len(protocol.images("train"))
    total = trainer.epochs * math.ceil(n_images / trainer.batch_images)
    optimiser = torch.optim.AdamW(head.parameters(), lr=trainer.learning_rate, weight_decay=trainer.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, total, trainer.warmup))
    with report.bar(label, trainer.epochs * n_images, "img") as advance:
        for epoch in range(trainer.epochs):
            rows = group_by_image(protocol.train_questions(epoch), most=1 << 30)
            order = rng(protocol.seed, "order", epoch).permutation(len(rows.image))
            for batch in np.array_split(order, math.ceil(n_images / trainer.batch_images)):
                loss = _loss(head, bench, rows.image[batch], rows.term[batch], rows.answer[batch])
                if not torch.isfinite(loss):
                    raise _diverged(f"The loss of the head stopped being a number in epoch {epoch + 1}", label, trainer)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(head.parameters(), trainer.clip)
                optimiser.step()
                schedule.step()
                advance(len(batch))
    if not all(torch.isfinite(value).all() for value in head.parameters()):
        raise _diverged("The head's weights stopped being numbers in the last step", label, trainer)
    return head.eval()


def _diverged(what: str, label: str, trainer: TrainerSpec) -> TrainingError:
    return TrainingError(f"{what} ({label}). Try --set learning_rate={trainer.learning_rate / 10:g}.")


@torch.inference_mode()
def ask(head: Head, bench: Bench, questions: QuestionSet, report: Reporter, label: str) -> np.ndarray:
    """Return the margin logit(Yes) − logit(No) of every question.  # (q,) float32

    Raises:
        TrainingError: one is no number.
    """
    rows = group_by_image(questions, _EVAL_QUESTIONS)
    found = np.full(len(questions), np.nan, np.float32)
    with report.bar(label, len(questions), "q") as advance:
        for start in range(0, len(rows.image), _EVAL_IMAGES):
            part = slice(start, start + _EVAL_IMAGES)
            answer = _margins(head, bench, rows.image[part], rows.term[part]).cpu().numpy()
            source = rows.source[part]
            found[source[source >= 0]] = answer[source >= 0]
            advance(int((source >= 0).sum()))
    if not np.isfinite(found).all():
        raise TrainingError(f"{np.isnan(found).sum()} of {len(found)} answers are not numbers ({label}).")
    return found


def _margins(head: Head, bench: Bench, image: np.ndarray, term: np.ndarray) -> Tensor:
    return margins(bench.lm, bench.table, head(bench.features(image)), torch.from_numpy(term).to(bench.lm.device))


def _loss(head: Head, bench: Bench, image: np.ndarray, term: np.ndarray, answer: np.ndarray) -> Tensor:
    """Return the mean over questions of −log softmax(right answer) between the two answers."""
    margin = _margins(head, bench, image, term)  # (b, q)
    sign = torch.from_numpy(np.where(answer, 1.0, -1.0).astype(np.float32)).to(margin.device)
    asked = torch.from_numpy(term >= 0).to(margin.device)
    return torch.nn.functional.softplus(-sign * margin)[asked].mean()


def _rate(step: int, total: int, warmup: float) -> float:
    """Rise linearly over the warm-up, then follow a cosine to zero."""
    rising = max(1, round(warmup * total))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, total - rising))))
