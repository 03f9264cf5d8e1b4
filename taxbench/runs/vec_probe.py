"""VEC's questions about visual and embodied concepts, put to a language model in words (Li et al., 2023, 2305.14057).

Its files are read from where the user has them. Of two things one is larger, taller, heavier, hotter or harder; of two
values one is the colour, shape or material of a thing. Both orders and both directions are always asked, and what is
compared is two questions that differ in nothing else, so that a liking for an answer, or for the first, gains nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taxbench.lms.frozen import FrozenLM, load_lm, text_tokens
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.words import with_article
from taxbench.registry.models import find_lm
from taxbench.scoring.pairs import pair_share
from taxbench.scoring.rank_correlation import UNKNOWN, Bounds
from taxbench.specs.task import Answers, PromptSpec
from taxbench.util.devices import pick_device, pick_dtype
from taxbench.util.errors import DataError, UsageError
from taxbench.util.paths import cache_folder, read_text
from taxbench.util.progress import Advance, Reporter

WHERE = (
    "Get https://github.com/TobiasLee/VEC and give the folder of its eight files: --vec VEC/data. It states no "
    "licence, so none of it ships with taxbench."
)
_BEGINS = "Is "
FRAMES = {"raw": ("{}", ""), "qa": ("Question: {}", "\nAnswer:")}
"""What stands before and after a question."""
_ROWS, _QUESTIONS = 8, 8  # at a time, and of each row


@dataclass(frozen=True, slots=True)
class Relation:
    """A concept by which things are compared: its file's name, and how more and less of it is asked."""

    name: str
    more: str
    less: str
    article: str = "a"
    """What stands before a thing: its own article, "the", or nothing before materials."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A concept of which a thing has one value rather than another."""

    name: str
    asks: str


RELATIONS = (
    Relation("size", "larger", "smaller"),
    Relation("height", "taller", "shorter"),
    Relation("mass", "heavier", "lighter", "the"),
    Relation("temperature", "hotter", "colder", "the"),
    Relation("hardness", "harder", "softer", ""),
)
CHOICES = (
    Choice("color", "Is {thing} {value}?"),
    Choice("shape", "Is the shape of {thing} {value}?"),
    Choice("material", "Is {thing} made of {value}?"),
)


@dataclass(frozen=True, slots=True)
class VecRow:
    """What an LM says of one concept in one frame, with 95 % intervals over things. Chance is 0.5."""

    concept: str
    frame: str
    pairs: int
    accuracy: Bounds
    """Share of pairs told rightly from the question for more, or for the value, against the other order or value."""
    less: Bounds
    """The same from questions for less; of choices unknown."""
    same_answer: float
    """Share of pairs that get one answer both ways, where one is right: a liking, not knowledge."""
    yes_rate: float


@dataclass(frozen=True, slots=True)
class VecProbe:
    """What an LM says of all concepts."""

    model: str
    rows: tuple[VecRow, ...]


@dataclass(frozen=True, slots=True)
class VecPairs:
    """A concept's pairs: of each a true question and a false one that differs in order or value alone."""

    things: tuple[str, ...]
    first: np.ndarray  # (p,) the things that a pair is of, equal where there is one alone
    second: np.ndarray  # (p,)
    wordings: tuple[tuple[tuple[str, str], ...], ...]
    """Of each wording, for every pair the question whose answer is Yes and the one whose answer is No."""


def vec_probe(model: str, folder: Path, device: str, cache: str | None, report: Reporter) -> VecProbe:
    """Ask a language model VEC's questions.

    Raises:
        UsageError: files are missing; says where they come from.
        DataError: a line of one is not what VEC has.
        ModelError: the LM is not to be had.
    """
    asked = {concept.name: read_pairs(folder, concept) for concept in (*CHOICES, *RELATIONS)}
    on = pick_device(device)
    lm = load_lm(find_lm(model), on, pick_dtype(on.type), cache_folder(Path(cache) if cache else None), report)
    total = len(FRAMES) * sum(2 * len(pairs.first) * len(pairs.wordings) for pairs in asked.values())
    with report.bar("vec", total, "q") as advance:
        rows = [_row(lm, name, pairs, frame, advance) for frame in FRAMES for name, pairs in asked.items()]
    return VecProbe(lm.spec.name, tuple(rows))


def read_pairs(folder: Path, concept: Relation | Choice) -> VecPairs:
    """Read the pairs of a concept, each once, whatever order the file lists.

    Raises:
        UsageError: the file is missing.
        DataError: a line is not what VEC has.
    """
    path = folder / f"{concept.name}.json"
    if not path.is_file():
        raise UsageError(f"--vec {folder}: there is no '{path.name}'. {WHERE}")
    keys = ("obj1", "obj2", "label") if isinstance(concept, Relation) else ("sub", "obj", "alt")
    lines = list(_lines(path, keys))
    if not lines:
        raise DataError(f"'{path}' is empty: expected lines with {', '.join(keys)}. {WHERE}")
    if isinstance(concept, Choice):
        things = tuple(sorted({line["sub"] for line in lines}))
        place = np.array([things.index(line["sub"]) for line in lines])
        asked = tuple(
            tuple(concept.asks.format(thing=with_article(line["sub"]), value=line[key]) for key in ("obj", "alt"))
            for line in lines
        )
        return VecPairs(things, place, place, (asked,))  # type: ignore[arg-type]
    ordered = [(line["obj1"], line["obj2"]) if line["label"] else (line["obj2"], line["obj1"]) for line in lines]
    greater = tuple(dict.fromkeys(ordered))
    things = tuple(sorted({thing for pair in greater for thing in pair}))
    one, other = (np.array([things.index(pair[i]) for pair in greater]) for i in (0, 1))
    said = {thing: with_article(thing) if concept.article == "a" else f"{concept.article} {thing}".strip()
            for thing in things}  # fmt: skip
    more = tuple((f"Is {said[a]} {concept.more} than {said[b]}?", f"Is {said[b]} {concept.more} than {said[a]}?")
                 for a, b in greater)  # fmt: skip
    less = tuple((f"Is {said[b]} {concept.less} than {said[a]}?", f"Is {said[a]} {concept.less} than {said[b]}?")
                 for a, b in greater)  # fmt: skip
    return VecPairs(things, one, other, (more, less))


def _lines(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the lines of one of VEC's files, whose values are words, and a label that is 0 or 1."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            found = json.loads(line)
            values = [found[key] for key in keys]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}:{number}: expected an object with {', '.join(keys)}") from None
        for key, value in zip(keys, values, strict=True):
            if value not in (0, 1) if key == "label" else not isinstance(value, str) or not value.strip():
                raise DataError(f"{path}:{number}: '{key}': expected {'0 or 1' if key == 'label' else 'a word'}")
        yield {key: value.strip() if isinstance(value, str) else value for key, value in found.items()}


def _row(lm: FrozenLM, concept: str, pairs: VecPairs, frame: str, advance: Advance) -> VecRow:
    """Ask one concept in one frame."""
    questions = tuple(dict.fromkeys(text for wording in pairs.wordings for pair in wording for text in pair))
    place = {text: i for i, text in enumerate(questions)}
    margin = _margins(lm, questions, frame, advance)
    asked = np.array([[[place[yes], place[no]] for yes, no in wording] for wording in pairs.wordings])  # (w, p, 2)
    found = margin[asked]
    right = [(yes > no) + 0.5 * (yes == no) for yes, no in np.moveaxis(found, 2, 1)]  # (p,) each
    shares = [pair_share(each, pairs.first, pairs.second, pairs.things) for each in right]
    return VecRow(
        concept, frame, len(pairs.first), shares[0], shares[1] if len(shares) > 1 else UNKNOWN,
        float(((found[..., 0] > 0) == (found[..., 1] > 0)).mean()), float((found > 0).mean()),
    )  # fmt: skip


@torch.inference_mode()
def _margins(lm: FrozenLM, questions: tuple[str, ...], frame: str, advance: Advance) -> np.ndarray:
    """Return log p(Yes) − log p(No) of questions in words alone.  # (q,)

    What all of them begin with stands where soft tokens would.
    """
    before, after = FRAMES[frame]
    begin = text_tokens(lm, before.format(_BEGINS.strip()), "")
    rests = tuple(text.removeprefix(_BEGINS.strip()) + after for text in questions)
    answers = Answers()
    prompt = PromptSpec(answer_form="both")
    scorer = QuestionScorer.of(lm, rests, (answers.positive, answers.negative), prompt=prompt)
    soft, found = lm.embed(begin)[None], []
    for start in range(0, len(questions), _ROWS * _QUESTIONS):
        term = torch.arange(start, start + _ROWS * _QUESTIONS, device=lm.device)
        term = torch.where(term < len(questions), term, -1).reshape(_ROWS, _QUESTIONS)
        found.append(scorer.margins(soft.expand(_ROWS, -1, -1), term).flatten().float().cpu().numpy())
        advance(min(_ROWS * _QUESTIONS, len(questions) - start))
    return np.concatenate(found)[: len(questions)]
