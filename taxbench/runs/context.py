"""What runs share: the dataset, features, the language model, its random twin, and the questions put to them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch

from taxbench.datasets.dataset import Dataset, first_images, load_dataset
from taxbench.features.coherence import Coherence
from taxbench.features.encoders import EncoderCard, describe_encoder, feature_shape
from taxbench.features.extract import Extraction, feature_key, features_of, require_all
from taxbench.features.feature_rows import FeatureRows
from taxbench.features.imported import imported_table
from taxbench.features.store.index import read_table
from taxbench.features.store.reader import FeatureTable
from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.lms.question_scorer import Order, QuestionScorer
from taxbench.protocol.counterfactual import Pairing
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.term_texts import TermTexts
from taxbench.runs.config import GridCell, RunConfig
from taxbench.runs.environment import code
from taxbench.runs.inputs import Inputs
from taxbench.runs.loaded import LoadedLM, Shared
from taxbench.runs.prompts import Wording, choose_prompt
from taxbench.specs.feature_key import FeatureKey, FeatureOptions
from taxbench.specs.result import Code
from taxbench.specs.task import PromptSpec
from taxbench.systems.asking import load_text_side, system_prompt, system_scorer
from taxbench.systems.text_side import TextSide
from taxbench.systems.whole_model import describe_system
from taxbench.training.parallel import threads_of_a_job
from taxbench.util.devices import pick_device, pick_dtype
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Reporter


@dataclass(frozen=True)
class FeatureSet:
    """Features in three forms: on disk, as heads see them, and as a measure of visual similarity. None before use."""

    key: FeatureKey
    read: Callable[[], Sequence[FeatureTable]]
    """Returns them, the only ones, extracted where they are missing."""
    shape: Callable[[], tuple[int, int]]
    """Returns how many vectors an image has, and of which width; nothing is extracted for that."""
    cached: bool
    """Whether they were in the cache before the first run."""
    dataset: Dataset
    device: torch.device
    timed: Callable[[str], AbstractContextManager[None]]

    @property
    def extracted(self) -> bool:
        """Say whether using the features takes no extraction."""
        return self.cached or "table" in self.__dict__

    @cached_property
    def table(self) -> FeatureTable:
        """Return the features as a table on disk, extracted where they are missing.

        Raises:
            TaxbenchError: images cannot be decoded, or the cache cannot be written.
        """
        with self.timed("features"):
            (table,) = self.read()
            return require_all(table, self.dataset)

    @cached_property
    def rows(self) -> FeatureRows:
        """Return the features as heads see them."""
        return FeatureRows.of(self.table, self.device)

    @cached_property
    def coherence(self) -> Coherence:
        """Return the measure of how alike the images under a hypernym look."""
        return Coherence(self.table.pooled(), self.dataset)

    def visual_similarity(self, pairing: Pairing) -> float:
        """Return the mean over the hypernyms of a re-pairing."""
        return self.coherence(pairing)


@dataclass
class RunContext:
    """What the runs with the same inputs share. Each part loads when first needed and is kept."""

    config: RunConfig
    inputs: Inputs
    report: Reporter
    shared: Shared = field(default_factory=Shared)
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by phase."""
    work: dict[str, float] = field(default_factory=dict)
    """FLOPs of the LM by phase."""
    _prompts: dict[tuple[Any, ...], tuple[PromptSpec, float | None]] = field(default_factory=dict)
    _features: dict[FeatureOptions, FeatureSet] = field(default_factory=dict)

    @cached_property
    def device(self) -> torch.device:
        """Return the device in use."""
        return pick_device(self.config.device)

    @property
    def cache(self) -> Path:
        """Return the cache folder."""
        return cache_folder(self.config.cache)

    @cached_property
    def dataset(self) -> Dataset:
        """Return the dataset."""
        key = (self.inputs.dataset, self.inputs.taxonomy, self.inputs.properties)
        if key not in self.shared.datasets:
            with self.timed("dataset"):
                whole = load_dataset(*key)
                self.shared.datasets[key] = first_images(whole, self.config.limit) if self.config.limit else whole
            for note in self.shared.datasets[key].notes:
                self.report.say(note)
        return self.shared.datasets[key]

    def features(self, wanted: FeatureOptions) -> FeatureSet:
        """Return features, extracted once, when they are first used.

        Raises:
            TaxbenchError: the encoder cannot be read that way, or no features of that name are there.
        """
        if wanted not in self._features:
            self._features[wanted] = self._described(wanted)
        return self._features[wanted]

    def _described(self, wanted: FeatureOptions) -> FeatureSet:
        """Return the features that runs want, imported or of the encoder, without extracting them."""
        if self.inputs.imported:
            table = imported_table(self.cache, self.inputs.imported, self.dataset)
            shape = partial(getattr, table, "row_shape")
            return FeatureSet(table.key, lambda: [table], shape, True, self.dataset, self.device, self.timed)
        card = self.card(wanted)
        how = Extraction(self.device, pick_dtype(self.device.type), wanted.storage, origin=self.inputs.origin)
        reading = card.reading(wanted.layer, wanted.pool)
        read = partial(features_of, self.dataset, card, [reading], how, self.cache, self.report)
        key = feature_key(self.dataset, card, reading, how)
        cached = read_table(self.cache, key) is not None
        known = cache(partial(feature_shape, card, reading))
        return FeatureSet(key, read, known, cached, self.dataset, self.device, self.timed)

    def card(self, wanted: FeatureOptions) -> EncoderCard:
        """Return what is known of the encoder, or of the image side of the system."""
        system = self.inputs.system
        return describe_system(system, wanted.crop) if system else describe_encoder(self.inputs.encoder, wanted.crop)

    @property
    def loaded(self) -> LoadedLM:
        """Return the language model with what is made of it; one that was in use before makes room."""
        wanted, system = self.inputs.system or self.inputs.lm, self.inputs.system
        if wanted not in self.shared.loaded:
            self.shared.loaded.clear()
            how = self.device, pick_dtype(self.device.type, self.config.dtype)
            with self.timed("lm"):
                lm = load_text_side(system, *how) if system else load_lm(self.inputs.lm, *how, self.cache)
            self.shared.loaded[wanted] = LoadedLM(lm)
        return self.shared.loaded[wanted]

    @property
    def lm(self) -> FrozenLM:
        """Return the frozen language model."""
        return self.loaded.lm

    @cached_property
    def code(self) -> Code:
        """Return what is recorded of the code: its commit, and how many threads a training uses."""
        return code().model_copy(update={"threads": threads_of_a_job(self.device)})

    def prompt(self, cell: GridCell) -> tuple[PromptSpec, float | None]:
        """Return how a cell's questions are put to the LM, and how well it tells names apart so; found out once."""
        if isinstance(self.lm, TextSide):
            return system_prompt(self.lm, cell.prompt, cell.trainer.order, cell.task.questions.answers), None
        return self._chosen(cell, cell.prompt, lambda: Protocol(cell.task, self.dataset, 0))

    def asking_prompt(self, cell: GridCell, protocol: Protocol) -> tuple[PromptSpec, float | None]:
        """Return how the questions of the test are put, as for `prompt`: chosen anew in a language of their own."""
        languages = cell.task.questions.language
        if languages.test == languages.train or not protocol.asks_names:
            return self.prompt(cell)
        wanted = cell.asking or cell.prompt
        if wanted.frame == "auto":  # scripts without blanks want none before an answer
            wanted = wanted.model_copy(update={"answer_form": "auto"})
        return self._chosen(cell, wanted, lambda: protocol, asked=True)

    def _chosen(
        self, cell: GridCell, wanted: PromptSpec, protocol: Callable[[], Protocol], asked: bool = False
    ) -> tuple[PromptSpec, float | None]:
        """Return the prompt that the wanted one comes to in the words that a protocol teaches, or in those asked."""
        key = (wanted, cell.task.questions, cell.trainer.order, asked)
        if key not in self._prompts:
            of = protocol()
            wording = Wording.of(of, cell.trainer.order, of.asked_texts if asked else None)
            self._prompts[key] = choose_prompt(self.lm, wording, wanted, self.cache, self.report)
        return self._prompts[key]

    def scorer(
        self, protocol: Protocol, order: Order, prompt: PromptSpec, texts: TermTexts, twin: int | None = None
    ) -> QuestionScorer:
        """Return a language model ready to be asked questions of a protocol; runs that ask the same share it.

        Args:
            texts: The protocol's questions and answers, as they are taught or asked.
            twin: The seed of its random twin, in its place.
        """
        lm = self.lm if twin is None else self.loaded.twin(twin)
        scorers = self.loaded.scorers
        questions = protocol.questions if isinstance(lm, TextSide) else texts.questions  # which is taught nothing
        language = texts.language and texts.language.language
        key = (lm.digest, questions, texts.answers, order, prompt, language)
        if key not in scorers:
            if isinstance(lm, TextSide):
                scorers[key] = system_scorer(lm, protocol, prompt)
            else:
                scorers[key] = QuestionScorer.of(lm, questions, texts.answers, order, prompt, texts.frames)
            if note := scorers[key].note:
                self.report.say(note)
        return scorers[key]

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the time that a block takes to a phase, without what it spends in other phases."""
        start, others = time.perf_counter(), sum(self.seconds.values())
        yield
        inner = sum(self.seconds.values()) - others
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start - inner

    def take_seconds(self) -> dict[str, float]:
        """Return the wall times since the last run, and begin anew; what runs share stands with the one that waited."""
        seconds = {phase: round(time, 3) for phase, time in self.seconds.items()}
        self.seconds.clear()
        return seconds
