"""What does a language model know before it sees any picture? Its answers about names, in every frame.

Identity questions ask a named leaf for itself and others, hypernym questions for what it is and is not. An LM that does
not tell named leaves apart in any frame cannot be taught to tell pictures of them apart, and one that does not know
hypernyms of names has nothing to carry over.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from taxbench.datasets.dataset import load_dataset
from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.protocol.deprivation import true_pairs
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.protocol.words import with_article
from taxbench.registry.models import find_lm
from taxbench.runs.prompts import (
    NAMES,
    PromptScore,
    Wording,
    best_prompt,
    frame_margins,
    identity_questions,
    mean_auroc,
)
from taxbench.scoring.metrics import fit_threshold, term_auroc, term_f1
from taxbench.specs.task import FRAMES, PromptSpec
from taxbench.tasks.registry import find_tasks
from taxbench.util.devices import pick_device, pick_dtype
from taxbench.util.errors import DataError, ModelError, UsageError
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Advance, Reporter
from taxbench.util.seeds import rng

WORDINGS = (
    "Is it true that {image} is {question}?",
    "Is {image} {question}?",
    "Is {image} a kind of {question}?",
    "Would you say that {image} is {question}?",
)
"""Four ways to ask for what the paper calls text-only knowledge; a name stands for the image, a hypernym for the
question."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """The options of a probe as typed, with the suite's defaults."""

    model: str = "pocket"
    dataset: str = "pocket"
    taxonomy: str | None = None
    task: str = "unseen_hypernym"
    """The task whose questions and answers are used."""
    names: int = NAMES
    """How many names are asked about: more take longer, and their scores are surer."""
    device: str = "auto"
    cache: str | None = None


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """What an LM knows of names with one prompt. Scores are means over the asked terms."""

    frame: str
    answer_form: str
    identity_auroc: float
    hypernym_auroc: float
    hypernym_f1: float
    """At the threshold that serves identity questions best."""
    hypernym_f1_at_zero: float
    """At the LM's own threshold."""
    yes_rate: float
    """Share of hypernym questions that the LM itself answers with Yes; half of them are true."""


@dataclass(frozen=True, slots=True)
class TextProbe:
    """What an LM knows of the names of a dataset."""

    model: str
    dataset: str
    names: int
    questions: int
    """Asked with each prompt: identity and hypernym questions together."""
    rows: tuple[ProbeRow, ...]
    left_out: tuple[str, ...]
    """Frames that the LM cannot be asked in, and why."""
    chosen: PromptSpec
    """What `frame=auto` takes: the first of those that tell named leaves apart best."""
    hypernyms: tuple[tuple[str, float], ...]
    """AUROC of each hypernym with the chosen prompt."""
    text_only: tuple[tuple[str, float], ...]
    """AUROC of hypernym questions without an image, by their wording."""


def probe(options: ProbeOptions, report: Reporter) -> TextProbe:
    """Ask a language model about names in every frame.

    Raises:
        UsageError: something is not known by that name.
        ModelError: the LM is not to be had, or cannot be asked in any frame.
    """
    spec, device, cache = find_lm(options.model), pick_device(options.device), options.cache
    folder = cache_folder(Path(cache) if cache else None)
    tasks = find_tasks(names=[options.task]).resolve([options.task])
    if len(tasks) > 1:
        raise UsageError(f"--task {options.task}: expected one task, not {', '.join(task.name for task in tasks)}.")
    lm = load_lm(spec, device, pick_dtype(device.type), folder, report)
    dataset = load_dataset(options.dataset, Path(options.taxonomy) if options.taxonomy else None)
    for note in dataset.notes:
        report.say(note)
    protocol = Protocol(tasks[0], dataset, 0)
    wording = Wording.of(protocol, "image_first")
    identity = identity_questions(len(wording.names), options.names)
    hypernym = hypernym_questions(protocol, options.names)
    if not len(hypernym):
        raise DataError(
            f"'{options.dataset}' has no hypernym that is true of one of {options.names} names and false of another: "
            "there is nothing to ask. Take more --names, or a taxonomy with more hypernyms."
        )
    asked, first = QuestionSet.concat([identity, hypernym]), len(identity)
    total = len(FRAMES) * len(asked) + len(WORDINGS) * len(hypernym)
    rows, scores, refusals, by_prompt = [], [], dict[str, list[str]](), {}
    with report.bar("probe", total, "q") as advance:
        for frame in FRAMES:
            try:
                found = frame_margins(lm, wording, frame, asked, advance)
            except ModelError as error:
                refusals.setdefault(str(error), []).append(frame)
                advance(len(asked))
                continue
            for prompt, margins in found.items():
                rows.append(_row(prompt, identity, margins[:first], hypernym, margins[first:]))
                scores.append(PromptScore(prompt, rows[-1].identity_auroc))
                by_prompt[prompt] = margins[first:]
        left_out = tuple(f"{', '.join(frames)}: {why}" for why, frames in refusals.items())
        if not rows:
            raise ModelError(f"'{spec.name}' cannot be asked in any frame. {' '.join(left_out)}")
        chosen = best_prompt(scores).prompt
        text_only = tuple(_without_image(lm, wording, chosen, protocol, hypernym, advance))
    terms, place = np.unique(hypernym.term, return_inverse=True)
    aurocs = term_auroc(place, hypernym.answer, by_prompt[chosen])
    by_name = [(protocol.vocabulary.terms[term], float(auroc)) for term, auroc in zip(terms, aurocs, strict=True)]
    return TextProbe(
        spec.name,
        dataset.name,
        len(np.unique(asked.image)),
        len(asked),
        tuple(rows),
        left_out,
        chosen,
        tuple(by_name),
        text_only,
    )


def hypernym_questions(protocol: Protocol, most: int = NAMES) -> QuestionSet:
    """Ask some names for each of their hypernyms and for as many others, the same ones always; images are names.

    Raises:
        DataError: the dataset has no leaf.
    """
    vocabulary, true = protocol.vocabulary, true_pairs(protocol.dataset.taxonomy)  # (l, h)
    names = np.unique(identity_questions(vocabulary.n_names, most).image)
    by_name = np.zeros((vocabulary.n_names, true.shape[1]), bool)
    np.logical_or.at(by_name, vocabulary.name_of, true)  # leaves that share a name share what is true of it
    draw, parts = rng(0, "hypernym questions", len(names)), []
    for name in names:
        right, wrong = np.flatnonzero(by_name[name]), draw.permutation(np.flatnonzero(~by_name[name]))
        term = np.concatenate([right, wrong[: len(right)]])
        answer = np.arange(len(term)) < len(right)
        parts.append(QuestionSet(np.full(len(term), name), term + vocabulary.n_names, answer))
    asked = QuestionSet.concat(parts)
    both = [term for term in np.unique(asked.term) if len(np.unique(asked.answer[asked.term == term])) == 2]
    return asked.where(np.isin(asked.term, both))


def _row(
    prompt: PromptSpec, identity: QuestionSet, known: np.ndarray, hypernym: QuestionSet, margins: np.ndarray
) -> ProbeRow:
    place = np.unique(hypernym.term, return_inverse=True)[1]
    cut = fit_threshold(known, identity.answer)
    return ProbeRow(
        prompt.frame,
        prompt.answer_form,
        mean_auroc(identity, known),
        mean_auroc(hypernym, margins),
        float(np.nanmean(term_f1(place, hypernym.answer, margins > cut))),
        float(np.nanmean(term_f1(place, hypernym.answer, margins > 0))),
        float((margins > 0).mean()),
    )


def _without_image(
    lm: FrozenLM, wording: Wording, chosen: PromptSpec, protocol: Protocol, asked: QuestionSet, advance: Advance
) -> list[tuple[str, float]]:
    """Return the AUROC of hypernym questions in four wordings that speak of no image."""
    terms = tuple(with_article(term) for term in protocol.vocabulary.terms)
    bare, found = replace(wording, questions=terms), []
    for text in WORDINGS:
        margins = frame_margins(lm, bare, text, asked, advance)
        by_form = {prompt.answer_form: values for prompt, values in margins.items()}
        values = by_form.get(chosen.answer_form, next(iter(by_form.values())))
        found.append((text.replace("{image}", "a crow").replace("{question}", "a bird"), mean_auroc(asked, values)))
    return found
