"""The leaderboard as data: one row for every (task, dataset, encoder, LM, head), averaged over seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

from taxbench.specs.result import Result, Scores


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over seeds with its spread; `mean` is None when any seed has no score."""

    mean: float | None
    sd: float | None

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        return f"{self.mean:.3f}" if self.sd is None else f"{self.mean:.3f} ± {self.sd:.3f}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    task: str
    dataset: str
    encoder: str
    lm: str
    head: str
    seeds: tuple[int, ...]
    split: str
    """The task's headline split; the columns below are about it where they do not say otherwise."""
    leaf_f1: Figure
    f1: Figure
    auroc: Figure
    random_lm_f1: Figure
    transfer: Figure
    """F1 minus the random-LM control's, seed by seed."""
    chance_f1: Figure
    heldout_f1: Figure
    heldout_auroc: Figure
    similarity: Figure
    """Visual similarity inside hypernyms under the task's pairing."""


def make_table(results: Iterable[Result]) -> list[Row]:
    """Group results over seeds; tasks of another version or content, and other datasets, stay apart."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        run = result.run
        # Everything but the seed keeps rows apart, so that a row never averages over different settings.
        identity = run.model_copy(update={"seed": 0}).digest
        key = (result.dataset, result.lm, result.encoder, result.head, identity)
        groups.setdefault(key, []).append(result)
    rows = [_row(sorted(group, key=lambda result: result.seed)) for group in groups.values()]
    return sorted(rows, key=lambda row: (row.dataset, row.lm, row.encoder, row.head, _task_order(row.task), row.task))


def _row(group: list[Result]) -> Row:
    first = group[0]
    split = first.run.task.headline
    own = [result.scores.get(split) for result in group]
    twin = [result.controls.get("random_lm", {}).get(split) for result in group]
    held = [result.scores.get("heldout_leaf") for result in group]
    return Row(
        task=first.task,
        dataset=first.dataset,
        encoder=first.encoder,
        lm=first.lm,
        head=first.head,
        seeds=tuple(result.seed for result in group),
        split=split,
        leaf_f1=_figure(_column([result.scores.get("leaf") for result in group], "macro_f1")),
        f1=_figure(_column(own, "macro_f1")),
        auroc=_figure(_column(own, "auroc")),
        random_lm_f1=_figure(_column(twin, "macro_f1")),
        transfer=_figure(_minus(_column(own, "macro_f1"), _column(twin, "macro_f1"))),
        chance_f1=_figure(_column(own, "chance_f1")),
        heldout_f1=_figure(_column(held, "macro_f1")),
        heldout_auroc=_figure(_column(held, "auroc")),
        similarity=_figure([result.visual_similarity.after for result in group]),
    )


def _column(scores: list[Scores | None], name: str) -> list[float | None]:
    return [None if score is None else getattr(score, name) for score in scores]


def _minus(left: list[float | None], right: list[float | None]) -> list[float | None]:
    return [None if a is None or b is None else a - b for a, b in zip(left, right, strict=True)]


def _figure(values: list[float | None]) -> Figure:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Figure(None, None)
    return Figure(mean(known), stdev(known) if len(known) > 1 else None)


_ORDER = ("leaf", "seen_hypernym", "unseen_hypernym", "counterfactual_high", "counterfactual_low")


def _task_order(identity: str) -> int:
    name = identity.partition("@")[0]
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
