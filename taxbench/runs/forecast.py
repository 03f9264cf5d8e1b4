"""What a grid of runs will take, before it is started: `taxbench plan` without the command line."""

import math
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from taxbench.protocol.left_out import unlabelled_terms
from taxbench.registry.heads import head_info
from taxbench.results.predictions import read_predictions
from taxbench.results.records import RESULT, find_results, read_result
from taxbench.runs.config import RunConfig
from taxbench.runs.context import RunContext
from taxbench.runs.cost import CostModel, Rates, asked_by, encode_some, rates, seconds_to_ask, trained_alone
from taxbench.runs.downloads import Download, missing_models
from taxbench.runs.fit import HeadJob
from taxbench.runs.loaded import Shared
from taxbench.runs.runner import Plan, PlannedRun, check, plan
from taxbench.runs.schedule import WorkLeft, makespan
from taxbench.runs.status import Tally
from taxbench.scoring.bootstrap import Replicates, replicates, standard_error
from taxbench.scoring.comparison import detectable_difference
from taxbench.specs.feature_key import FeatureOptions
from taxbench.specs.task import TaskSpec
from taxbench.util.errors import DataError, TaxbenchError
from taxbench.util.progress import Reporter

_WORKERS = (1, 2, 4, 8, 16, 32, 64)
_LOOKED_AT = 12
"""How many earlier runs of a task are read."""


@dataclass
class InputsForecast:
    """What the runs with the same images, encoder and language model take."""

    model: str
    encoder: str
    dataset: str
    runs: int
    done: int
    """Runs whose record is there."""
    heads: int
    """Heads that are trained through the LM, each once for all runs that need it."""
    cached_heads: int
    images: int
    missing_features: int
    """Sets of features that are not in the cache."""
    feature_bytes: int
    """What they will take on disk."""
    model_bytes: int
    """The LM's weights in memory."""
    train_flops: float
    evaluate_flops: float
    rates: Rates | None
    """None where nothing is left to do, and of whole systems, whose time is measured."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase."""


@dataclass
class Forecast:
    """What a grid of runs takes."""

    inputs: list[InputsForecast]
    downloads: list[Download]
    """Models that are not on this machine; what is run with them is not in `inputs`."""
    failing: list[str]
    """Runs that cannot be, and why."""
    detectable: dict[str, float]
    """The difference in macro-F1 between two runs of one seed that would be found, by task; see `detectable`."""
    left_out: list[str]
    """Terms that tasks do not ask, for want of a label in their languages."""
    preparing: float
    """Seconds until the first head is trained: datasets and language models are loaded, and every run is planned."""
    by_workers: dict[int, float] = field(default_factory=dict)
    """Seconds that so many processes take together, each on a machine like this one; see `schedule.makespan`."""

    @property
    def seconds(self) -> float:
        """Return how long everything takes, on this machine, by one process."""
        return self.preparing + sum(sum(each.seconds.values()) for each in self.inputs)


def forecast(config: RunConfig, report: Reporter, began: float) -> Forecast:
    """Work out what a grid needs, without training a head or extracting a feature.

    Args:
        began: When the program started, by `time.time`.

    Raises:
        TaxbenchError: datasets or models are not to be had; all at once, with what to type.
    """
    config = replace(config, device=config.device.partition(",")[0])  # one process on one device
    shared, tally, left_out, found = Shared(), Tally(config.size), list[str](), list[InputsForecast]()
    missing = missing_models(config.inputs)
    contexts = [RunContext(config, inputs, report, shared) for inputs in config.inputs if inputs not in missing]
    check(contexts)
    work, probing = list[WorkLeft](), 0.0
    for context in contexts:
        runs, start = plan(context), time.time()
        cost = CostModel(context)
        protocols = [run.protocol for _, run in runs if isinstance(run, PlannedRun)]
        left_out += [f"{each.task.name}: {note}" for each in protocols for note in unlabelled_terms(each)]
        if prices := _prices(runs, cost, tally):
            try:
                result, units = _of_inputs(prices, context, cost)
                found.append(result)
                work.append(units)
            except TaxbenchError as error:  # of pictures, or of what reads them
                tally.fail(f"all runs of {context.inputs.lm.name} ← {context.inputs.encoder.name}", error)
        probing += time.time() - start
    downloads = list(dict.fromkeys(chain.from_iterable(missing.values())))
    preparing = time.time() - began - probing
    by_workers = {n: preparing + sum(makespan(units, n) for units in work) for n in _WORKERS}
    found_by_task = {task.name: detectable(config.out, task) for task in config.tasks}
    known = {name: difference for name, difference in found_by_task.items() if difference is not None}
    return Forecast(found, downloads, tally.reasons, known, list(dict.fromkeys(left_out)), preparing, by_workers)


def detectable(out: Path, task: TaskSpec) -> float | None:
    """Return the smallest difference in macro-F1 that two runs of a task must have to be told apart, on its headline.

    The median over pairs of earlier runs of one seed, by the paired bootstrap over terms and leaves, at alpha .05 with
    power .8 (`scoring.comparison.detectable_difference`). Several seeds lower it by what seeds do not share.

    Args:
        out: The folder of results, where earlier runs lie; None is returned where there are no two alike.
    """
    by_questions: dict[tuple[int, str], list[Replicates]] = {}
    for path in find_results([out / task.name])[:_LOOKED_AT] if out.is_dir() else ():
        with suppress(DataError):
            result = read_result(path)
            if result.run.task.digest == task.digest and result.predictions:
                alike = (result.run.seed, result.predictions.questions)
                answers = read_predictions(path.parent / result.predictions.file)
                by_questions.setdefault(alike, []).append(replicates(answers, task.headline, with_auroc=False))
    found = []
    for drawn in by_questions.values():
        for one, other in pairwise(drawn):
            error = standard_error(one.macro_f1 - other.macro_f1, one.n_terms)
            found.append(detectable_difference(error, one.n_terms))
    known = [difference for difference in found if difference is not None]
    return float(np.median(known)) if known else None


@dataclass(frozen=True, slots=True)
class _Price:
    """What is left of one run."""

    run: PlannedRun
    is_done: bool
    """Whether its record is there."""
    jobs: list[HeadJob]
    training: dict[str, float]
    """FLOPs of each of its heads that are missing, by their digests."""
    asking: float
    """FLOPs."""


def _prices(runs: Plan, cost: CostModel, tally: Tally) -> list[_Price]:
    """Return what is left of each run; of those that cannot be, because of their questions or heads, tell why."""
    found = list[_Price]()
    for name, run in runs:
        try:
            if isinstance(run, TaxbenchError):
                raise run
            is_done, jobs = (run.folder / RESULT).exists(), asked_by(run.protocol, run.heads)
            todo = [] if is_done else jobs
            training = {job.key.digest: cost.training(job) for job in todo if job.is_missing}
            found.append(_Price(run, is_done, jobs, training, sum(map(cost.asking, todo))))
        except TaxbenchError as error:
            tally.fail(name, error)
    return found


def _of_inputs(prices: list[_Price], context: RunContext, cost: CostModel) -> tuple[InputsForecast, WorkLeft]:
    """Return what runs with the same inputs take, together and each."""
    todo = [each for each in prices if not each.is_done]
    jobs: dict[str, HeadJob] = {job.key.digest: job for each in prices for job in each.jobs
                                if head_info(job.key.head.name).learns != "fit"}  # fmt: skip
    missing = {each.run.features.key.digest: each.run for each in todo if not each.run.features.extracted}
    values = sum(math.prod(run.features.shape()) for run in missing.values()) * len(context.dataset.images)
    training = {digest: flops for each in todo for digest, flops in each.training.items()}
    asking = [each.asking for each in todo]
    result = InputsForecast(
        model=context.inputs.lm.name,
        encoder=context.inputs.encoder.name,
        dataset=context.inputs.dataset,
        runs=len(prices),
        done=len(prices) - len(todo),
        heads=len(jobs),
        cached_heads=sum(not job.is_missing for job in jobs.values()),
        images=len(context.dataset.images),
        missing_features=len(missing),
        feature_bytes=2 * values,
        model_bytes=sum(weight.nbytes for weight in context.lm.model.parameters()),
        train_flops=sum(training.values()),
        evaluate_flops=sum(asking),
        rates=None,
    )
    some = {key: encode_some(context, run.spec.encoder.options or FeatureOptions()) for key, run in missing.items()}
    if some:
        result.seconds["features"] = len(context.dataset.images) * sum(seconds for _, seconds in some.values())
    if context.inputs.system and todo:
        asked = [job for each in todo for job in each.jobs]
        result.seconds["evaluate"] = seconds_to_ask(asked, {key: features for key, (features, _) in some.items()})
        training, asking = {}, [result.seconds["evaluate"] / len(todo)] * len(todo)
    elif todo:
        tried = [jobs[digest] for digest in training or jobs] or todo[0].jobs[:1]
        result.rates = rates(context, tried, cost)
        alone = trained_alone([jobs[digest] for digest in training])
        training = {digest: flops / (result.rates.alone if digest in alone else result.rates.train)
                    for digest, flops in training.items()}  # fmt: skip
        result.seconds["train"] = sum(training.values())
        result.seconds["evaluate"] = result.evaluate_flops / result.rates.evaluate
        asking = [flops / result.rates.evaluate for flops in asking]
    runs_left = [([job.key.digest for job in each.jobs], left) for each, left in zip(todo, asking, strict=True)]
    return result, WorkLeft(result.seconds.get("features", 0.0), training, runs_left)
