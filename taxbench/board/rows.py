"""The rows of the board: one for every (task, dataset, encoder, LM, head, setting), averaged over seeds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import mean, stdev

from taxbench.board.board import Estimate, Record, Row, TermRow
from taxbench.board.roles import task_order
from taxbench.registry.heads import head_info, heads
from taxbench.scoring.bootstrap import METHOD, REPLICATES
from taxbench.specs.result import WEAK_LM, CategoryScore, Result, Scores
from taxbench.specs.run import DatasetId, ScoringSpec, TrainerSpec
from taxbench.specs.spec import content_hash
from taxbench.specs.task import RAW

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
        group = groups.setdefault(_identity(result), {})
        if result.seed not in group or len(result.controls) >= len(group[result.seed].controls):
            group[result.seed] = result
    return [[group[seed] for seed in sorted(group)] for group in groups.values()]


def make_table(
    results: Iterable[Result],
    intervals: Mapping[str, Intervals] | None = None,
    folders: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return the rows of results.

    Args:
        intervals: By `group_key`, where predictions are at hand.
        folders: Where each record lies, by `record_key`.
    """
    groups = grouped(results)
    kept = [result for group in groups for result in group]
    datasets, parts = _dataset_names(kept), _telling_apart(kept)
    rows = [
        _row(group, datasets[group[0].run.dataset], parts, (intervals or {}).get(group_key(group), {}), folders or {})
        for group in groups
    ]
    return sorted(rows, key=lambda row: (row.place, task_order(row.task)))


def _dataset_names(results: Iterable[Result]) -> dict[DatasetId, str]:
    """Name datasets that share a name by their fingerprints as well: nothing of one is ranked against the other."""
    datasets = {result.run.dataset for result in results}
    count = Counter(dataset.label for dataset in datasets)
    return {
        dataset: f"{dataset.label} {dataset.fingerprint[:8]}" if count[dataset.label] > 1 else dataset.label
        for dataset in datasets
    }


def record_key(result: Result) -> str:
    """Return what tells a record from another, also from one of the same run made by other code."""
    return f"{result.digest} {result.predictions.sha256 if result.predictions else ''}"


def group_key(group: list[Result]) -> str:
    """Return what a row's resamplings follow from: the predictions of its seeds, its headline split, and the method."""
    return _key(
        group[0].run.task.headline, [result.predictions.sha256 if result.predictions else "" for result in group]
    )


def row_key(row: Row) -> str:
    """Return the `group_key` of the results that a row was made of."""
    return _key(row.split, [record.predictions for record in row.records])


def _key(split: str, predictions: list[str]) -> str:
    """Return the hash of all that a row's resamplings follow from."""
    return content_hash([METHOD, REPLICATES, split, predictions], 32)


def _row(
    group: list[Result], dataset: str, parts: Mapping[_Names, set[str]], known: Intervals, folders: Mapping[str, str]
) -> Row:
    """Return the row of the board that averages results over seeds."""
    first = group[0]
    split = first.run.task.headline
    own = [result.scores.get(split) for result in group]
    held = [result.scores.get("heldout_leaf") for result in group]
    twin = [result.controls.get("random_lm", {}).get(split) for result in group]

    def of(name: str, values: list[float | None]) -> Estimate:
        return estimate(values, known.get(name, (None, None)))

    controls = dict.fromkeys(name for result in group for name in result.controls)
    return Row(
        task=first.run.task,
        dataset=dataset,
        encoder=first.encoder,
        lm=first.lm,
        head=first.head,
        features=first.run.encoder.reading,
        setting=_setting(first, parts[_names(first)]),
        seeds=tuple(result.seed for result in group),
        split=split,
        leaf_f1=of("leaf_f1", _column([result.scores.get("leaf") for result in group], "macro_f1")),
        f1=of("f1", _column(own, "macro_f1")),
        fitted_f1=estimate(_column(own, "fitted_f1")),
        auroc=of("auroc", _column(own, "auroc")),
        accuracy=estimate(_column(own, "accuracy")),
        controls={
            name: of(name, _column([result.controls.get(name, {}).get(split) for result in group], "macro_f1"))
            for name in controls
        },
        transfer=of("transfer", _minus(_column(own, "macro_f1"), _column(twin, "macro_f1"))),
        heldout_f1=of("heldout_f1", _column(held, "macro_f1")),
        heldout_auroc=of("heldout_auroc", _column(held, "auroc")),
        similarity=estimate([result.visual_similarity.after for result in group]),
        metrics=tuple(metric.name for metric in first.run.task.metrics),
        primary=tuple(_column(own, first.run.task.primary)),
        f1_by_seed=tuple(_column(own, "macro_f1")),
        note="; ".join(filter(None, [first.note, _weakness(group)])),
        is_control=first.is_control,
        split_f1=_splits([result.scores for result in group]),
        random_lm_split_f1=_splits([result.controls.get("random_lm", {}) for result in group]),
        terms=_terms(group, split),
        evidence=first.evidence,
        visual_similarity=first.visual_similarity,
        identities=_whole_identities(first),
        records=tuple(_record(result, folders) for result in group),
    )


def _weakness(group: list[Result]) -> str:
    """Say where an LM knows too little of the names themselves for its row to mean anything."""
    known = [result.name_auroc for result in group if result.name_auroc is not None]
    return f"this LM hardly tells names apart: AUROC {min(known):.2f}" if known and min(known) < WEAK_LM else ""


def _record(result: Result, folders: Mapping[str, str]) -> Record:
    """Return what a row of the board says of one seed's record: digests and folder."""
    predictions = result.predictions.sha256 if result.predictions else ""
    return Record(result.seed, result.digest, predictions, folders.get(record_key(result), ""))


def _terms(group: list[Result], split: str) -> tuple[TermRow, ...]:
    """Average the terms of a split over seeds; a term that has no score with one of them has none."""
    found: dict[str, list[CategoryScore]] = {}
    for result in group:
        for each in result.categories:
            if each.split == split:
                found.setdefault(each.term, []).append(each)
    alike: dict[str, list[float | None]] = {}
    for result in group:
        for similarity in result.visual_similarity.categories:
            alike.setdefault(similarity.hypernym, []).append(similarity.after)
    rows = []
    for term in sorted(found):
        some = found[term]
        names = dict.fromkeys(name for each in some for name in each.controls)
        rows.append(
            TermRow(
                term=term,
                f1=estimate([each.f1 for each in some]).mean,
                auroc=estimate([each.auroc for each in some]).mean,
                controls={name: estimate([each.controls.get(name) for each in some]).mean for name in names},
                similarity=estimate(alike.get(term, [])).mean,
                n_questions=sum(each.n_positive + each.n_negative for each in some),
            )
        )
    return tuple(rows)


def _identity(result: Result) -> str:
    """Return what keeps rows apart: everything that changes a number but the seed, and the code."""
    run = result.run
    rest = {name: part for name, part in run.identity_fields().items() if name not in ("task", "seed")}
    return content_hash([run.task.identity, rest, result.versions.computing])


def _identities(result: Result) -> dict[str, str]:
    """Return what may differ behind the same names."""
    whole = _whole_identities(result)
    return {
        part: value[:8] if part in ("dataset", "encoder", "features", "lm") else value for part, value in whole.items()
    }


def _whole_identities(result: Result) -> dict[str, str]:
    """Return the digests and versions behind the names in a row, in full."""
    run = result.run
    return {
        "dataset": run.dataset.fingerprint,
        "encoder": run.encoder.digest,
        "features": run.encoder.features,
        "lm": run.lm.digest,
        "dtype": run.lm.dtype,
        "device": run.device,
        **{name: value for name, value in result.versions.computing.items() if value},
    }


def _names(result: Result) -> _Names:
    """Return the names that rows of the board show of a result: dataset, LM, encoder, head."""
    return result.run.dataset, result.lm, result.encoder, result.head


def _telling_apart(results: list[Result]) -> dict[_Names, set[str]]:
    """Return, for results of the same names, which of their identities are not all alike."""
    by_names: dict[_Names, list[dict[str, str]]] = {}
    for result in results:
        by_names.setdefault(_names(result), []).append(_identities(result))
    return {
        names: {part for part in block[0] if len({identities.get(part) for identities in block}) > 1}
        for names, block in by_names.items()
    }


def _setting(result: Result, parts: set[str]) -> str:
    """Return what a row shows of settings: those not at their default, and identities that differ."""
    run = result.run
    known = head_info(run.head.name) if run.head.name in heads() else None
    usual = TrainerSpec().model_dump() | ScoringSpec().model_dump() | RAW.model_dump()
    if known:
        usual |= known.trainer | {name: default for name, default, _ in known.settings}
    given = run.trainer.model_dump() | run.scoring.model_dump() | run.prompt.model_dump() | run.head.settings
    if run.encoder.reading not in ("imported", known.pool if known else "pooled"):
        given["features"], usual = run.encoder.reading, usual | {"features": ""}
    changed = [f"{name}={value}" for name, value in given.items() if name not in usual or usual[name] != value]
    return ", ".join([*changed, *(f"{name} {value}" for name, value in _identities(result).items() if name in parts)])


def _splits(scores: list[dict[str, Scores]]) -> dict[str, Estimate]:
    """Return the macro-F1 of each split, averaged over a row's seeds."""
    return {split: estimate(_column([each.get(split) for each in scores], "macro_f1")) for split in scores[0]}


def _column(scores: list[Scores | None], name: str) -> list[float | None]:
    """Return one score from each seed of a row; None where a seed has no scores."""
    return [None if score is None else getattr(score, name) for score in scores]


def _minus(left: list[float | None], right: list[float | None]) -> list[float | None]:
    """Return the seed-by-seed difference of two columns of a row; None where either is missing."""
    return [None if a is None or b is None else a - b for a, b in zip(left, right, strict=True)]


def estimate(values: list[float | None], interval: Interval = (None, None)) -> Estimate:
    """Return the mean and the spread over seeds; blank where a value is missing or there is none."""
    given = [value for value in values if value is not None]
    if not given or len(given) < len(values):
        return Estimate(None)
    return Estimate(mean(given), stdev(given) if len(given) > 1 else None, *interval)
