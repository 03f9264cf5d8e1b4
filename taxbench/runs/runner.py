"""Run tasks: from names to results. This is `taxbench run` without the command line.

    plan ──▶ fit ──▶ score        every stage for one run after the other; heads of later runs are trained along

`run` is the whole story on one screen; what its stages need from others stands in `config.py` (names resolved),
`context.py` (what runs share) and `fit.py` (heads).
"""

import time
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from taxbench.lms.frozen import find_files
from taxbench.protocol.left_out import left_out
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.heads import head_info
from taxbench.results.predictions import OWN, Predictions, collected, half, write_predictions
from taxbench.results.records import RESULT, finished, predictions_file, result_folder, write_result
from taxbench.runs.config import RAY, GridCell, RunConfig
from taxbench.runs.context import FeatureSet, RunContext
from taxbench.runs.cost import CostModel, asked_by
from taxbench.runs.environment import machine, versions
from taxbench.runs.fit import HeadJob, fit, head_jobs, head_label
from taxbench.runs.in_languages import answer_language, as_taught, language_id
from taxbench.runs.loaded import Shared
from taxbench.runs.ray_engine import run_on_ray
from taxbench.runs.several_devices import on_each_device
from taxbench.runs.status import StatusFile, Tally, processes_at_work
from taxbench.scoring.metrics import calibrate, category_scores, fit_threshold, score, summarise
from taxbench.specs.result import Result
from taxbench.specs.run import DatasetId, EncoderId, LMId, RunSpec
from taxbench.specs.side_files import Timing, TrainingLosses
from taxbench.training.parallel import side_by_side
from taxbench.training.predict import FittedHead, blank_margins, predict_margins
from taxbench.util.devices import dtype_name, peak_memory
from taxbench.util.errors import DataError, DiskError, TaxbenchError
from taxbench.util.paths import check_writable
from taxbench.util.progress import QUIET, Reporter

_PATIENCE = 2.0
"""Seconds between looks at what other processes have done."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run with all that decides it."""

    spec: RunSpec
    protocol: Protocol
    features: FeatureSet
    heads: dict[str, HeadJob]
    """Its own head and those of its controls."""
    name_auroc: float | None
    """How well the LM tells names apart in the run's prompt."""
    folder: Path
    """Where its record lies, or will lie."""


def run(config: RunConfig, report: Reporter) -> Iterator[Result]:
    """Plan the grid, then yield one result for every run of it, written to disk before it is yielded.

    A run whose record is already there, made by the same code and versions, is read instead of repeated, so an
    interrupted command goes on where it stopped. A run that fails does not stop the others; a full or read-only disk
    stops each process that meets it. What another process is doing is left to it, and read when done: several may be
    given the same grid.

    Raises:
        TaxbenchError: at the end, where runs failed; at once, where none can be or nothing more can be written.
    """
    if config.engine == RAY:
        yield from run_on_ray(config, run_here, report)
        return
    with on_each_device(config, run_here) as here:
        yield from run_here(here, report)


def run_here(config: RunConfig, report: Reporter) -> Iterator[Result]:
    """Do what `run` does on one device."""
    check_writable(config.out)
    for note in config.notes:
        report.say(note)
    shared, tally = Shared(), Tally(config.size)
    shared.workers = lambda: max(config.workers, processes_at_work(config.out))
    contexts = [RunContext(config, inputs, report, shared) for inputs in config.inputs]
    check(contexts)
    with StatusFile(config, tally, report):
        plans = []
        for context in contexts:
            runs = plan(context)
            tally.folders |= {name: planned.folder for name, planned in runs if isinstance(planned, PlannedRun)}
            yield from finish(runs, context, tally)
            plans.append((runs, context))
        while any(runs for runs, _ in plans):  # what is left is being done elsewhere
            time.sleep(_PATIENCE)
            for runs, context in plans:
                yield from finish(runs, context, tally)
    if tally.failed:
        count = sum(map(len, tally.failed.values()))
        raise TaxbenchError("\n".join([f"{count} of {config.size} runs failed.", *tally.reasons]))


def check(contexts: list[RunContext]) -> None:
    """Find out now what is missing, not after an hour of features.

    Raises:
        TaxbenchError: the device, datasets, files of LMs or encoders are not to be had; all at once.
    """
    problems: dict[str, TaxbenchError] = {}
    for context in contexts:
        _ = context.device, context.code  # the commit, before anyone edits the code
        files = partial(find_files, context.inputs.lm, context.cache, context.report)
        for find in (partial(getattr, context, "dataset"), files):
            try:
                find()
            except TaxbenchError as error:
                problems.setdefault(str(error), error)
    if len(problems) == 1:
        raise next(iter(problems.values()))
    if problems:
        raise TaxbenchError("\n".join(problems))


Asked = tuple[dict[Any, QuestionSet], QuestionSet]
"""Test questions by split, and those about validation images."""
Plan = deque[tuple[str, PlannedRun | TaxbenchError]]
"""Every run by its name; in the place of one that cannot be, why."""


def plan(context: RunContext) -> Plan:
    """Work out every run of the grid: its identity, its questions, the heads it needs. No features are extracted."""
    config, known, runs = context.config, dict[Hashable, HeadJob](), Plan()
    for seed, cell in product(config.seeds, config.cells_of(context.inputs)):
        name = config.name_of(context.inputs, cell, seed)
        try:
            features = context.features(cell.features)
            protocol = Protocol(cell.task.as_run(), context.dataset, seed, features.visual_similarity)
            spec = run_spec(cell, protocol, features, context)
            heads = head_jobs(spec, protocol, features, context, known)
            (_, auroc), folder = context.asking_prompt(cell, protocol), result_folder(config.out, spec)
            runs.append((name, PlannedRun(spec, protocol, features, heads, auroc, folder)))
        except TaxbenchError as error:
            runs.append((name, error))
    return runs


def run_spec(cell: GridCell, protocol: Protocol, features: FeatureSet, context: RunContext) -> RunSpec:
    """Return the identity of one run."""
    inputs, key = context.inputs, features.key
    lm, dataset, asks = context.lm, context.dataset, protocol.asked_property
    return RunSpec(
        task=protocol.task,
        dataset=DatasetId(
            name=dataset.name,
            fingerprint=dataset.fingerprint,
            limit=context.config.limit,
            properties=asks.digest if asks else None,
        ),
        encoder=EncoderId(
            name=inputs.encoder.name,
            digest=key.source.digest,
            features=key.digest,
            options=None if inputs.imported else cell.features,
        ),
        lm=LMId(name=inputs.lm.name, digest=lm.digest, dtype=dtype_name(lm.dtype)),
        head=cell.head,
        trainer=cell.trainer,
        scoring=cell.scoring,
        prompt=context.prompt(cell)[0],
        language=language_id(cell, protocol, context),
        seed=protocol.seed,
        device=context.device.type,
    )


def finish(runs: Plan, context: RunContext, tally: Tally) -> Iterator[Result]:
    """Fit and score planned runs one after the other, and take them off the plan; see `run`.

    It ends when nothing is left but what other processes are doing.

    Raises:
        TaxbenchError: the only run of a command failed, or nothing more can be written.
    """
    report, elsewhere = context.report, 0
    claims, cost = context.shared.claims_in(context.config.out), CostModel(context)
    while elsewhere < len(runs):
        name, planned = runs.popleft()
        try:
            if isinstance(planned, TaxbenchError):
                raise planned
            if result := _stored(planned, report):
                report.say(f"{name}: already done, read from {planned.folder} (remove it to run again)")
            elif claims.take(planned.spec.digest) and (asked := train(planned, _heads_of(runs), context, cost)):
                result = _stored(planned, QUIET) or measure(planned, asked, context, cost)
            else:
                runs.append((name, planned))
                elsewhere += 1
                continue
        except TaxbenchError as error:
            if tally.total == 1 or isinstance(error, DiskError):  # which would stop every later run, once trained
                raise
            tally.done += 1
            why = " likewise" if tally.fail(name, error) else f": {error}"
            report.say(f"[{tally.done}/{tally.total}] {name} FAILED{why}")
            continue
        finally:
            if isinstance(planned, PlannedRun):
                claims.release(planned.spec.digest)
        elsewhere, tally.done = 0, tally.done + 1
        headline = result.run.task.headline
        f1 = result.scores[headline].macro_f1
        shown = "no score, every term was asked with one answer only" if f1 is None else f"macro-F1 {f1:.3f}"
        report.say(f"[{tally.done}/{tally.total}] {name}: {headline} {shown}")
        yield result


def _stored(planned: PlannedRun, report: Reporter) -> Result | None:
    """Return the record of a run that is there already, made by code and versions that give the same numbers."""
    try:
        return finished(planned.folder, planned.spec.digest, versions())
    except DataError as error:
        report.say(f"{error} The run is made anew.")
        return None


def _heads_of(runs: Plan) -> Iterator[HeadJob]:
    """Yield the heads of runs that may have yet to be done and whose features are there."""
    for _, planned in runs:
        if isinstance(planned, PlannedRun) and planned.features.extracted and not (planned.folder / RESULT).exists():
            yield from planned.heads.values()


def train(planned: PlannedRun, later: Iterator[HeadJob], context: RunContext, cost: CostModel) -> Asked | None:
    """Train the heads of one run and its controls, and return what they are to be asked.

    None where some of them are still being trained elsewhere.

    Args:
        later: Heads of later runs, to be trained along where they fit in.
    """
    jobs, protocol = planned.heads.values(), planned.protocol
    missing = [job for job in jobs if job.is_missing]
    if missing and all(job.is_elsewhere() for job in missing):
        return None
    _ = planned.features.table, planned.features.rows  # extracted now, where they are not in the cache
    # What cannot be asked is said before training.
    asked = {split: protocol.test(split) for split in planned.spec.task.evaluate}, protocol.validation()
    with context.timed("train"):
        for job in jobs:
            # Now, and not where the first head is built: it may have something to say of the model.
            _ = job.teaching_scorer, job.scorer
        begun = fit(jobs, later, context)
    context.work["train"] = context.work.get("train", 0.0) + sum(map(cost.training, begun))
    return None if any(job.is_missing for job in jobs) else asked


def measure(planned: PlannedRun, asked: Asked, context: RunContext, cost: CostModel) -> Result:
    """Ask and score a run whose heads are trained, and its controls, and write its record."""
    for note in left_out(planned.protocol):
        context.report.say(f"{planned.spec.task.name}: {note}")
    tests, validating = asked
    with context.timed("train"):
        heads = {name: job.fitted() for name, job in planned.heads.items()}
        naming = heads if planned.protocol.asks_names else as_taught(planned.heads, planned.protocol)
    with context.timed("evaluate"):
        predictions = _predict(planned, {"leaf": naming}, heads, tests, context)
        held = _margins(planned, naming, validating, "validate", context)
        languages = answer_language(planned.heads[OWN], tests, context.report)
    content = write_predictions(predictions)
    result = _record(planned, predictions, content, (validating, held), heads[OWN].fitted, context)
    result = result.model_copy(update={"answer_language": languages, "unlabelled_terms": planned.protocol.unlabelled})
    context.work["evaluate"] = sum(map(cost.asking, asked_by(planned.protocol, planned.heads)))
    timing = Timing(machine=machine(context.device), seconds=context.take_seconds(), work=dict(context.work),
                    lm=context.lm.digest, dtype=dtype_name(context.lm.dtype), memory=peak_memory(context.device),
                    finished=datetime.now(UTC).date().isoformat())  # fmt: skip
    context.work.clear()
    curves = {name: curve for name, job in planned.heads.items() if (curve := job.curve)}
    write_result(planned.folder, result, content, timing, TrainingLosses(heads=curves))
    return result.lies_in(planned.folder)


def _predict(
    planned: PlannedRun,
    own: dict[str, dict[str, FittedHead]],
    heads: dict[str, FittedHead],
    tests: dict[Any, QuestionSet],
    context: RunContext,
) -> Predictions:
    """Return the margins of every head on every test question; some splits may have their own way of asking."""
    dataset, protocol = context.dataset, planned.protocol
    images = [image.id for image in dataset.images]
    parts = {split: (asked, _margins(planned, own.get(split, heads), asked, "ask", context))
             for split, asked in tests.items()}  # fmt: skip
    return collected(parts, images, protocol.leaf, dataset.taxonomy.leaves, protocol.vocabulary.terms)


def _margins(
    planned: PlannedRun, heads: dict[str, FittedHead], questions: QuestionSet, verb: str, context: RunContext
) -> dict[str, np.ndarray]:
    """Return the margins of every head on the same questions.  # (q,) float32 each"""
    spec = planned.spec
    asking = [
        partial(_ask, spec, head, questions, context.report, f"{verb} {head_label(spec, spec.head.name, name)}")
        for name, head in heads.items()
    ]
    return dict(zip(heads, side_by_side(asking, context.device, context.report), strict=True))


def _ask(spec: RunSpec, head: FittedHead, questions: QuestionSet, report: Reporter, label: str) -> np.ndarray:
    """Return the margins of questions, calibrated as the run says.  # (q,) float32"""
    margins = predict_margins(head, questions, report, label)
    kind = spec.scoring.calibration
    blank = blank_margins(head, np.unique(questions.term)) if kind in ("contextual", "pmi") else None
    return calibrate(kind, margins, questions.term, blank)


def _record(
    planned: PlannedRun,
    predictions: Predictions,
    content: bytes,
    validation: tuple[QuestionSet, dict[str, np.ndarray]],
    fitted: dict[str, Any],
    context: RunContext,
) -> Result:
    """Return the result of a finished run: scores, controls, evidence, versions and commit.

    Args:
        validation: Leaf questions about validation images, and every head's margins; thresholds are fitted to them.
    """
    run, protocol = planned.spec, planned.protocol
    asked, held = validation[0], {name: half(margins) for name, margins in validation[1].items()}
    thresholds = {name: fit_threshold(margins, asked.answer) for name, margins in held.items()}
    card = score(predictions, run.task.controls, thresholds)
    own = category_scores("val", protocol.vocabulary.terms, asked, held[OWN], thresholds[OWN])
    return Result(
        run=run,
        note=head_info(run.head.name).note,
        is_control=head_info(run.head.name).control,
        scores=card.scores,
        controls=card.controls,
        fitted=fitted,
        thresholds=thresholds,
        name_auroc=planned.name_auroc,
        validation=summarise(own),
        categories=card.categories,
        evidence=protocol.evidence(),
        visual_similarity=planned.features.coherence.report(protocol.pairing),
        predictions=predictions_file(content, predictions.questions_digest(), len(predictions)),
        versions=versions(),
        code=context.code,
    )
