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
from taxbench.data.questions import QuestionSet
from taxbench.features.encoders import describe_encoder
from taxbench.features.extract import Extraction, features_of, require_all
from taxbench.features.imported import imported_table
from taxbench.features.rows import FeatureRows
from taxbench.features.similarity import Coherence
from taxbench.features.store.reader import FeatureTable
from taxbench.heads.base import Head
from taxbench.lms.devices import pick_device, pick_dtype
from taxbench.lms.frozen import FrozenLM, load_lm, random_twin
from taxbench.lms.packing import check_packing, tokenise
from taxbench.paths import cache_folder
from taxbench.progress import Reporter
from taxbench.request import Request
from taxbench.scoring.metrics import category_scores, chance_control, summarise
from taxbench.scoring.records import Predictions, read_result, result_folder, write_result
from taxbench.specs.result import CategoryScore, Result, Scores, Versions
from taxbench.specs.run import ControlOrRun, DatasetId, EncoderId, LMId, RunSpec, head_key
from taxbench.specs.task import TaskSpec
from taxbench.training.head_cache import load_head, save_head
from taxbench.training.parallel import side_by_side
from taxbench.training.trainer import Bench, ask, build_head, train_head
from taxbench.version import source_version


@dataclass
class Suite:
    """One request being served. Parts load when first needed and are shared by all its runs."""

    request: Request
    report: Reporter
    _twin_of: tuple[int, FrozenLM] | None = None
    _benches: dict[ControlOrRun, tuple[Any, Bench]] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Yield one result for every seed and task, written to disk before it is yielded.

        A run whose record is already there, made by the same code and versions, is read instead of repeated, so an
        interrupted command goes on where it stopped.
        """
        for seed in self.request.seeds:
            for task in self.request.tasks:
                yield self._result(task, seed)

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
            return load_dataset(self.request.dataset, self.request.taxonomy)

    @cached_property
    def features(self) -> FeatureTable:
        """Return the features, extracted once."""
        with self._timed("features"):
            if self.request.imported:
                return imported_table(self.cache, self.request.imported, self.dataset)
            card, wanted = describe_encoder(self.request.encoder), self.request.features
            how = Extraction(self.device, pick_dtype(self.device.type), wanted.storage, origin=self.request.origin)
            reading = card.reading(wanted.layer, wanted.pool)
            (table,) = features_of(self.dataset, card, [reading], how, self.cache, self.report)
            return require_all(table, self.dataset)

    @cached_property
    def lm(self) -> FrozenLM:
        """Return the frozen language model."""
        with self._timed("lm"):
            return load_lm(self.request.lm, self.device, pick_dtype(self.device.type))

    @cached_property
    def feature_rows(self) -> FeatureRows:
        """Return the features as heads see them."""
        return FeatureRows.of(self.features, self.device)

    @cached_property
    def coherence(self) -> Coherence:
        """Return what measures visual similarity inside hypernyms."""
        return Coherence(self.features.pooled(), self.dataset)

    def run_spec(self, task: TaskSpec, seed: int) -> RunSpec:
        """Return the identity of one run."""
        key = self.features.key
        return RunSpec(
            task=task,
            dataset=DatasetId(name=self.dataset.name, fingerprint=self.dataset.fingerprint),
            encoder=EncoderId(name=self.request.encoder.name, digest=key.source.digest, features=key.digest),
            lm=LMId(name=self.request.lm.name, digest=self.lm.digest, dtype=_dtype_name(self.lm.dtype)),
            head=self.request.head,
            trainer=self.request.trainer,
            seed=seed,
            device=self.device.type,
        )

    def _result(self, task: TaskSpec, seed: int) -> Result:
        run = self.run_spec(task, seed)
        folder = result_folder(self.request.out, run)
        if (folder / "result.json").is_file():
            stored = read_result(folder / "result.json")
            if stored.run == run and stored.versions == _versions():
                self.report.say(f"{task.name} seed {seed}: already done, read from {folder} (remove it to run again)")
                return stored
        result, predictions = self._measure(Protocol(task, self.dataset, seed, self.coherence), run)
        write_result(folder, result, predictions, self._seconds)
        self._seconds.clear()  # what runs share (dataset, features, lm) stands with the run that waited for it
        return result

    def _measure(self, protocol: Protocol, run: RunSpec) -> tuple[Result, bytes]:
        """Train, ask and score one run and its controls."""
        task = protocol.task
        names: list[ControlOrRun] = ["none"]
        names += ["random_lm"] if "random_lm" in task.controls else []
        trained = self._trained(protocol, run, names)
        predictions = Predictions(self.dataset, protocol.vocabulary, tuple(names[1:]))
        scores: dict[str, Scores] = {}
        controls: dict[str, dict[str, Scores]] = {name: {} for name in task.controls}
        categories: list[CategoryScore] = []
        with self._timed("evaluate"):
            for split in task.evaluate:
                asked = protocol.test(split)
                margins = side_by_side([partial(ask, *trained[name], asked) for name in names], self.device)
                predictions.add(split, asked, margins)
                rows = [category_scores(split, protocol.vocabulary.terms, asked, margin) for margin in margins]
                scores[split] = summarise(rows[0])
                categories += rows[0]
                if "chance" in controls:
                    controls["chance"][split] = chance_control(rows[0])
                for name, row in zip(names[1:], rows[1:], strict=True):
                    controls[name][split] = summarise(row)
            validation = self._score(trained["none"], protocol, protocol.validation())
        return self._record(protocol, run, (scores, controls, validation, tuple(categories))), predictions.bytes()

    def _score(self, trained: tuple[Head, Bench], protocol: Protocol, asked: QuestionSet) -> Scores:
        return summarise(category_scores("val", protocol.vocabulary.terms, asked, ask(*trained, asked)))

    def _record(self, protocol: Protocol, run: RunSpec, measured: tuple[Any, Any, Scores, Any]) -> Result:
        scores, controls, validation, categories = measured
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
            visual_similarity=self.coherence.report(protocol.pairing),
            run=run,
            versions=_versions(),
        )

    def _trained(self, protocol: Protocol, run: RunSpec, names: list[ControlOrRun]) -> dict[str, tuple[Head, Bench]]:
        """Return the run's trained head and its controls', from the cache where they are there."""
        with self._timed("train"):
            fresh = {name: self._untrained(protocol, run, name) for name in names}
            keys = {name: head_key(run, name, f"{source_version()} torch {torch.__version__}") for name in names}
            missing = [name for name in names if not load_head(self.cache, keys[name], fresh[name][0])]
            jobs = [partial(train_head, *fresh[name], protocol, run.trainer, self.report) for name in missing]
            for name, head in zip(missing, side_by_side(jobs, self.device), strict=True):
                save_head(self.cache, keys[name], head)
        return {name: (head.eval(), bench) for name, (head, bench) in fresh.items()}

    def _untrained(self, protocol: Protocol, run: RunSpec, name: ControlOrRun) -> tuple[Head, Bench]:
        """Return a fresh head and what it is trained on."""
        bench = self._bench(protocol, name)
        return build_head(run.head, bench, protocol.images("train"), run.seed), bench

    def _bench(self, protocol: Protocol, name: ControlOrRun) -> Bench:
        """Return the LM, or its random twin, with the questions it is asked; tasks that ask the same share it."""
        lm = self._twin(protocol.seed) if name == "random_lm" else self.lm
        answers = (protocol.task.questions.answers.positive, protocol.task.questions.answers.negative)
        key = (lm.digest, protocol.questions, answers)
        if name not in self._benches or self._benches[name][0] != key:
            bench = Bench(lm, tokenise(lm, protocol.questions, answers), self.feature_rows)
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
