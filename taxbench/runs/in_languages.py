"""What runs in other languages than English add: who they are, names asked as taught, the language of answers."""

from typing import Any

import numpy as np
from scipy.special import expit

from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.heads import head_info
from taxbench.runs.config import GridCell
from taxbench.runs.context import RunContext
from taxbench.runs.fit import HeadJob
from taxbench.specs.run import LanguageId
from taxbench.training.predict import FittedHead, predict_margins
from taxbench.util.errors import ModelError
from taxbench.util.progress import Reporter
from taxbench.util.seeds import rng

_SAMPLED = 2000
"""Questions of a split by which the language of answers is told."""


def language_id(cell: GridCell, protocol: Protocol, context: RunContext) -> LanguageId | None:
    """Return what a run that is not in English alone is taught and asked."""
    if cell.task.questions.language.is_english:
        return None
    taught, asked = protocol.taught_texts.digest, protocol.asked_texts.digest
    return LanguageId(taught=taught, asked=asked, prompt=context.asking_prompt(cell, protocol)[0])


def as_taught(heads: dict[str, HeadJob], protocol: Protocol) -> dict[str, FittedHead]:
    """Return the heads of a run as they were taught to answer: names without a label are asked so."""
    texts = protocol.taught_texts
    return {name: job.asked(texts, job.key.prompt).fitted() for name, job in heads.items()}


def answer_language(job: HeadJob, tests: dict[Any, QuestionSet], report: Reporter) -> dict[str, float]:
    """Return the share of the language of the test in its answers and the English ones, by split.

    Vision-language models are known to answer in English whatever is asked (arXiv 2503.22577).
    """
    protocol, own = job.protocol, job.protocol.asked_texts
    both = own.in_either_language() if own.language else None
    if both is None or head_info(job.key.head.name).reads != "answers":
        return {}
    try:
        head = job.asked(both, job.asking.prompt).fitted()
    except ModelError as error:
        report.say(f"answers are not compared with English ones: {error}")
        return {}
    shares = {}
    for split, asked in tests.items():
        if split != "leaf" or protocol.asks_names:
            some = np.zeros(len(asked), bool)
            some[rng(0, "answer language").permutation(len(asked))[:_SAMPLED]] = True
            margins = predict_margins(head, asked.where(some), report, f"language {split}")
            shares[split] = round(float(expit(margins.astype(np.float64)).mean()), 6)
    return shares
