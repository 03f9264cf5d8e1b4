"""Run tasks: from names to results. This is `taxbench run` without the command line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taxbench.lms.frozen import lm_source
from taxbench.protocol.protocol import Protocol
from taxbench.registry.heads import head_info
from taxbench.results.predictions import OWN, Collector, Predictions, half, write_predictions
from taxbench.results.records import predictions_file, read_result, result_folder, write_result
from taxbench.runs.config import GridCell, RunConfig
from taxbench.runs.context import RunContext
from taxbench.runs.environment import code, machine, versions
from taxbench.runs.fit import HeadFitter, Job
from taxbench.scoring.calibration import calibrate
from taxbench.scoring.metrics import category_scores, summarise
from taxbench.scoring.scorecard import score
from taxbench.specs.result import Code, Result, Scores, Timing
from taxbench.specs.run import DatasetId, EncoderId, LMId, RunSpec
from taxbench.training.parallel import side_by_side, threads_of_a_job
from taxbench.training.predict import FittedHead, blank_margins, predict_margins
from taxbench.util.errors import DataError, TaxbenchError, first_few
from taxbench.util.hub import model_files
from taxbench.util.paths import check_writable
from taxbench.util.progress import Reporter


@dataclass
class Runner:
    """One request being served."""

    config: RunConfig
    report: Reporter
    _jobs: dict[int, Job] = field(default_factory=dict)
    """Runs that were looked at and are not over, by their place in `_wanted`."""

    @cached_property
    def context(self) -> RunContext:
        """Return what all runs share."""
        return RunContext(self.config, self.report)

    @cached_property
    def _maker(self) -> HeadFitter:
        return HeadFitter(self.context)

    @cached_property
    def _code(self) -> Code:
        return code().model_copy(update={"threads": threads_of_a_job(self.context.device)})

    @cached_property
    def _wanted(self) -> list[tuple[GridCell, int]]:
        return [(cell, seed) for seed in self.config.seeds for cell in self.config.cells]

    def results(self) -> Iterator[Result]:
        """Yield one result for every seed, task, head and setting, written to disk before it is yielded.

        A run whose record is already there, made by the same code and versions, is read instead of repeated, so an
        interrupted command goes on where it stopped. A run that fails does not stop the others.

        Raises:
            TaxbenchError: at the end, where runs failed; at once, where none can be.
        """
        _ = self.context.device, self.context.dataset  # what is missing is missed now, not after an hour of features
        _ = self._code  # before anyone edits it
        model_files(lm_source(self.config.lm), self.config.lm.gated)
        check_writable(self.config.out)
        for note in self.config.notes:
            self.report.say(note)
        total, failed = len(self._wanted), list[str]()
        for place, (cell, seed) in enumerate(self._wanted):
            name = f"{self.config.name_of(cell)} seed {seed}"
            try:
                result = self._result(place, name)
            except TaxbenchError as error:
                if total == 1:
                    raise
                failed.append(f"{name}: {error}")
                self.report.say(f"[{place + 1}/{total}] {name} FAILED: {error}")
                continue
            finally:
                self._jobs.pop(place, None)
            f1 = result.scores[cell.task.headline].macro_f1
            shown = "no score, every term was asked with one answer only" if f1 is None else f"macro-F1 {f1:.3f}"
            self.report.say(f"[{place + 1}/{total}] {name}: {cell.task.headline} {shown}")
            yield result
        if failed:
            raise TaxbenchError("\n".join([f"{len(failed)} of {total} runs failed.", *failed]))

    def run_spec(self, cell: GridCell, seed: int) -> RunSpec:
        """Return the identity of one run."""
        key = self.context.features(cell.features).table.key
        lm, dataset = self.context.lm, self.context.dataset
        return RunSpec(
            task=cell.task.model_copy(update={"expected": None}),  # published figures are no part of a run
            dataset=DatasetId(name=dataset.name, fingerprint=dataset.fingerprint),
            encoder=EncoderId(
                name=self.config.encoder.name,
                digest=key.source.digest,
                features=key.digest,
                options=None if self.config.imported else cell.features,
            ),
            lm=LMId(name=self.config.lm.name, digest=lm.digest, dtype=_dtype_name(lm.dtype)),
            head=cell.head,
            trainer=cell.trainer,
            scoring=cell.scoring,
            seed=seed,
            device=self.context.device.type,
        )

    def _job(self, place: int) -> Job:
        """Return a run with its questions; built once, since runs are looked at ahead of their turn."""
        if place not in self._jobs:
            cell, seed = self._wanted[place]
            run, features = self.run_spec(cell, seed), self.context.features(cell.features)
            self._jobs[place] = Job(run, Protocol(run.task, self.context.dataset, seed, features.coherence), features)
        return self._jobs[place]

    def _result(self, place: int, name: str) -> Result:
        job = self._job(place)
        folder = result_folder(self.config.out, job.run)
        stored = self._stored(folder / "result.json")
        if stored and stored.digest == job.run.digest and stored.versions.computing == versions().computing:
            self.report.say(f"{name}: already done, read from {folder} (remove it to run again)")
            return stored
        self._tell(job.protocol)
        others = range(place + 1, len(self._wanted))
        later: list[Callable[[], Job]] = [partial(self._job, other) for other in others]
        result, predictions = self._measure(job, later)
        timing = Timing(machine=machine(self.context.device), seconds=self._seconds())
        write_result(folder, result, predictions, timing)
        return result

    def _seconds(self) -> dict[str, float]:
        """Return the wall times since the last run, and begin anew."""
        seconds = {phase: round(time, 3) for phase, time in self.context.seconds.items()}
        self.context.seconds.clear()  # what runs share (dataset, features, lm) stands with the run that waited for it
        return seconds

    def _stored(self, path: Path) -> Result | None:
        if not path.is_file():
            return None
        try:
            return read_result(path)
        except DataError as error:
            self.report.say(f"{error} It is made anew.")
            return None

    def _tell(self, protocol: Protocol) -> None:
        """Say what the leak guard found; nothing is left out, or left in, silently."""
        if protocol.leaks:
            did = "left out of training" if protocol.task.leaks == "drop" else "KEPT in training, as the task says"
            names = ", ".join(map(str, protocol.leaks))
            self.report.say(f"{protocol.task.name}: leaves that say a denied hypernym, {did}: {names}")
        if protocol.leaves_without_images:
            names = first_few(protocol.leaves_without_images, 10)
            self.report.say(
                f"{protocol.task.name}: leaves without a training picture, neither trained nor asked: {names}"
            )

    def _measure(self, job: Job, later: list[Callable[[], Job]]) -> tuple[Result, bytes]:
        """Train, ask and score one run and its controls."""
        protocol, task, terms = job.protocol, job.run.task, job.protocol.vocabulary.terms
        tests = {split: protocol.test(split) for split in task.evaluate}  # what cannot be asked is said before training
        validating = protocol.validation()
        heads = self._maker.heads(job, later)
        names = list(heads)
        labels = {name: job.label(job.run.head.name, name) for name in names}
        leaves, images = self.context.dataset.taxonomy.leaves, [image.id for image in self.context.dataset.images]
        collector = Collector(images, protocol.leaf, leaves, terms)
        with self.context.timed("evaluate"):
            for split, asked in tests.items():
                asking = [partial(self._ask, job, heads[name], asked, f"ask {labels[name]}") for name in names]
                margins = side_by_side(asking, self.context.device, self.report)
                collector.add(split, asked, dict(zip(names, margins, strict=True)))
            margin = half(self._ask(job, heads[OWN], validating, f"validate {labels[OWN]}"))
            validation = summarise(category_scores("val", terms, validating, margin))
        predictions = collector.predictions()
        content = write_predictions(predictions)
        return self._record(job, predictions, content, validation, heads[OWN].fitted), content

    def _ask(self, job: Job, asked: FittedHead, questions: Any, label: str) -> np.ndarray:
        """Return calibrated margins of questions.  # (q,) float32"""
        margins = predict_margins(asked, questions, self.report, label)
        kind = job.run.scoring.calibration
        blank = blank_margins(asked, np.unique(questions.term)) if kind in ("contextual", "pmi") else None
        return calibrate(kind, margins, questions.term, blank)

    def _record(
        self, job: Job, predictions: Predictions, content: bytes, validation: Scores, fitted: dict[str, Any]
    ) -> Result:
        run, protocol = job.run, job.protocol
        card = score(predictions, run.task.controls)
        return Result(
            run=run,
            note=head_info(run.head.name).note,
            is_control=head_info(run.head.name).control,
            scores=card.scores,
            controls=card.controls,
            fitted=fitted,
            validation=validation,
            categories=card.categories,
            evidence=protocol.evidence(),
            visual_similarity=job.features.coherence.report(protocol.pairing),
            predictions=predictions_file(content, predictions.questions_digest(), len(predictions)),
            versions=versions(),
            code=self._code,
        )


def _dtype_name(dtype: torch.dtype) -> Any:
    return str(dtype).removeprefix("torch.")
