"""The rows of the board: one for every (task, dataset, encoder, LM, head, setting), averaged over seeds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from taxbench.board.board import Estimate, Record, Row, TermRow
from taxbench.board.roles import task_order
from taxbench.registry.heads import head_info, heads
from taxbench.scoring.bootstrap import METHOD, REPLICATES
from taxbench.specs.result import WEAK_LM, CategoryScore, Result, Scores
from taxbench.specs.run import DatasetId, RunSpec, ScoringSpec, TrainerSpec
from taxbench.specs.side_files import Timing
from taxbench.specs.sources import READERS
from taxbench.specs.spec import content_hash
from taxbench.specs.task import RAW, TaskSpec

Interval = tuple[float | None, float | None]
Intervals = Mapping[str, Interval]
"""By score: `f1`, `auroc`, `transfer`, and so on, and the names of controls."""
_Names = tuple[DatasetId, str, str, str]
"""Dataset, LM, encoder, head."""


def grouped(results: Iterable[Result]) -> list[list[Result]]:
    """Group results over seeds; tasks of another version or content, and other datasets, stay apart.

    The same run may lie in two folders; of several the one with most controls counts, and of equals the last.
    """
    groups: dict[str, dict[int, Result]] = {}
    for result in results:
        run = result.run
        # Everything that changes a number but the seed, and the code.
        rest = {name: part for name, part in run.identity_fields().items() if name not in ("task", "seed")}
        group = groups.setdefault(content_hash([run.task.identity, rest, result.versions.computing]), {})
        if result.seed not in group or len(result.controls) >= len(group[result.seed].controls):
            group[result.seed] = result
    return [[group[seed] for seed in sorted(group)] for group in groups.values()]


def make_table(
    results: Iterable[Result],
    intervals: Mapping[str, Intervals] | None = None,
    folders: Mapping[str, str] | None = None,
    timings: Mapping[str, Timing] | None = None,
) -> list[Row]:
    """Return the rows of results.

    Args:
        intervals: By `group_key`, where predictions are at hand.
        folders: Where each record lies, by `record_key`.
        timings: What each run cost, by `record_key`, as far as known.
    """
    groups = grouped(results)
    # Datasets that share a name are named by their fingerprints as well: nothing of one is ranked against the other.
    count = Counter(
        label for label, _ in {(of.label, of.fingerprint) for of in (each[0].run.dataset for each in groups)}
    )
    rows = []
    for group, setting in zip(groups, settings_shown(groups), strict=True):
        dataset = group[0].run.dataset
        records = tuple(
            Record(each.seed, each.digest, _sha256(each), (folders or {}).get(record_key(each), "")) for each in group
        )
        names = {
            "dataset": f"{dataset.label} {dataset.fingerprint[:8]}" if count[dataset.label] > 1 else dataset.label,
            "setting": setting,
        }
        row = _row(group, names, records, (intervals or {}).get(group_key(group), {}))
        rows.append(_costed(row, [(timings or {}).get(record_key(each)) for each in group]))
    return sorted(rows, key=lambda row: (row.place, task_order(row.task)))


def settings_shown(groups: Sequence[list[Result]]) -> list[str]:
    """Return what rows show of the settings of `grouped` results: what is not usual, and what tells them apart."""
    alike = defaultdict[_Names, list[dict[str, str]]](list)
    for group in groups:
        alike[_names(group[0])].append(_identities(group[0], 8))
    shown = []
    for group in groups:
        others = alike[_names(group[0])]
        telling = {part for part in others[0] if len({identities.get(part) for identities in others}) > 1}
        shown.append(_setting(group[0], telling))
    return shown


def best_by_validation(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of one setting of every head through one LM and encoder: that of the best validation score.

    No test question has a say in it. It is the mean over the tasks that all settings have; on a tie the first stays.
    """
    rows = list(rows)
    settings = defaultdict[tuple[str, ...], dict[str, list[Row]]](dict)
    for row in rows:
        settings[row.place[:-1]].setdefault(row.setting, []).append(row)
    kept = set()
    for system, of_setting in settings.items():
        shared = set.intersection(*({row.name for row in each} for each in of_setting.values()))

        def validated(setting: str, found: dict[str, list[Row]] = of_setting, tasks: set[str] = shared) -> float:
            means = [row.validation_f1.mean for row in found[setting] if row.name in tasks]
            return sum(mean or 0.0 for mean in means) / max(1, len(means))

        kept.add((*system, max(of_setting, key=validated)))
    return [row for row in rows if row.place in kept]


def record_key(result: Result) -> str:
    """Return what tells a record from another, also from one of the same run made by other code."""
    return f"{result.digest} {_sha256(result)}"


def group_key(group: list[Result]) -> str:
    """Return what a row's resamplings follow from: the predictions of its seeds, its headline split, and the method."""
    return _key(group[0].run.task, group[0].run.task.headline, list(map(_sha256, group)))


def row_key(row: Row) -> str:
    """Return the `group_key` of the results that a row was made of."""
    return _key(row.task, row.split, [record.predictions for record in row.records])


def _key(task: TaskSpec, split: str, predictions: list[str]) -> str:
    """Return the digest of what resamplings follow from, where questions are about two images both of their leaves."""
    return content_hash([METHOD, REPLICATES, split, predictions, *["pairs"] * task.in_pairs], 32)


def _sha256(result: Result) -> str:
    """Return the digest of a record's predictions; of an older form that has none, nothing."""
    return result.predictions.sha256 if result.predictions else ""


def _row(group: list[Result], names: dict[str, str], records: tuple[Record, ...], known: Intervals) -> Row:
    """Return the row of the board that averages results over seeds."""
    first, split = group[0], group[0].run.task.headline
    own = [result.scores.get(split) for result in group]
    held = [result.scores.get("heldout_leaf") for result in group]

    def of(name: str, values: list[float | None]) -> Estimate:
        return estimate(values, known.get(name, (None, None)))

    f1 = _column(own, "macro_f1")
    controls = {
        name: _column([result.controls.get(name, {}).get(split) for result in group], "macro_f1")
        for name in dict.fromkeys(name for result in group for name in result.controls)
    }
    twin = controls.get("random_lm", [None] * len(group))
    known_names = [result.name_auroc for result in group if result.name_auroc is not None]
    weak = bool(known_names) and min(known_names) < WEAK_LM
    weakness = f"this LM hardly tells names apart: AUROC {min(known_names):.2f}" if weak else ""
    return Row(
        dataset=names["dataset"],
        setting=names["setting"],
        task=first.run.task,
        encoder=first.encoder,
        lm=first.lm,
        head=first.head,
        features=first.run.encoder.reading,
        seeds=tuple(result.seed for result in group),
        split=split,
        validation_f1=estimate(_column([result.validation for result in group], "macro_f1")),
        leaf_f1=of("leaf_f1", _column([result.scores.get("leaf") for result in group], "macro_f1")),
        f1=of("f1", f1),
        fitted_f1=estimate(_column(own, "fitted_f1")),
        auroc=of("auroc", _column(own, "auroc")),
        accuracy=estimate(_column(own, "accuracy")),
        controls={name: of(name, values) for name, values in controls.items()},
        transfer=of("transfer", minus(f1, twin)),
        heldout_f1=of("heldout_f1", _column(held, "macro_f1")),
        heldout_auroc=of("heldout_auroc", _column(held, "auroc")),
        similarity=estimate([result.visual_similarity.after for result in group]),
        metrics=tuple(metric.name for metric in first.run.task.metrics),
        primary=tuple(_column(own, first.run.task.primary)),
        f1_by_seed=tuple(f1),
        note="; ".join(filter(None, [first.note, weakness])),
        is_control=first.is_control,
        split_f1=_splits([result.scores for result in group]),
        random_lm_split_f1=_splits([result.controls.get("random_lm", {}) for result in group]),
        terms=_terms(group, split),
        evidence=first.evidence,
        visual_similarity=first.visual_similarity,
        identities=_identities(first),
        records=records,
        settings=settings_of(first),
    )


def _costed(row: Row, timings: Sequence[Timing | None]) -> Row:
    """Return a row with what its seeds cost and when the last one ended, where that is known of each."""
    known = [each for each in timings if each]
    if len(known) < len(timings):
        return row
    days = [each.finished for each in known]
    seconds = sum(sum(each.seconds.values()) for each in known)
    return replace(row, seconds=seconds, finished=max(days) if all(days) else "")


def settings_of(result: Result) -> dict[str, Any]:
    """Return every setting of a result by name: of the features, the trainer, the scoring, the prompt and the head."""
    options = result.run.encoder.options
    return (options.model_dump() if options else {}) | chosen_settings(result.run)


def chosen_settings(run: RunSpec) -> dict[str, Any]:
    """Return the settings of the trainer, the scoring, the prompt and the head by name."""
    return run.trainer.model_dump() | run.scoring.model_dump() | run.prompt.model_dump() | run.head.settings


def _terms(group: list[Result], split: str) -> tuple[TermRow, ...]:
    """Average the terms of a split over seeds; a term that has no score with one of them has none."""
    found, alike = defaultdict[str, list[CategoryScore]](list), defaultdict[str, list[float | None]](list)
    for result in group:
        for each in result.categories:
            if each.split == split:
                found[each.term].append(each)
        for similarity in result.visual_similarity.categories:
            alike[similarity.hypernym].append(similarity.after)
    return tuple(
        TermRow(
            term=term,
            f1=estimate([each.f1 for each in some]).mean,
            auroc=estimate([each.auroc for each in some]).mean,
            controls={
                name: estimate([each.controls.get(name) for each in some]).mean
                for name in dict.fromkeys(name for each in some for name in each.controls)
            },
            similarity=estimate(alike[term]).mean,
            n_questions=sum(each.n_positive + each.n_negative for each in some),
        )
        for term, some in sorted(found.items())
    )


def _identities(result: Result, digits: int | None = None) -> dict[str, str]:
    """Return the digests, of so many digits, and the versions that may differ behind the same names."""
    run = result.run
    return {
        "dataset": run.dataset.fingerprint[:digits],
        "encoder": run.encoder.digest[:digits],
        "features": run.encoder.features[:digits],
        "lm": run.lm.digest[:digits],
        "dtype": run.lm.dtype,
        "device": run.device,
        **{name: value for name, value in result.versions.computing.items() if value},
    }


def _names(result: Result) -> _Names:
    """Return the names that rows of the board show of a result: dataset, LM, encoder, head."""
    return result.run.dataset, result.lm, result.encoder, result.head


def _setting(result: Result, telling: set[str]) -> str:
    """Return what a row shows of settings: those not at their default, and identities that tell rows apart."""
    run = result.run
    known = head_info(run.head.name) if run.head.name in {*heads(), *READERS} else None
    usual = TrainerSpec().model_dump() | ScoringSpec().model_dump() | RAW.model_dump()
    if known:
        usual |= known.trainer | {name: default for name, default, _ in known.settings}
    given = chosen_settings(run)
    if run.encoder.reading not in ("imported", known.pool if known else "pooled"):
        given["features"], usual = run.encoder.reading, usual | {"features": ""}
    changed = [f"{name}={value}" for name, value in given.items() if name not in usual or usual[name] != value]
    return ", ".join([*changed, *(f"{name} {value}" for name, value in _identities(result, 8).items()
                                  if name in telling)])  # fmt: skip


def _splits(scores: list[dict[str, Scores]]) -> dict[str, Estimate]:
    """Return the macro-F1 of each split, averaged over a row's seeds."""
    return {split: estimate(_column([each.get(split) for each in scores], "macro_f1")) for split in scores[0]}


def _column(scores: Sequence[Scores | None], name: str) -> list[Any]:
    """Return one score from each seed of a row; None where a seed has no scores."""
    return [None if score is None else getattr(score, name) for score in scores]


def minus(left: Sequence[float | None], right: Sequence[float | None]) -> list[float | None]:
    """Return the seed-by-seed difference of two columns of scores; None where either is missing."""
    return [None if a is None or b is None else a - b for a, b in zip(left, right, strict=True)]


def estimate(values: Sequence[float | None], interval: Interval = (None, None)) -> Estimate:
    """Return the mean and the spread over seeds; blank where a value is missing or there is none."""
    given = [value for value in values if value is not None]
    if not given or len(given) < len(values):
        return Estimate(None)
    return Estimate(mean(given), stdev(given) if len(given) > 1 else None, *interval)
