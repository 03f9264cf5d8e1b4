"""The answers of results as one HTML file: it works from disk, asks the network for nothing, shows names as text."""

import base64
import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from taxbench.board.page.page import environment, rendered
from taxbench.board.page.svg import swatch
from taxbench.board.page.training_chart import loss_chart
from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.protocol.image_pairs import first_ids, ids_in
from taxbench.results.predictions import OWN, Predictions
from taxbench.specs.controls import control_help, control_title, in_order
from taxbench.specs.result import Result, Scores
from taxbench.specs.side_files import TrainingLosses
from taxbench.specs.sources import READERS
from taxbench.util.progress import Reporter
from taxbench.util.text import plain, seen

if TYPE_CHECKING:
    from taxbench.board.inside import InsideHead

RELATIONS = ("own name", "a sibling's", "a hypernym", "another")
"""What the nearest word of a soft token may be to the leaf of its picture."""
_LONGEST = 160
"""Pixels of the longer side of an embedded picture; smaller ones are embedded as they are."""
_MANY = 300
"""Pictures for which it pays to start other processes."""
_BLOCK = 256
"""Pictures that lie together behind the page, which shows those of one block before the next is there."""


@dataclass(frozen=True, slots=True)
class AnsweredResult:
    """A result with its answers and, where they are found, its pictures."""

    result: Result
    predictions: Predictions
    pictures: Dataset | None
    losses: TrainingLosses | None = None
    inside: "InsideHead | None" = None


def answers_page(shown: Sequence[AnsweredResult], embed: bool, report: Reporter) -> str:
    """Return the page: the same text for the same answers and pictures.

    Pictures that are files are linked where they lie; others, which are drawn or lie in archives, are embedded.

    Args:
        embed: Embed those that are files as well.

    Raises:
        DataError: a picture that is to be embedded cannot be read.
    """
    names = _names([each.result for each in shown])
    coded = _Coded()
    results = [coded.add(each, name) for each, name in zip(shown, names, strict=True)]
    data = {
        "results": results,
        "splits": list(coded.splits),
        "terms": [seen(term) for term in coded.terms],
        "leaves": [seen(leaf) for leaf in coded.leaves],
        "images": list(coded.images),
        "pictures": [seen(name) for _, name in coded.pictures],
        "block": _BLOCK,
    }
    made = environment()
    made.globals.update(swatch=swatch, relations=RELATIONS)
    trained = [loss_chart(f"l{i}", names[i], each.losses) if each.losses else None for i, each in enumerate(shown)]
    given = {"data": data, "names": names, "trained": trained, "inside": [each.inside for each in shown],
             "sources": _sources(shown, coded.pictures, embed, report)}  # fmt: skip
    template = made.get_template("answers.html.j2")
    return rendered(template, ("page.css", "answers.css"), "answers.js", images="data: file:", **given)


def _names(results: Sequence[Result]) -> list[str]:
    """Return what results are called: their task, what tells several apart, all of a single one, and the seed."""
    parts = [
        (each.run.task.name, f"dataset {each.run.dataset.label}", *_system(each), f"seed {each.seed}")
        for each in results
    ]
    alone = len(results) == 1
    telling = [alone or n in (0, 5) or len(set(column)) > 1 for n, column in enumerate(zip(*parts, strict=True))]
    names = [
        " · ".join(plain(word) for word, tells in zip(words, telling, strict=True) if tells and word) for words in parts
    ]
    twice = {name for name in names if names.count(name) > 1}
    return [f"{name} · {each.digest[:8]}" if name in twice else name for name, each in zip(names, results, strict=True)]


def _system(result: Result) -> tuple[str, str, str]:
    """Return what a result calls its LM, encoder and head; a whole system is one thing, and what reads it."""
    if result.head in READERS:
        return f"system {result.lm}", "", f"read by {result.head}"
    return f"LM {result.lm}", f"encoder {result.encoder}", f"head {result.head}"


class _Coded:
    """The answers of all results as numbers that index shared lists of names."""

    def __init__(self) -> None:
        self.splits: dict[str, int] = {}
        self.terms: dict[str, int] = {}
        self.leaves: dict[str, int] = {}
        self.images: dict[tuple[int, ...], int] = {}
        """What questions are about: a picture, or two."""
        self.pictures: dict[tuple[str, str], int] = {}
        """By dataset and id: two datasets may have pictures of one name."""

    def add(self, shown: AnsweredResult, name: str) -> dict[str, Any]:
        """Return what the page holds of a result."""
        result, found = shown.result, shown.predictions
        controls = in_order(found.controls)
        dataset = result.run.dataset
        leaves, leaf = np.unique(found.leaf_names(), return_inverse=True)
        first, order = first_ids(found.images), _order(found, result.run.task.headline)
        pictures = [[(dataset.fingerprint, each) for each in ids_in(found.images[i], first)] for i in order]
        images = np.empty(len(order), np.int64)
        images[order] = _codes(self.images, [tuple(_codes(self.pictures, ids).tolist()) for ids in pictures])
        run = result.run
        about = {"task": result.run.task.name, "dataset": dataset.label, "LM": result.lm, "encoder": result.encoder,
                 "head": result.head, "seed": str(result.seed), "features": run.encoder.reading,
                 **{key: str(value) for key, value in run.head.settings.items()}}  # fmt: skip
        return {
            "name": name,
            "headline": run.task.headline,
            "about": [[key, plain(value)] for key, value in about.items()],
            "heads": [
                ["own head", "The head of the run itself."],
                *([control_title(each), control_help(each)] for each in controls),
            ],
            "scores": [_scores(result.scores), *(_scores(result.controls.get(each, {})) for each in controls)],
            "split": _packed(_codes(self.splits, found.splits)[found.split], "u2"),
            "term": _packed(_codes(self.terms, found.terms)[found.term], "u2"),
            "leaf": _packed(_codes(self.leaves, leaves.tolist())[leaf], "u4"),
            "image": _packed(images[found.image], "u4"),
            "answer": _packed(found.answer, "u1"),
            "margins": [_packed(found.margins[each], "f4") for each in (OWN, *controls)],
            "inside": _inside(shown.inside, images) if shown.inside else None,
        }


def _codes(known: dict[Any, int], names: Iterable[Any]) -> np.ndarray:
    """Return the number of each name in a list that grows by those that are new.  # (n,)"""
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)


def _order(found: Predictions, split: str) -> np.ndarray:
    """Return images in the order in which a page wants them: of a split's wrong answers first, by how sure.  # (n,)"""
    own = found.margins[OWN].astype(np.float32)
    wrong = found.rows_of(split) & ((own > 0) != found.answer)
    wanted = np.zeros(len(found.images), np.float32)
    np.minimum.at(wanted, found.image, np.where(wrong, -np.abs(own), 0))
    return np.argsort(wanted, kind="stable")


def _inside(inside: "InsideHead", images: np.ndarray) -> dict[str, Any]:
    """Return what the page holds of the inside of a head, picture by picture.

    Args:
        images: The page's codes of what is asked about.
    """
    side = 0 if inside.looks is None else inside.looks.shape[1]
    return {
        "images": _packed(images, "u4"),
        "words": [seen(word) for word in inside.words],
        "nearest": _packed(inside.nearest, "u2"),
        "tokens": inside.nearest.shape[1],
        "side": side,
        "looks": "" if inside.looks is None else _packed(np.round(9 * inside.looks), "u1"),
    }


def _packed(values: np.ndarray, kind: str) -> str:
    """Return numbers as base64 of their little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode()


def _scores(scores: dict[str, Scores]) -> dict[str, list[float | None]]:
    """Return F1, AUROC and chance of each split."""
    return {split: [each.macro_f1, each.auroc, each.chance_f1] for split, each in scores.items()}


def _sources(
    shown: Sequence[AnsweredResult], pictures: Iterable[tuple[str, str]], embed: bool, report: Reporter
) -> Iterable[str]:
    """Yield for each picture where the page finds it: an address, an embedded picture, or nothing."""
    by_id: dict[str, tuple[Dataset, dict[str, ImageRecord]]] = {}
    for each in shown:
        if each.pictures and each.result.run.dataset.fingerprint not in by_id:
            records = {image.id: image for image in each.pictures.images}
            by_id[each.result.run.dataset.fingerprint] = each.pictures, records
    found = [(by_id[of][0], by_id[of][1][name]) if of in by_id and name in by_id[of][1] else None
             for of, name in pictures]  # fmt: skip
    drawn = [each for each in found if each and (embed or each[0].file is None)]
    embedded = iter(_embedded([partial(dataset.read, image) for dataset, image in drawn], report))
    for picture in found:
        if picture is None:
            yield ""
        elif embed or picture[0].file is None:
            yield next(embedded)
        else:
            yield picture[0].file(picture[1]).absolute().as_uri()


def _embedded(reads: Sequence[Callable[[], Image.Image]], report: Reporter) -> Iterable[str]:
    """Yield pictures as addresses that hold them."""
    with report.bar("embed pictures", len(reads), "picture") as advance, ExitStack() as stack:
        made: Iterable[str] = map(_thumbnail, reads)
        if len(reads) > _MANY:
            workers = ProcessPoolExecutor(min(os.cpu_count() or 1, 8), get_context("spawn"))
            made = stack.enter_context(workers).map(_thumbnail, reads, chunksize=32)
        for source in made:
            advance(1)
            yield source


def _thumbnail(read: Callable[[], Image.Image]) -> str:
    """Return a picture, no larger than need be, as an address that holds it."""
    picture, file = read(), io.BytesIO()
    picture.thumbnail((_LONGEST, _LONGEST))
    picture.save(file, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
