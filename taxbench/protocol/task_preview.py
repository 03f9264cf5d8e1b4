"""What a dataset makes of a task: counts, balance, evidence and ten questions. This is the second half of `show`."""

from collections.abc import Iterator

import numpy as np

from taxbench.datasets.dataset import Dataset
from taxbench.protocol.image_pairs import shown_as
from taxbench.protocol.left_out import unlabelled_terms
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.protocol.task_checks import ask_splits, needs_features
from taxbench.specs.result import Evidence
from taxbench.specs.spec import Spec
from taxbench.specs.task import TaskSpec
from taxbench.util.errors import DataError
from taxbench.util.seeds import rng

_SAMPLES = 10


class SplitCounts(Spec):
    """The questions of one split."""

    split: str
    questions: int
    images: int
    terms: int
    positive: float
    """Share of questions whose answer is positive."""
    one_class: int
    """Terms asked with one answer only; they have no score."""


class Sample(Spec):
    """One question as the language model reads it."""

    split: str
    image: str
    question: str
    answer: str


class TaskReport(Spec):
    """A task on a dataset with a seed."""

    dataset: str
    seed: int
    images: int
    leaves: int
    hypernyms: int
    splits: tuple[SplitCounts, ...] = ()
    evidence: Evidence | None = None
    samples: tuple[Sample, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be counted or is left out, and why."""


def report_task(task: TaskSpec, dataset: Dataset, seed: int) -> TaskReport:
    """Count and sample the questions of a task; what has none is noted."""
    protocol = Protocol(task, dataset, seed)
    taxonomy = dataset.taxonomy
    report = TaskReport(
        dataset=dataset.name, seed=seed, images=len(dataset.images), leaves=len(taxonomy.leaves),
        hypernyms=len(taxonomy.hypernyms),
    )  # fmt: skip
    if needs_features(task):
        note = "The re-pairing follows from the features, so its questions are known in a run only."
        return report.model_copy(update={"notes": (*dataset.notes, *unlabelled_terms(protocol), note)})
    asked: dict[str, QuestionSet] = {}
    problems: dict[str, list[str]] = {}
    for split, found in ask_splits(protocol).items():
        if isinstance(found, DataError):
            problems.setdefault(str(found), []).append(split)
        else:
            asked[split] = found
    notes = (f"{', '.join(splits)}: {problem}" for problem, splits in problems.items())
    return report.model_copy(
        update={
            "splits": tuple(_count(split, questions) for split, questions in asked.items()),
            "evidence": protocol.evidence() if "train" in asked else None,
            "samples": tuple(_samples(protocol, asked)),
            "notes": (*dataset.notes, *unlabelled_terms(protocol), *notes),
        }
    )


def _count(split: str, asked: QuestionSet) -> SplitCounts:
    """Count a split's questions for the preview of a task: images, terms, positives, one-answer terms."""
    yes, no = (set(asked.term[asked.answer == side].tolist()) for side in (True, False))
    return SplitCounts(
        split=split, questions=len(asked), images=len(np.unique(asked.image)), terms=len(yes | no),
        positive=round(float(asked.answer.mean()), 4), one_class=len(yes ^ no),
    )  # fmt: skip


def _samples(protocol: Protocol, asked: dict[str, QuestionSet]) -> Iterator[Sample]:
    """Draw questions from training and the scored splits in turn, positive and negative ones in turn."""
    splits = [split for split in asked if split != "val"]
    if not splits:
        return
    at_test, taught = protocol.asked_texts, protocol.taught_texts
    generator = rng(protocol.seed, "show", protocol.task.name)
    for number in range(_SAMPLES):
        split = splits[number % len(splits)]
        questions = asked[split]
        wanted = np.flatnonzero(questions.answer == ((number // len(splits)) % 2 == 0))
        as_taught = split == "train" or (split == "leaf" and not protocol.asks_names)
        texts = taught if as_taught else at_test
        row = int(generator.choice(wanted if len(wanted) else np.arange(len(questions))))
        yield Sample(
            split=split,
            image=shown_as([image.id for image in protocol.dataset.images], int(questions.image[row])),
            question=texts.questions[int(questions.term[row])],
            answer=texts.answers[0 if questions.answer[row] else 1][0],
        )
