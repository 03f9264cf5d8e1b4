"""What runs cost before they are started: the LM's work in FLOPs, and seconds by rates measured on this machine.

A token of a row costs 2 FLOPs for each weight outside the embeddings, and as many again where a gradient goes back to
the soft tokens (the weights are frozen and have none). Heads themselves cost little beside that.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from taxbench.features.decode import resize
from taxbench.features.encoders import load_encoder
from taxbench.features.feature_rows import FeatureRows
from taxbench.heads.base import SoftHead
from taxbench.heads.loading import head_spec
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.heads import TOLD, head_info
from taxbench.results.records import TIMING, find_results, read_beside
from taxbench.runs.context import FeatureSet, RunContext
from taxbench.runs.environment import machine
from taxbench.runs.fit import Asking, HeadJob, fit
from taxbench.specs.feature_key import FeatureOptions
from taxbench.specs.side_files import Timing
from taxbench.specs.task import NoCounterfactual, SplitName
from taxbench.training.parallel import side_by_side
from taxbench.training.predict import predict_margins
from taxbench.util.devices import dtype_name, peak_memory, pick_dtype
from taxbench.util.progress import QUIET, Advance, Reporter

Part = Literal["train", "val"] | SplitName
"""What is asked: in an epoch of training, about validation images, or of a split of the test."""
_PROBE_SECONDS = 3.0
_PROBE_IMAGES = 32


class CostModel:
    """Count the work of heads and runs that share their inputs."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._protocols: dict[str, Protocol] = {}
        self._tokens: dict[tuple[object, ...], float] = {}
        self._soft: dict[tuple[str, str], int] = {}

    @cached_property
    def weights(self) -> int:
        """Return how many weights of the LM each token goes through."""
        model = self._context.lm.model
        tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
        tables |= {id(layer.weight) for layer in [model.get_output_embeddings()] if layer is not None}
        return sum(weight.numel() for weight in model.parameters() if id(weight) not in tables)

    def training(self, job: HeadJob) -> float:
        """Return the FLOPs of training a head from its beginning."""
        if head_info(job.key.head.name).learns == "fit":
            return 0.0
        job = self._alike(job)
        return 4.0 * self.weights * self._of_rows(job, job.teaching, "train") * job.key.trainer.epochs

    def asking(self, job: HeadJob) -> float:
        """Return the FLOPs of asking a head all that its run asks: test and validation questions."""
        if not head_info(job.key.head.name).asks_lm or self._context.inputs.system:
            return 0.0
        job = self._alike(job)
        parts: tuple[Part, ...] = ("val", *job.protocol.task.evaluate)
        return 2.0 * self.weights * sum(self._of_rows(job, job.asking, part) for part in parts)

    def _alike(self, job: HeadJob) -> HeadJob:
        """Return the job with a protocol that asks as many questions, one for all seeds and pairings; it is kept."""
        dataset, changed = job.protocol.dataset, {"counterfactual": NoCounterfactual(kind="none"), "name": "cost"}
        task = job.protocol.task.model_copy(update=changed)
        return replace(job, protocol=self._protocols.setdefault(task.digest, Protocol(task, dataset, 0)))

    def _soft_tokens(self, job: HeadJob) -> int:
        """Return how many soft tokens a head makes of an image."""
        if head_info(job.key.head.name).learns == "fit":
            return 1
        key = (job.key.head.model_dump_json(), job.features.key.digest)
        if key not in self._soft:
            apart = replace(job, features=_at_hand(job))
            head = apart.new_head(self._context.lm)
            assert isinstance(head, SoftHead), job.label
            self._soft[key] = head.mapped(apart.images(np.zeros(1, np.int64))).shape[1]
        return self._soft[key]

    def _of_rows(self, job: HeadJob, how: Asking, part: Part) -> float:
        """Return at how many tokens questions are put to the LM; counted once for many heads.

        Raises ModelError where they are longer than it knows positions.

        Args:
            how: In which words, as they are put to the LM.
        """
        info, trainer, k = head_info(job.key.head.name), job.key.trainer, self._soft_tokens(job)
        protocol = job.protocol
        key = (id(protocol), part, k, info.sees, trainer.order, *how.identity)
        if key not in self._tokens:
            questions = _questions(protocol, part)
            scorer = self._context.scorer(protocol, trainer.order, how.prompt, how.texts)
            table = scorer.table
            scorer.check_room(k * (1 + protocol.task.in_pairs), table.length)
            widths, n = table.widths.cpu().numpy()[questions.term], len(protocol.leaf)
            if info.sees == "features" or part == "train" or protocol.task.in_pairs:
                shown = np.unique(questions.image)
                soft = k * (1 + float(np.mean(shown >= n)))  # rows with two images have the second's too
                rows = protocol.images("train") if part == "train" else shown
                self._tokens[key] = scorer.forward.tokens(len(rows), soft, widths)
            else:  # nothing is asked twice, and each question stands in a row of its own
                looks = protocol.leaf[questions.image] if info.sees == "name" else np.zeros(len(questions), np.int64)
                once = np.unique(np.stack([looks, questions.term]), axis=1, return_index=True)[1]
                self._tokens[key] = scorer.forward.tokens(len(once), k, widths[once])
        return self._tokens[key]


def _questions(protocol: Protocol, part: Part) -> QuestionSet:
    """Return the questions of a part."""
    match part:
        case "train":
            return protocol.train_questions(0)
        case "val":
            return protocol.validation()
    return protocol.test(part)


def asked_by(protocol: Protocol, heads: Mapping[str, HeadJob]) -> list[HeadJob]:
    """Return the heads of a run with what it asks; one that runs share holds what the first of them asks."""
    return [replace(job, protocol=protocol) for job in heads.values()]


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast this machine is."""

    train: float
    """FLOPs a second."""
    alone: float
    """The same of a head beside which no other can be trained; in earlier runs such are among the others."""
    evaluate: float
    """FLOPs a second."""
    memory: int
    """The most memory in bytes that a process had meanwhile."""
    source: str
    """Where they were measured."""


def rates(context: RunContext, jobs: Iterable[HeadJob], cost: CostModel) -> Rates:
    """Return how fast the LM is trained through and asked on this machine: in earlier runs, else in a short probe."""
    here, lm, dtype = machine(context.device), context.lm.digest, dtype_name(context.lm.dtype)
    seconds, work = {"train": 0.0, "evaluate": 0.0}, {"train": 0.0, "evaluate": 0.0}
    runs = memory = 0
    for path in find_results([context.config.out]) if context.config.out.is_dir() else ():
        timing = read_beside(path.parent / TIMING, Timing)
        if timing and (timing.machine, timing.lm, timing.dtype or dtype) == (here, lm, dtype):
            runs, memory = runs + 1, max(memory, timing.memory)
            for phase in seconds:
                seconds[phase] += timing.seconds.get(phase, 0.0)
                work[phase] += timing.work.get(phase, 0.0)
    if all(work.values()) and seconds["train"] > _PROBE_SECONDS:
        found = {phase: work[phase] / seconds[phase] for phase in work}
        return Rates(found["train"], found["train"], found["evaluate"], memory, f"{runs} earlier runs")
    return _probe(context, list(jobs), cost)


def _probe(context: RunContext, jobs: list[HeadJob], cost: CostModel) -> Rates:
    """Train and ask heads for a few seconds each, as a run would, on random features; nothing of it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        watch = Stopwatch()
        apart = RunContext(replace(context.config, cache=Path(folder)), context.inputs, watch, context.shared)
        trained = [_through_the_lm(replace(job, features=_at_hand(job), context=apart)) for job in jobs[:16]]
        alone = _rate_of_training(trained[:1], watch, apart, cost) if trained_alone(jobs) and len(trained) > 1 else None
        train = _rate_of_training(trained, watch, apart, cost)
        heads = [job.untrained() for job in trained[:2]]
        protocol = trained[0].protocol
        asked = QuestionSet.concat([*map(protocol.test, protocol.task.evaluate), protocol.validation()])
        asking = [partial(predict_margins, head, asked, watch, "ask") for head in heads]
        evaluate = watch.rate(lambda: side_by_side(asking, context.device, watch))
        asked_of_it = cost.asking(trained[0]) / _asked_of(trained[0])
    memory, source = peak_memory(context.device), "a probe of some seconds"
    return Rates(train, alone or train, evaluate * asked_of_it, memory, source)


def _rate_of_training(jobs: list[HeadJob], watch: "Stopwatch", context: RunContext, cost: CostModel) -> float:
    """Return the FLOPs a second at which heads are trained beside each other."""
    a_question = sum(map(cost.training, jobs)) / sum(_trained_on(job) for job in jobs)
    return watch.rate(lambda: fit(jobs[:3], jobs[3:], context)) * a_question


def trained_alone(jobs: Sequence[HeadJob]) -> set[str]:
    """Return the digests of heads that are trained one at a time, since `fit` has one random twin at a time in memory.

    Those of the first seed are trained beside the heads of the LM itself, and several of one seed beside each other.
    """
    twins = [job for job in jobs if job.key.variant == "random_lm"]
    of_seed = Counter(job.key.seed for job in twins)
    first = next((job.key.seed for job in jobs if job.key.variant != "random_lm"), None)
    return {job.key.digest for job in twins if of_seed[job.key.seed] == 1 and job.key.seed != first}


def _through_the_lm(job: HeadJob) -> HeadJob:
    """Return a head that is trained through the LM; in the place of one that is not, the simplest."""
    if head_info(job.key.head.name).learns != "fit":
        return job
    return replace(job, key=job.key.model_copy(update={"head": head_spec("linear", {})}))


def _trained_on(job: HeadJob) -> int:
    """Return how many questions a training asks."""
    return len(job.protocol.train_questions(0)) * job.key.trainer.epochs


def _asked_of(job: HeadJob) -> int:
    """Return how many questions a head is asked."""
    protocol = job.protocol
    return sum(len(protocol.test(split)) for split in protocol.task.evaluate) + len(protocol.validation())


class Stopwatch(Reporter):
    """Stops the work under its bars after some seconds, and says how fast it was."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self._ticks: list[tuple[float, int]] = []  # when steps were made, and how many
        self._enough = False

    def rate(self, work: Callable[[], object]) -> float:
        """Return how many steps a second some work makes, its beginning left out where what follows took longer."""
        self.resume()  # what is measured first was stopped
        self._ticks, self._enough, start = [], False, time.perf_counter()
        try:
            work()
        except KeyboardInterrupt:
            if not self._enough:  # a user's
                raise
        first, end = self._ticks[0][0], self._ticks[-1][0]
        if end - first > first - start:  # else there are few steps, which several jobs may make at one time
            start, _ = self._ticks.pop(0)
        return sum(steps for _, steps in self._ticks) / (end - start)

    @contextmanager
    def bar(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        """Count the steps of a bar."""

        def advance(steps: int, note: str = "", /) -> None:
            self._ticks.append((now := time.perf_counter(), steps))
            self._enough |= now - self._ticks[0][0] > _PROBE_SECONDS
            if self._enough or self._stopped.is_set():
                self.stop()
                raise KeyboardInterrupt

        yield advance


class _FewRows(FeatureRows):
    """Features of a few images, again and again."""

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return what stands for some images.  # (b,) → (b, t, f) float32"""
        return super().__call__(images % len(self._source))

    def statistics(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return those of the few.  # (f,), (f,) float32"""
        return super().statistics(np.arange(len(self._source)))


def _at_hand(job: HeadJob, few: Tensor | None = None) -> FeatureSet:
    """Return features that a head can be trained on now: the ones meant, or those of a few images, else random ones."""
    meant = job.features
    if meant.extracted:
        return meant
    few = torch.randn(_PROBE_IMAGES, *meant.shape()) if few is None else few
    apart = replace(meant)
    apart.__dict__["rows"] = _FewRows(few.to(meant.device), meant.device)  # in the place of what would be extracted
    return apart


def encode_some(context: RunContext, wanted: FeatureOptions) -> tuple[Tensor, float]:
    """Read and encode a few images here; return their features, and how many seconds one takes.  # (n, t, f)"""
    card = context.card(wanted)
    encoder = load_encoder(card, context.device, pick_dtype(context.device.type))
    images = context.dataset.images[:_PROBE_IMAGES]
    reading = card.reading(wanted.layer, wanted.pool)

    def encode() -> Tensor:
        pixels = np.stack([resize(context.dataset.read(image), card.preprocessing) for image in images])
        return encoder.encode(torch.from_numpy(pixels), [reading])[0].cpu()

    encode()  # the first pass prepares
    start = time.perf_counter()
    found = encode()
    return found, (time.perf_counter() - start) / len(images)


def seconds_to_ask(jobs: Sequence[HeadJob], few: Mapping[str, Tensor]) -> float:
    """Return how long whole systems take to be asked, measured on the questions about some images.

    Args:
        jobs: The heads of all runs that are left, each as often as it is asked.
        few: Features of a few images, by the digest of their key, where they are not extracted.
    """
    asking = {job.key.digest: job for job in jobs if _to_ask(job)}
    start, seconds = time.perf_counter(), 0.0
    if not asking:
        return 0.0
    job = next(iter(asking.values()))
    fitted = replace(job, features=_at_hand(job, few.get(job.features.key.digest))).fitted()
    prepared = time.perf_counter() - start  # texts, and the comparison with the model's own forward
    asked = job.protocol.test(job.protocol.task.evaluate[0])
    for n in (1, 8, 64, 512):
        some = asked.where(np.isin(asked.image, np.unique(asked.image)[:n]))
        start = time.perf_counter()
        predict_margins(fitted, some, QUIET, "ask")
        if (seconds := time.perf_counter() - start) > _PROBE_SECONDS / 8:
            break
    text_sides = {job.key.seed if job.key.variant == "random_lm" else None for job in asking.values()}  # and twins
    return len(text_sides) * prepared + seconds / len(some) * sum(map(_to_ask, jobs))


def _to_ask(job: HeadJob) -> int:
    """Return how many questions a head is asked that it may answer in different ways; none if it asks no text side."""
    info, protocol = head_info(job.key.head.name), job.protocol
    if info.reads in TOLD:
        return 0
    if info.sees == "features" and job.key.variant != "no_image":
        return _asked_of(job)
    looks = protocol.leaf if info.sees == "name" else np.zeros_like(protocol.leaf)
    sets = [*map(protocol.test, protocol.task.evaluate), protocol.validation()]
    return len(np.unique(np.hstack([np.stack([looks[some.image], some.term]) for some in sets]), axis=1).T)
