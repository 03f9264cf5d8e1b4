"""The leaderboard as data: one row for every (task, dataset, encoder, LM, head), averaged over seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

from taxbench.registry.heads import head_info, heads
from taxbench.specs.base import content_hash
from taxbench.specs.result import Result, Scores
from taxbench.specs.run import ScoringSpec, TrainerSpec


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over seeds with its spread; `mean` is None when any seed has no score."""

    mean: float | None
    sd: float | None

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        mean = f"{round(self.mean, 3) + 0.0:.3f}"  # + 0.0: no "-0.000"
        return mean if self.sd is None else f"{mean} ± {self.sd:.3f}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    task: str
    dataset: str
    encoder: str
    lm: str
    head: str
    features: str
    """What is read off the encoder, in words."""
    setting: str
    """What is not as by default, and what tells rows of the same names apart; else empty."""
    seeds: tuple[int, ...]
    split: str
    """The task's headline split; the columns below are about it where they do not say otherwise."""
    leaf_f1: Figure
    f1: Figure
    auroc: Figure
    accuracy: Figure
    random_lm_f1: Figure
    transfer: Figure
    """F1 minus the random-LM control's, seed by seed."""
    chance_f1: Figure
    heldout_f1: Figure
    heldout_auroc: Figure
    similarity: Figure
    """Visual similarity inside hypernyms under the task's pairing."""
    metrics: tuple[str, ...]
    """The metrics that the task lists."""
    primary: tuple[float | None, ...]
    """The task's primary metric on its headline split, seed by seed."""
    note: str
    """Why the figures are what they are, where the head itself explains it."""
    split_f1: dict[str, Figure]
    """Macro-F1 of every split."""
    random_lm_split_f1: dict[str, Figure]
    """The same of the random-LM control."""

    @property
    def name(self) -> str:
        """Return the task's name without version and hash."""
        return self.task.partition("@")[0]

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """Return what rows of one table have in common: dataset, LM, encoder, head, setting."""
        return self.dataset, self.lm, self.encoder, self.head, self.setting


def make_table(results: Iterable[Result]) -> list[Row]:
    """Group results over seeds; tasks of another version or content, and other datasets, stay apart."""
    groups: dict[str, list[Result]] = {}
    # The same run may lie in two folders; of several the last counts.
    everything = list({(_identity(result), result.seed): result for result in results}.values())
    for result in everything:
        groups.setdefault(_identity(result), []).append(result)
    parts = _telling_apart(everything)
    rows = [_row(sorted(group, key=lambda result: result.seed), parts) for group in groups.values()]
    return sorted(rows, key=lambda row: (row.place, _task_order(row.task), row.task))


def _row(group: list[Result], parts: dict[tuple[str, ...], set[str]]) -> Row:
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
        features=first.run.encoder.reading,
        setting=_setting(first, parts[_names(first)]),
        seeds=tuple(result.seed for result in group),
        split=split,
        leaf_f1=figure(_column([result.scores.get("leaf") for result in group], "macro_f1")),
        f1=figure(_column(own, "macro_f1")),
        auroc=figure(_column(own, "auroc")),
        accuracy=figure(_column(own, "accuracy")),
        random_lm_f1=figure(_column(twin, "macro_f1")),
        transfer=figure(_minus(_column(own, "macro_f1"), _column(twin, "macro_f1"))),
        chance_f1=figure(_column(own, "chance_f1")),
        heldout_f1=figure(_column(held, "macro_f1")),
        heldout_auroc=figure(_column(held, "auroc")),
        similarity=figure([result.visual_similarity.after for result in group]),
        metrics=tuple(metric.name for metric in first.run.task.metrics),
        primary=tuple(_column(own, first.run.task.primary)),
        note=first.note,
        split_f1=_splits([result.scores for result in group]),
        random_lm_split_f1=_splits([result.controls.get("random_lm", {}) for result in group]),
    )


def _identity(result: Result) -> str:
    """Return what keeps rows apart: everything that changes a number but the seed, and the code."""
    run = result.run
    rest = {name: getattr(run, name) for name in type(run).model_fields if name not in ("task", "seed")}
    shown = {name: value if isinstance(value, str) else value.model_dump(mode="json") for name, value in rest.items()}
    return content_hash([run.task.identity, shown, result.versions.model_dump()])


def _identities(result: Result) -> dict[str, str]:
    """Return what may differ behind the same names."""
    run = result.run
    return {
        "dataset": run.dataset.fingerprint[:8],
        "encoder": run.encoder.digest[:8],
        "features": run.encoder.features[:8],
        "lm": run.lm.digest[:8],
        "dtype": run.lm.dtype,
        "device": run.device,
        "code": result.versions.taxbench,
        "torch": result.versions.torch,
    }


def _names(result: Result) -> tuple[str, ...]:
    return result.dataset, result.lm, result.encoder, result.head


def _telling_apart(results: list[Result]) -> dict[tuple[str, ...], set[str]]:
    """Return, for results of the same names, which of their identities are not all alike."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for result in results:
        found.setdefault(_names(result), []).append(_identities(result))
    return {
        names: {part for part in some[0] if len({each[part] for each in some}) > 1} for names, some in found.items()
    }


def _setting(result: Result, parts: set[str]) -> str:
    run = result.run
    known = head_info(run.head.name) if run.head.name in heads() else None
    usual = TrainerSpec().model_dump() | ScoringSpec().model_dump()
    if known:
        usual |= known.trainer | {name: default for name, default, _ in known.settings}
    given = run.trainer.model_dump() | run.scoring.model_dump() | run.head.settings
    if run.encoder.reading not in ("imported", known.pool if known else "pooled"):
        given["features"], usual = run.encoder.reading, usual | {"features": ""}
    changed = [f"{name}={value}" for name, value in given.items() if name not in usual or usual[name] != value]
    return ", ".join([*changed, *(f"{name} {value}" for name, value in _identities(result).items() if name in parts)])


def _splits(scores: list[dict[str, Scores]]) -> dict[str, Figure]:
    return {split: figure(_column([each.get(split) for each in scores], "macro_f1")) for split in scores[0]}


def _column(scores: list[Scores | None], name: str) -> list[float | None]:
    return [None if score is None else getattr(score, name) for score in scores]


def _minus(left: list[float | None], right: list[float | None]) -> list[float | None]:
    return [None if a is None or b is None else a - b for a, b in zip(left, right, strict=True)]


def figure(values: list[float | None]) -> Figure:
    """Return the mean and the spread over seeds; blank where a value is missing or there is none."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Figure(None, None)
    return Figure(mean(known), stdev(known) if len(known) > 1 else None)


_ORDER = ("leaf", "seen_hypernym", "unseen_hypernym", "counterfactual_high", "counterfactual_low")


def _task_order(identity: str) -> tuple[int, str, float]:
    """Put the tasks of the question first, then the others by name, curves by level."""
    name = identity.partition("@")[0]
    base, _, level = name.partition("-")
    return _ORDER.index(name) if name in _ORDER else len(_ORDER), base, float(level or 0)
