"""The packed trainer against the loop that published code runs, from images to scores; and stacks of heads."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from taxbench.datasets.dataset import Dataset, load_dataset
from taxbench.features.encoders import Encoder, describe_encoder, load_encoder
from taxbench.features.extract import Extraction, features_of
from taxbench.features.feature_rows import FeatureRows
from taxbench.heads.loading import head_spec
from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.models import find_encoder, lms, model_source
from taxbench.specs.run import TrainerSpec
from taxbench.specs.sources import EncoderSpec
from taxbench.tasks.registry import find_tasks
from taxbench.training.head_state import HeadTrainingState, build_head
from taxbench.training.parallel import side_by_side
from taxbench.training.predict import FittedHead, predict_margins
from taxbench.training.stack import train_stack
from taxbench.util.progress import Reporter
from tests.bench.decoded import in_memory
from tests.bench.naive import NaiveLoop
from tests.bench.pictures import Pictures
from tests.bench.rounds import Ratio, ratio_of

QUIET = Reporter(quiet=True)
_IMAGES_A_LEAF = {"train": 2, "val": 1, "test": 1}
_QUESTIONS = 8  # an image


@dataclass(frozen=True, slots=True)
class Work:
    """A head to be trained on pictures and asked about others, in either way."""

    lm: FrozenLM
    encoder: Encoder
    pool: str
    dataset: Dataset
    protocol: Protocol
    trainer: TrainerSpec
    folder: Path
    rows: FeatureRows
    """The features, extracted ahead: what the naive loop standardises with."""

    @property
    def asked(self) -> QuestionSet:
        """Return the questions of the evaluation."""
        return self.protocol.test("leaf")

    def packed(self, seconds: dict[str, float]) -> np.ndarray:
        """Extract, train and ask as taxbench does; return the margins."""
        with timed(seconds, "extraction"):
            rows = extracted(self.dataset, self.encoder, self.pool, self.folder)
        with timed(seconds, "training"):
            scorer, trainee = self.scorer(), self.trainee(rows)
            side_by_side([lambda: train_stack([trainee], scorer, QUIET, lambda _: None)], self.lm.device, QUIET)
        with timed(seconds, "evaluation"):
            return predict_margins(FittedHead(trainee.finish(), rows, scorer), self.asked, QUIET)

    def naive(self, seconds: dict[str, float], rows_a_step: int | None = None) -> np.ndarray:
        """Train and ask the plain way; return the margins."""
        with timed(seconds, "loading the encoder"):
            encoder = load_encoder(self.encoder.card, self.encoder.device, self.encoder.dtype)
        loop = self.loop(encoder, rows_a_step)
        with timed(seconds, "training"):
            loop.train()
        with timed(seconds, "evaluation"):
            return loop.evaluate(self.asked)

    def scorer(self) -> QuestionScorer:
        """Return the LM ready to be asked."""
        answers = self.protocol.task.questions.answers
        return QuestionScorer.of(self.lm, self.protocol.questions, (answers.positive, answers.negative))

    def trainee(self, rows: FeatureRows, seed: int = 0) -> HeadTrainingState:
        """Return a fresh head in training. It has no dropout, so that both ways train the same."""
        train = self.protocol.images("train")
        head = build_head(head_spec("linear", {}), rows, train, self.lm, self.protocol.seed + seed)
        return HeadTrainingState(head, rows, self.protocol, self.trainer, "train")

    def loop(self, encoder: Encoder, rows_a_step: int | None = None) -> NaiveLoop:
        """Return the naive loop with a fresh head and its pictures in memory."""
        pictures = Pictures.of(self.dataset, np.arange(len(self.dataset.images)), encoder, self.pool)
        return NaiveLoop(self.trainee(self.rows).head, self.lm, pictures, self.protocol, self.trainer, rows_a_step)


@contextmanager
def timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    """Note the seconds that a block takes, all work of the device included."""
    start = time.perf_counter()
    yield
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds[phase] = time.perf_counter() - start


def extracted(dataset: Dataset, encoder: Encoder, pool: str, folder: Path) -> FeatureRows:
    """Extract features into an empty cache."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    how = Extraction(encoder.device, encoder.dtype)
    (table,) = features_of(dataset, encoder.card, [encoder.card.reading(-1, pool)], how, folder / "cache", QUIET)
    return FeatureRows.of(table, encoder.device)


def make_work(
    lm: FrozenLM, encoder: Encoder, pool: str, epochs: int, folder: Path, questions: int = _QUESTIONS
) -> Work:
    """Take some of the pocket pictures, and some questions about the leaf of each."""
    whole = load_dataset("pocket")
    chosen: dict[tuple[str, str], list[int]] = {}
    for i, image in enumerate(whole.images):
        chosen.setdefault((image.leaf, str(image.split)), []).append(i)
    some = [i for (_, split), images in chosen.items() for i in images[: _IMAGES_A_LEAF[split]]]
    dataset = in_memory(whole, np.array(some))
    task = find_tasks().tasks["leaf"]
    wording = task.questions.model_copy(update={"negatives_per_positive": questions - 1})
    protocol = Protocol(task.model_copy(update={"questions": wording}), dataset, seed=42)
    rows = extracted(dataset, encoder, pool, folder)
    return Work(lm, encoder, pool, dataset, protocol, TrainerSpec(epochs=epochs), folder, rows)


def bench_training(device: torch.device, folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield how much faster the packed way is, and how many FLOPs a question takes beside the bound."""
    for dtype in (torch.bfloat16, torch.float32):
        lm = load_lm(lms()["pocket"], device, dtype)
        encoder = load_encoder(describe_encoder(larger_pocket(folder / "pocket-128")), device, dtype)
        for pool, tokens, target in (("tokens", 64, 10.0), ("pooled", 1, 4.0)):
            work = make_work(lm, encoder, pool, 5, folder)
            label = f"{tokens} image tokens, 8 questions an image, 5 epochs, {str(dtype)[6:]}"
            yield from against_naive(work, label, rounds, target)
            yield from flops(work, label)


def larger_pocket(folder: Path) -> EncoderSpec:
    """Return the pocket encoder with an input of 128 pixels, which makes 64 patches."""
    shutil.copytree(model_source(find_encoder("pocket").source), folder, dirs_exist_ok=True)
    path = folder / "preprocessor_config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "size": {"height": 128, "width": 128}}))
    return EncoderSpec(name="pocket-128", source=str(folder))


def against_naive(work: Work, label: str, rounds: int, target: float | None) -> Iterator[Ratio]:
    """Time the packed way and two naive ones in turns, after a round of the packed one that does not count.

    One naive way is the published one, steps of 16 questions; the other takes the very steps of the packed trainer.
    Untrained, they must answer alike; what they are trained to differs as their roundings do.
    """
    same_answers(work)
    ways: dict[str, Callable[[dict[str, float]], np.ndarray]] = {
        "packed": work.packed,
        "loop as published": partial(work.naive, rows_a_step=16),
        "loop with the same steps": work.naive,
    }
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    work.packed({})
    for number in range(rounds):
        for name in reversed(ways) if number % 2 else ways:
            taken[name].append({})
            ways[name](taken[name][-1])
    ours = taken.pop("packed")
    for name, theirs in taken.items():
        for phase in ("training", "evaluation"):
            yield ratio_of(f"{phase} / {name}: {label}", [each[phase] for each in ours],
                           [each[phase] for each in theirs])  # fmt: skip
        whole = ([sum(each.values()) for each in way] for way in (ours, theirs))
        goal = target if name == "loop as published" else None
        yield ratio_of(f"from images to scores / {name}: {label}", *whole, goal)


def same_answers(work: Work) -> None:
    """Prove that both ways put the same questions to the same LM."""
    asked = work.asked.where(np.arange(len(work.asked)) < 32)
    head = work.trainee(work.rows).head.eval()
    packed = predict_margins(FittedHead(head, work.rows, work.scorer()), asked, QUIET)
    near = 0.05 if work.lm.dtype == torch.float32 else 1.0  # cached features are rounded to float16
    np.testing.assert_allclose(work.loop(work.encoder).evaluate(asked), packed, atol=near)


def flops(work: Work, label: str) -> Iterator[Ratio]:
    """Yield the floating-point operations of a question in training, packed, beside the naive way's and the bound."""
    scorer, trainee, loop = work.scorer(), work.trainee(work.rows), work.loop(work.encoder)
    batch = trainee.batch()
    asked = int((batch.term >= 0).sum())
    with FlopCounterMode(display=False) as counter:
        scorer.margins(trainee.head.soft_tokens(batch.features), batch.term).sum().backward()  # type: ignore[no-untyped-call]
    packed = counter.get_total_flops() / asked
    one = next(iter(loop.batches(0)))
    with FlopCounterMode(display=False) as counter:
        loop.answer_logits(one).sum().backward()  # type: ignore[no-untyped-call]
    naive = counter.get_total_flops() / len(one)
    bound = lower_bound(work)
    for what, value, base in (("naive", packed, naive), ("bound", packed, bound)):
        yield Ratio(f"MFLOPs a question / {what}: {label}", base / value, base / value, base / value, 1,
                    value / 1e6, base / 1e6)  # fmt: skip


def lower_bound(work: Work) -> float:
    """Return the least floating-point operations of a question in training.

    The LM's linear layers see each token once, forward and backward, an image's prefix once for all its questions.
    Attention and the output layer are left out.
    """
    table, asked = work.scorer().table, work.protocol.train_questions(0)
    layers = sum(weight.numel() for name, weight in work.lm.model.named_parameters()
                 if weight.ndim == 2 and "embed" not in name and "head" not in name)  # fmt: skip
    lengths = np.array([len(table.full(term)) - len(table.stem) for term in range(len(table.ids))])
    prefix = len(table.opening) + work.rows.tokens + len(table.stem)
    return float(4 * layers * (prefix * len(np.unique(asked.image)) / len(asked) + lengths[asked.term].mean()))
