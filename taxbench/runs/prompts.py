"""What a language model knows of names without any picture, asked in every frame; and the prompt that fits it best.

A name is said where the image would be ("An image of a crow. … Is there a crow in this image?"). Whether the LM tells
it from other names takes no picture and no hypernym, so a prompt can be chosen by it before anything is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, TypeAdapter

from taxbench.lms.forward import tokenise
from taxbench.lms.frames import BLANKS
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.question_scorer import Order, QuestionScorer, compare
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.protocol.term_texts import TermTexts
from taxbench.runs.environment import versions
from taxbench.scoring.metrics import term_auroc
from taxbench.specs.result import WEAK_LM
from taxbench.specs.spec import content_hash
from taxbench.specs.task import FRAMES, RAW, PromptSpec
from taxbench.training.head_state import ImageRows, group_by_image
from taxbench.training.predict import RowBudget
from taxbench.util.errors import ModelError
from taxbench.util.paths import replacing
from taxbench.util.progress import Advance, Reporter
from taxbench.util.seeds import rng

NAMES = 64
"""How many names a prompt is chosen by."""
_WRONG = 3
"""How many other names each of them is asked about."""
_AS_GOOD = 0.005
"""Of prompts this near to the best one the first counts, and the published one comes before all others."""
_QUESTIONS, _ROWS = 16, 64
"""Questions a row, and rows at a time: few, so that the bar moves."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What is asked whatever the prompt: the questions of a vocabulary, the names of leaves first, and answers."""

    questions: tuple[str, ...]
    names: tuple[str, ...]
    answers: tuple[tuple[str, ...], tuple[str, ...]]
    order: Order
    phrases: tuple[str, ...] = ()
    """The names as they stand in a sentence, of another language than English."""
    frames: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: FRAMES)
    label: str = "prompt"
    """What lines about it begin with."""

    @classmethod
    def of(cls, protocol: Protocol, order: Order, texts: TermTexts | None = None) -> "Wording":
        """Take the wording that a protocol teaches, or other texts of it; names without a label are left out."""
        n, texts = protocol.vocabulary.n_names, texts or protocol.taught_texts
        if texts.language is None:
            return cls(texts.questions, texts.names[:n], texts.answers, order)
        questions, names, phrases = (
            tuple(compress(each, texts.known[:n])) for each in (texts.questions, texts.names, texts.phrases)
        )
        return cls(questions, names, texts.answers, order, phrases, texts.frames, f"prompt in {texts.language.name}")


@dataclass(frozen=True, slots=True)
class PromptScore:
    """How well an LM tells named leaves apart with a prompt."""

    prompt: PromptSpec
    auroc: Annotated[float, Field(ge=0, le=1)]
    """Of identity questions, name by name first: 0.5 is chance."""


_SCORES = TypeAdapter(Annotated[list[PromptScore], Field(min_length=1)])


def identity_questions(n: int, most: int = NAMES) -> QuestionSet:
    """Ask some of n names about themselves and about a few others, the same ones always; images are names.

    Every name that is asked for is asked of itself once and of `_WRONG` others, and has an AUROC of its own.
    """
    draw = rng(0, "identity questions", n)
    chosen = draw.permutation(n)[:most]
    steps = np.r_[0, 1 + draw.permutation(len(chosen) - 1)[:_WRONG]]  # 0: itself
    image = np.repeat(chosen, len(steps))
    term = chosen[(np.arange(len(chosen))[:, None] + steps).ravel() % len(chosen)]
    return QuestionSet(image, term, image == term)


def choose_prompt(
    lm: FrozenLM, wording: Wording, wanted: PromptSpec, cache: Path, report: Reporter
) -> tuple[PromptSpec, float | None]:
    """Return the prompt to ask an LM with and its AUROC; what is `auto` of the wanted one is found by names.

    Returns:
        The prompt, and how well the LM tells names apart with it; None where that could not be asked.

    Raises:
        ModelError: the LM cannot be asked with any.
    """
    is_open = "auto" in (wanted.frame, wanted.answer_form)
    if len(wording.names) < 2:
        return RAW if is_open else wanted, None  # nothing to tell apart; the protocol says what is needed
    path = _path(cache, lm, wording, wanted)
    try:
        scores = _SCORES.validate_json(path.read_bytes())
    except (OSError, ValueError):  # none, or a broken one: it is made anew
        frames = tuple(FRAMES) if wanted.frame == "auto" else (wanted.frame,)
        scores = score_prompts(lm, wording, frames, wanted.answer_form if is_open else "auto", report)
        with replacing(path) as partial:
            partial.write_bytes(_SCORES.dump_json(scores) + b"\n")
    if not is_open:
        chosen, auroc = wanted, next((each.auroc for each in scores if each.prompt == wanted), None)
    else:
        best = best_prompt(scores)
        chosen, auroc = best.prompt, best.auroc
        others = ", ".join(f"{each.prompt.frame} {each.prompt.answer_form} {each.auroc:.2f}" for each in scores)
        report.say(
            f"{wording.label}: frame={chosen.frame} answer_form={chosen.answer_form}; told a name in place of the "
            f"image, '{lm.spec.name}' knows it from others with AUROC {auroc:.2f} (of {others})"
        )
    if auroc is not None and auroc < WEAK_LM:
        where = ", whatever the prompt" if is_open else " in this prompt; --set frame=auto looks for a better one"
        report.say(
            f"{wording.label}: '{lm.spec.name}' hardly tells names apart (AUROC {auroc:.2f}, chance 0.5){where}: a "
            "head through it can show little, and its row is marked. 'taxbench probe' says more."
        )
    return chosen, auroc


def best_prompt(scores: Sequence[PromptScore]) -> PromptScore:
    """Return the first of the prompts that are as good as the best."""
    best = max(score.auroc for score in scores)
    return next(score for score in scores if score.auroc >= best - _AS_GOOD)


def mean_auroc(asked: QuestionSet, margins: np.ndarray) -> float:
    """Return the AUROC of questions, term by term first.

    Args:
        asked: Questions, with both answers to every term.
        margins: What was answered.  # (q,)
    """
    return float(term_auroc(np.unique(asked.term, return_inverse=True)[1], asked.answer, margins).mean())


def score_prompts(
    lm: FrozenLM, wording: Wording, frames: Sequence[str], form: str, report: Reporter
) -> list[PromptScore]:
    """Score frames with one form of answers or all, up to one that none can beat, but those the LM cannot be asked in.

    Raises:
        ModelError: that is all of them.
    """
    asked, scores, problems = identity_questions(len(wording.names)), list[PromptScore](), list[ModelError]()
    with report.bar("frames", len(frames) * len(asked), "q") as advance:
        for frame in frames:
            try:
                margins = frame_margins(lm, wording, frame, asked, advance)
            except ModelError as error:  # it has no chat template, or its answers begin alike
                problems.append(error)
                continue
            for prompt, values in margins.items():
                if form in ("auto", prompt.answer_form):
                    scores.append(PromptScore(prompt, mean_auroc(asked, values)))
            if any(score.auroc >= 1 - _AS_GOOD for score in scores):
                break
    if not scores:
        raise problems[0] if problems else ModelError(f"'{lm.spec.name}' has no answers of the form {form}.")
    return scores


def frame_margins(
    lm: FrozenLM, wording: Wording, frame: str, asked: QuestionSet, advance: Advance
) -> dict[PromptSpec, np.ndarray]:
    """Ask about names in one frame, once for all forms of answers.  # (q,) float32 each

    Raises:
        ModelError: the LM cannot be asked in this frame.
    """
    both = PromptSpec(frame=frame, answer_form="both")
    scorer = QuestionScorer.of(lm, wording.questions, wording.answers, wording.order, both, wording.frames)
    scores, strings = name_scores(scorer, wording.names, asked, advance, wording.phrases), scorer.table.strings
    found: dict[PromptSpec, np.ndarray] = {}
    for form, blanks in BLANKS.items():
        table = tokenise(lm, wording.questions[:1], wording.answers, replace(scorer.frame, blanks=blanks))
        # A string that begins with another one is left out of `both`, where it adds nothing.
        if set(table.strings) <= set(strings):
            own = torch.from_numpy(scores[:, [strings.index(string) for string in table.strings]])
            found[PromptSpec(frame=frame, answer_form=form)] = compare(own, len(table.answers[0])).numpy()
    return found


@torch.inference_mode()
def name_scores(
    scorer: QuestionScorer, names: Sequence[str], asked: QuestionSet, advance: Advance, phrases: Sequence[str] = ()
) -> np.ndarray:
    """Return the scores of all answers to questions about names said in the place of images.  # (q, strings) float32"""
    tokens = [scorer.said(name, phrases[place] if phrases else None) for place, name in enumerate(names)]
    length = np.array([len(ids) for ids in tokens])[asked.image]
    found = np.zeros((len(asked), len(scorer.table.strings)), np.float32)
    for size in np.unique(length):
        rows = group_by_image(asked.where(length == size), _QUESTIONS)
        places = np.flatnonzero(length == size)
        budget = RowBudget(scorer.row_bytes(int(size), rows.term.shape[1], training=False), scorer.lm.device)

        def ask(part: slice, rows: ImageRows = rows, places: np.ndarray = places) -> None:
            soft = scorer.lm.embed(torch.stack([tokens[name] for name in rows.image[part]]))
            term = torch.from_numpy(rows.term[part]).to(scorer.lm.device)
            scores, source = scorer.answer_scores(soft, term).float().cpu().numpy(), rows.source[part]
            found[places[source[source >= 0]]] = scores[source >= 0]
            advance(int((source >= 0).sum()))

        budget.each(len(rows.image), _ROWS, ask)
    return found


def _path(cache: Path, lm: FrozenLM, wording: Wording, wanted: PromptSpec) -> Path:
    asked: list[Any] = [wording.questions, wording.names, wording.answers, wording.order, wanted]
    asked += [wording.phrases, dict(wording.frames)] if wording.phrases else []
    how = lm.digest, lm.device.type, str(lm.dtype), versions().computing
    return cache / "prompts" / f"{content_hash([*how, *asked], 20)}.json"
