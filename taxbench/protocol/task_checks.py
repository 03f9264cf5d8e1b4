"""Check tasks against a dataset: are there questions, answers of both kinds, and no leak? No torch is needed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from taxbench.datasets.dataset import Dataset
from taxbench.protocol.answer_tokens import Encode, answer_tokens
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.models import lms, model_source
from taxbench.specs.sources import PACKAGED
from taxbench.specs.task import TaskSpec
from taxbench.tasks.diagnostics import Diagnostic
from taxbench.tasks.task_files import TaskFile
from taxbench.tasks.yaml_file import KeyPath
from taxbench.taxonomy.norms import published
from taxbench.util.errors import DataError, ModelError, first_few

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Subject:
    """A task with its file, for saying where something is wrong."""

    task: TaskSpec
    file: TaskFile
    protocol: Protocol

    def error(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error at a key; where the level decides, at the level."""
        level = self.file.level_of(self.task)
        if level is not None and key[0] == level[0].partition(".")[0]:
            key = level[1]
        return self.file.locate(key, f"{self.task.name}: {message}")

    def warning(self, key: KeyPath, message: str) -> Diagnostic:
        """Return a warning about the checked task: what is worth knowing but no error."""
        return replace(self.error(key, message), level="warning")


def check_tasks(files: Iterable[TaskFile], dataset: Dataset, seed: int) -> Iterator[Diagnostic]:
    """Check every task of some files against a dataset; each finding names the task."""
    for file in files:
        for task in file.tasks:
            subject = _Subject(task, file, Protocol(task, dataset, seed))
            try:
                _ = subject.protocol.asked_property
            except DataError as error:  # a dataset without any table, or without published norms, is no mistake of it
                asks, known = task.property_questions, dataset.properties.columns
                elsewhere = asks is not None and asks.column not in known and published(asks.column)
                say = subject.error if known and not elsewhere else subject.warning
                yield say(("property_questions", "column"), str(error))
                continue
            yield from _answers(subject)
            if needs_features(task):
                text = "needs features: its re-pairing and what depends on it were not checked"
                yield subject.warning(("counterfactual",), text)
            else:
                yield from _questions(subject)


def needs_features(task: TaskSpec) -> bool:
    """Say whether a task's questions depend on what the images look like."""
    return task.counterfactual.kind == "graded"


def ask_splits(protocol: Protocol) -> dict[str, QuestionSet | DataError]:
    """Return the questions of training, of validation and of every scored split, or why there are none."""
    ask: dict[str, Callable[[], QuestionSet]] = {
        "train": partial(protocol.train_questions, 0),
        "val": protocol.validation,
    }
    ask |= {split: partial(protocol.test, split) for split in protocol.task.evaluate}
    asked: dict[str, QuestionSet | DataError] = {}
    for split, draw in ask.items():
        try:
            asked[split] = draw()
        except DataError as error:
            asked[split] = error
    return asked


def _answers(subject: _Subject) -> Iterator[Diagnostic]:
    """Check that answers are told apart by every language model whose tokenizer is on disk."""
    texts = subject.protocol.asked_texts
    for name, encode in _encoders().items():
        try:
            answer_tokens(encode, texts.questions[0], texts.answers)
        except ModelError as error:
            yield subject.error(("questions", "answers"), f"model '{name}': {error}")


def _questions(subject: _Subject) -> Iterator[Diagnostic]:
    """Check what is asked, split by split, and that training names nothing that it is denied."""
    places: dict[str, KeyPath] = {"train": ("deprivation",), "val": ("heldout_leaves",)}
    places |= {split: ("evaluate", index) for index, split in enumerate(subject.task.evaluate)}
    for split, asked in ask_splits(subject.protocol).items():
        if isinstance(asked, DataError):
            yield subject.error(places[split], f"split '{split}': {asked}")
            if split == "train":
                return  # nothing below can hold
            continue
        yield from _both_answers(subject, places[split], split, asked)
        if split == "train":
            yield from _no_leak(subject, asked)


def _both_answers(subject: _Subject, key: KeyPath, split: str, asked: QuestionSet) -> Iterator[Diagnostic]:
    """Check that a split of the task asks both answers, in all and of every scored term."""
    sides = [set(asked.term[asked.answer == side].tolist()) for side in (True, False)]
    if not all(map(len, sides)):
        only = "positive" if len(sides[0]) else "negative"
        yield subject.error(key, f"split '{split}': every answer is {only}, so nothing can be told from it")
        return
    one, every = len(sides[0] ^ sides[1]), len(sides[0] | sides[1])
    if one and split not in ("train", "val"):
        text = f"split '{split}': {one} of {every} terms are asked with one answer only and have no score"
        yield subject.warning(key, text)


def _no_leak(subject: _Subject, asked: QuestionSet) -> Iterator[Diagnostic]:
    """Check that a task's training asks no question it is denied, and warn of leaks and lacking images."""
    protocol, task = subject.protocol, subject.task
    if protocol.leaves_without_images:
        text = (
            "leaves without a training picture, neither trained nor asked: "
            f"{first_few(protocol.leaves_without_images, _SHOWN)}"
        )
        yield subject.warning(("evaluate",), text)
    if protocol.leaks:
        done = "left out of training" if task.leaks == "drop" else "trained all the same (leaks: keep)"
        yield subject.warning(
            ("leaks",), f"leaves that say a denied hypernym, {done}: {first_few(protocol.leaks, _SHOWN)}"
        )
    if task.leaks == "keep":
        return
    taught = protocol.vocabulary.terms[: protocol.vocabulary.n_taught]
    texts = dict(zip(taught, protocol.taught, strict=True))  # a hypernym outdoes a leaf's name
    forbidden = {texts[hypernym].casefold(): hypernym for hypernym in protocol.denied}
    leaf_terms = np.unique(asked.term[~protocol.vocabulary.is_hypernym(asked.term)])
    said = {protocol.taught[term].casefold() for term in leaf_terms} & forbidden.keys()
    if said:
        names = first_few(sorted(forbidden[text] for text in said), _SHOWN)
        yield subject.error(("leaks",), f"training asks the very question of hypernyms it is denied: {names}")


@cache
def _encoders() -> dict[str, Encode]:
    """Return the tokenizers that are on disk, by the name of their model."""
    from huggingface_hub import try_to_load_from_cache
    from tokenizers import Tokenizer

    encoders: dict[str, Encode] = {}
    for name, spec in lms().items():
        path: object = None
        if not spec.source.startswith(PACKAGED):
            path = try_to_load_from_cache(spec.source, "tokenizer.json")
        else:
            with suppress(ModelError):  # of a broken package
                path = str(Path(model_source(spec.source), "tokenizer.json"))
        if isinstance(path, str) and Path(path).is_file():
            encoders[name] = partial(_encode, Tokenizer.from_file(path))
    return encoders


def _encode(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a text, for checking a task's answers."""
    return list(tokenizer.encode(text, add_special_tokens=False).ids)
