"""Run tasks: from names to results. This is `taxbench run` without the command line."""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taxbench.data.dataset import Dataset, load_dataset
from taxbench.data.protocol import Protocol
from taxbench.errors import DataError, ModelError, TaxbenchError, TrainingError, some
from taxbench.features.encoders import describe_encoder
from taxbench.features.extract import Extraction, features_of, require_all
from taxbench.features.imported import imported_table
from taxbench.features.rows import FeatureRows
from taxbench.features.similarity import Coherence
from taxbench.features.store.reader import FeatureTable
from taxbench.heads.base import Head
from taxbench.hub import model_files
from taxbench.lms.devices import pick_device, pick_dtype
from taxbench.lms.frozen import FrozenLM, lm_source, load_lm, random_twin
from taxbench.lms.packing import check_packing, tokenise
from taxbench.paths import cache_folder, check_writable
from taxbench.progress import Reporter
from taxbench.request import Request, Setting
from taxbench.scoring.metrics import category_scores, chance_control, summarise
from taxbench.scoring.records import Predictions, read_result, result_folder, write_result
from taxbench.specs.base import canonical_json
from taxbench.specs.features import FeatureOptions
from taxbench.specs.result import CategoryScore, Result, Scores, Versions
from taxbench.specs.run import ControlOrRun, DatasetId, EncoderId, LMId, RunSpec, head_key
from taxbench.specs.task import TaskSpec
from taxbench.training.head_cache import load_head, save_head
from taxbench.training.parallel import side_by_side, threads_of_a_job
from taxbench.training.trainer import Bench, ask, build_head, train_head
from taxbench.version import source_version


@dataclass(frozen=True, slots=True)
class _Job:
    """One run that has to be computed."""

    run: RunSpec
    protocol: Protocol
    rows: FeatureRows
    coherence: Coherence


@dataclass
class Suite:
    """One request being served. Parts load when first needed and are shared by all its runs."""

    request: Request
    report: Reporter
    _twin_of: tuple[int, FrozenLM] | None = None
    _benches: dict[ControlOrRun, tuple[Any, Bench]] = field(default_factory=dict)
    _tables: dict[FeatureOptions, tuple[FeatureTable, FeatureRows, Coherence]] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Yield one result for every seed and task, written to disk before it is yielded.

        A run whose record is already there, made by the same code and versions, is read instead of repeated, so an
        interrupted command goes on where it stopped. A task that this dataset cannot serve does not stop the others.

        Raises:
            TaxbenchError: at the end, where runs failed; at once, where none can be.
        """
        _ = self.device, self.dataset  # what is missing is missed now, not after an hour of features
        model_files(lm_source(self.request.lm), self.request.lm.gated)
        check_writable(self.request.out)
        for note in self.request.notes:
            self.report.say(note)
        tasks = list(zip(self.request.tasks, self.request.settings, strict=True))
        wanted = [(task, setting, seed) for seed in self.request.seeds for task, setting in tasks]
        failed: list[str] = []
        for number, (task, setting, seed) in enumerate(wanted, 1):
            run, name = self.run_spec(task, setting, seed), f"{task.name} seed {seed}"
            try:
                result = self._result(run, setting)
            except (DataError, ModelError, TrainingError) as error:
                if len(wanted) == 1:
                    raise
                failed.append(f"{name}: {error}")
                self.report.say(f"[{number}/{len(wanted)}] {name} FAILED: {error}")
                continue
            f1 = result.scores[task.headline].macro_f1
            shown = "no score, every term was asked with one answer only" if f1 is None else f"macro-F1 {f1:.3f}"
            self.report.say(f"[{number}/{len(wanted)}] {name}: {task.headline} {shown}")
            yield result
        if failed:
            raise TaxbenchError("\n".join([f"{len(failed)} of {len(wanted)} runs failed.", *failed]))

    @cached_property
    def device(self) -> torch.device:
        """Return the device in use."""
        return pick_device(self.request.device)

    @property
    def cache(self) -> Path:
        """Return the cache folder."""
        return cache_folder(self.request.cache)

    @cached_property
    def dataset(self) -> Dataset:
        """Return the dataset."""
        with self._timed("dataset"):
            dataset = load_dataset(self.request.dataset, self.request.taxonomy)
        for note in dataset.notes:
            self.report.say(note)
        return dataset

    def features(self, wanted: FeatureOptions) -> tuple[FeatureTable, FeatureRows, Coherence]:
        """Return features, extracted once: on disk, as heads see them, and as a measure of visual similarity."""
        if wanted not in self._tables:
            with self._timed("features"):
                table = self._extracted(wanted)
                rows, coherence = FeatureRows.of(table, self.device), Coherence(table.pooled(), self.dataset)
                self._tables[wanted] = table, rows, coherence
        return self._tables[wanted]

    def _extracted(self, wanted: FeatureOptions) -> FeatureTable:
        if self.request.imported:
            return imported_table(self.cache, self.request.imported, self.dataset)
        card = describe_encoder(self.request.encoder)
        how = Extraction(self.device, pick_dtype(self.device.type), wanted.storage, origin=self.request.origin)
        reading = card.reading(wanted.layer, wanted.pool)
        (table,) = features_of(self.dataset, card, [reading], how, self.cache, self.report)
        return require_all(table, self.dataset)

    @cached_property
    def lm(self) -> FrozenLM:
        """Return the frozen language model."""
        with self._timed("lm"):
            return load_lm(self.request.lm, self.device, pick_dtype(self.device.type))

    def run_spec(self, task: TaskSpec, setting: Setting, seed: int) -> RunSpec:
        """Return the identity of one run."""
        key = self.features(setting.features)[0].key
        return RunSpec(
            task=task.model_copy(update={"expected": None}),  # published figures are no part of a run
            dataset=DatasetId(name=self.dataset.name, fingerprint=self.dataset.fingerprint),
            encoder=EncoderId(name=self.request.encoder.name, digest=key.source.digest, features=key.digest),
            lm=LMId(name=self.request.lm.name, digest=self.lm.digest, dtype=_dtype_name(self.lm.dtype)),
            head=setting.head,
            trainer=setting.trainer,
            seed=seed,
            device=self.device.type,
        )

    def _result(self, run: RunSpec, setting: Setting) -> Result:
        folder = result_folder(self.request.out, run)
        stored = self._stored(folder / "result.json")
        if stored and stored.run == run and stored.versions == _versions():
            name = f"{run.task.name} seed {run.seed}"
            self.report.say(f"{name}: already done, read from {folder} (remove it to run again)")
            return stored
        _, rows, coherence = self.features(setting.features)
        job = _Job(run, Protocol(run.task, self.dataset, run.seed, coherence), rows, coherence)
        self._tell(job.protocol)
        result, predictions = self._measure(job)
        write_result(folder, result, predictions, self._seconds)
        self._seconds.clear()  # what runs share (dataset, features, lm) stands with the run that waited for it
        return result

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
        if protocol.unpictured:
            names = some(protocol.unpictured, 10)
            self.report.say(
                f"{protocol.task.name}: leaves without a training picture, neither trained nor asked: {names}"
            )

    def _measure(self, job: _Job) -> tuple[Result, bytes]:
        """Train, ask and score one run and its controls."""
        protocol, task = job.protocol, job.run.task
        names: list[ControlOrRun] = ["none"]
        names += ["random_lm"] if "random_lm" in task.controls else []
        tests = {split: protocol.test(split) for split in task.evaluate}  # what cannot be asked is said before training
        validating = protocol.validation()
        trained = self._trained(job, names)
        predictions = Predictions(self.dataset, protocol.vocabulary, tuple(names[1:]))
        scores: dict[str, Scores] = {}
        controls: dict[str, dict[str, Scores]] = {name: {} for name in task.controls}
        categories: list[CategoryScore] = []
        with self._timed("evaluate"):
            for split, asked in tests.items():
                asking = [partial(ask, *trained[name], asked, self.report, _label("ask", job, name)) for name in names]
                margins = side_by_side(asking, self.device, self.report)
                predictions.add(split, asked, margins)
                rows = [category_scores(split, protocol.vocabulary.terms, asked, margin) for margin in margins]
                scores[split] = summarise(rows[0])
                categories += rows[0]
                if "chance" in controls:
                    controls["chance"][split] = chance_control(rows[0])
                for name, row in zip(names[1:], rows[1:], strict=True):
                    controls[name][split] = summarise(row)
            margin = ask(*trained["none"], validating, self.report, _label("validate", job, "none"))
            validation = summarise(category_scores("val", protocol.vocabulary.terms, validating, margin))
        return self._record(job, (scores, controls, validation, tuple(categories))), predictions.bytes()

    def _record(self, job: _Job, measured: tuple[Any, Any, Scores, Any]) -> Result:
        scores, controls, validation, categories = measured
        run, protocol = job.run, job.protocol
        return Result(
            digest=run.digest,
            task=run.task.identity,
            dataset=run.dataset.name,
            encoder=run.encoder.name,
            lm=run.lm.name,
            head=run.head.name,
            seed=run.seed,
            scores=scores,
            controls=controls,
            validation=validation,
            categories=categories,
            evidence=protocol.evidence(),
            visual_similarity=job.coherence.report(protocol.pairing),
            run=run,
            versions=_versions(),
        )

    def _trained(self, job: _Job, names: list[ControlOrRun]) -> dict[str, tuple[Head, Bench]]:
        """Return the run's trained head and its controls', from the cache where they are there."""
        with self._timed("train"):
            fresh = {name: self._untrained(job, name) for name in names}
            code = f"{canonical_json(_versions())} {threads_of_a_job(self.device)} threads"
            keys = {name: head_key(job.run, name, code) for name in names}
            missing = [name for name in names if not load_head(self.cache, keys[name], fresh[name][0])]

            def train(name: ControlOrRun) -> None:
                label = _label("train", job, name)
                head = train_head(*fresh[name], job.protocol, job.run.trainer, self.report, label)
                save_head(self.cache, keys[name], head)  # at once, whatever becomes of the others

            side_by_side([partial(train, name) for name in missing], self.device, self.report)
        return {name: (head.eval(), bench) for name, (head, bench) in fresh.items()}

    def _untrained(self, job: _Job, name: ControlOrRun) -> tuple[Head, Bench]:
        """Return a fresh head and what it is trained on."""
        bench = self._bench(job, name)
        return build_head(job.run.head, bench, job.protocol.images("train"), job.run.seed), bench

    def _bench(self, job: _Job, name: ControlOrRun) -> Bench:
        """Return the LM, or its random twin, with the questions it is asked; tasks that ask the same share it."""
        protocol = job.protocol
        lm = self._twin(protocol.seed) if name == "random_lm" else self.lm
        answers = (protocol.task.questions.answers.positive, protocol.task.questions.answers.negative)
        key = (lm.digest, protocol.questions, answers, job.run.encoder.features)
        if name not in self._benches or self._benches[name][0] != key:
            bench = Bench(lm, tokenise(lm, protocol.questions, answers), job.rows)
            check_packing(lm, bench.table)
            self._benches[name] = (key, bench)
        return self._benches[name][1]

    def _twin(self, seed: int) -> FrozenLM:
        """Return the random twin of a seed; one is kept, since tasks of one seed share it."""
        if self._twin_of is None or self._twin_of[0] != seed:
            self._twin_of = (seed, random_twin(self.lm, seed))
        return self._twin_of[1]

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[phase] = self._seconds.get(phase, 0.0) + time.perf_counter() - start


def _label(verb: str, job: _Job, name: ControlOrRun) -> str:
    """Name a piece of work for its progress bar."""
    return f"{verb} {job.run.task.name} seed {job.run.seed}{' (random LM)' if name == 'random_lm' else ''}"


def _dtype_name(dtype: torch.dtype) -> Any:
    return str(dtype).removeprefix("torch.")


def _versions() -> Versions:
    import transformers

    return Versions(
        taxbench=source_version(),
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=transformers.__version__,
        numpy=np.__version__,
    )
