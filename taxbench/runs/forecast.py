"""What a grid of runs will take, before it is started: `taxbench plan` without the command line."""

import math
import time
from dataclasses import dataclass, field, replace

from taxbench.registry.heads import head_info
from taxbench.results.predictions import OWN
from taxbench.results.records import RESULT
from taxbench.runs.config import RunConfig
from taxbench.runs.context import RunContext
from taxbench.runs.cost import CostModel, Rates, encode_some, rates, seconds_to_ask
from taxbench.runs.fit import HeadJob
from taxbench.runs.loaded import Shared
from taxbench.runs.runner import PlannedRun, check, plan
from taxbench.specs.feature_key import FeatureOptions
from taxbench.util.errors import TaxbenchError
from taxbench.util.progress import Reporter


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
    failing: list[str]
    """Runs that cannot be, and why."""
    preparing: float
    """Seconds until the first head is trained: datasets and language models are loaded, and every run is planned."""

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
    shared, failing, found = Shared(), list[str](), list[InputsForecast]()
    contexts = [RunContext(config, inputs, report, shared) for inputs in config.inputs]
    check(contexts)
    probing = 0.0
    for context in contexts:
        runs = [*plan(context)]
        failing += [f"{name}: {error}" for name, error in runs if not isinstance(error, PlannedRun)]
        start = time.time()
        try:
            found.append(_of_inputs(context, [run for _, run in runs if isinstance(run, PlannedRun)]))
        except TaxbenchError as error:  # a head that does not fit the features or the LM
            failing.append(f"some runs of {context.inputs.lm.name} ← {context.inputs.encoder.name}: {error}")
        probing += time.time() - start
    return Forecast(found, failing, time.time() - began - probing)


def _of_inputs(context: RunContext, runs: list[PlannedRun]) -> InputsForecast:
    """Return what runs with the same inputs take."""
    cost = CostModel(context)
    todo = [run for run in runs if not (run.folder / RESULT).exists()]
    jobs: dict[str, HeadJob] = {job.key.digest: job for run in runs for job in run.heads.values()
                                if head_info(job.key.head.name).learns != "fit"}  # fmt: skip
    needed = {job.key.digest: job for run in todo for job in run.heads.values() if job.is_missing}
    missing = {run.features.key.digest: run for run in todo if not run.features.extracted}
    values = sum(math.prod(run.features.shape()) for run in missing.values()) * len(context.dataset.images)
    result = InputsForecast(
        model=context.inputs.lm.name,
        encoder=context.inputs.encoder.name,
        dataset=context.inputs.dataset,
        runs=len(runs),
        done=len(runs) - len(todo),
        heads=len(jobs),
        cached_heads=sum(not job.is_missing for job in jobs.values()),
        images=len(context.dataset.images),
        missing_features=len(missing),
        feature_bytes=2 * values,
        model_bytes=sum(weight.nbytes for weight in context.lm.model.parameters()),
        train_flops=sum(map(cost.training, needed.values())),
        evaluate_flops=sum(cost.asking(job) for run in todo for job in run.heads.values()),
        rates=None,
    )
    some = {key: encode_some(context, run.spec.encoder.options or FeatureOptions()) for key, run in missing.items()}
    if some:
        result.seconds["features"] = len(context.dataset.images) * sum(each.seconds for each in some.values())
    if context.inputs.system and todo:
        asked = [job for run in todo for job in run.heads.values()]
        result.seconds["evaluate"] = seconds_to_ask(asked, {key: each.features for key, each in some.items()})
    elif needed or todo:
        tried = list((needed or jobs).values()) or [todo[0].heads[OWN]]
        result.rates = rates(context, tried, cost)
        result.seconds["train"] = result.train_flops / result.rates.train
        result.seconds["evaluate"] = result.evaluate_flops / result.rates.evaluate
    return result
