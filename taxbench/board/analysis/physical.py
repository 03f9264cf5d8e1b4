"""What records of property tasks say: what came over from text, and whether answers follow the name or the picture.

After a re-pairing a picture goes under another leaf's name, and two answers may be right: the name's and the picture's.
Of the leaves whose answers differ, `follows_name` is the AUROC against the name's. Against the picture's it is one less
that, since every answer is the other one; numbers differ by degrees, and have a correlation with either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from taxbench.board.analysis.physical_controls import APPARENT_SIZE, CATEGORY_MEAN, apparent_sizes, category_means
from taxbench.board.analysis.physical_pairs import PairFinding, Pairs, apart, pair_finding, together
from taxbench.board.load import LoadedResults, load_predictions
from taxbench.board.resampling import over_seeds
from taxbench.board.rows import grouped
from taxbench.datasets.dataset import Dataset, first_images
from taxbench.protocol.property_questions import AskedProperty
from taxbench.protocol.protocol import Protocol
from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import DIFFERENCE, REPLICATES, SCORE, interval, item_weights, over_items
from taxbench.scoring.metrics import term_auroc
from taxbench.scoring.rank_correlation import UNKNOWN, Bounds, correlation_interval, leaf_means, rank_correlation
from taxbench.specs.result import Result
from taxbench.specs.task import SplitName
from taxbench.util.errors import DataError, UsageError

SPLITS: tuple[SplitName, ...] = ("unseen", "heldout_leaf")
TWIN = "random_lm"


@dataclass(frozen=True, slots=True)
class PropertyFinding:
    """One property task of one system on one split, seeds together.

    Estimates stand with their 95 % intervals over leaves, for the wordings at hand: two that are read rightly and two
    that are not say more apart than as a sample of four. Intervals over wordings as well are the board's.
    """

    task: str
    system: str
    dataset: str
    pairing: str
    split: str
    seeds: tuple[int, ...]
    leaves: int
    """Leaves that were asked, the fewest of any seed."""
    auroc: Bounds
    """Mean over wordings."""
    transfer: Bounds
    """AUROC less that of the same head through the LM with random weights."""
    direct: Bounds
    """AUROC of wordings whose answer is Yes where the property holds."""
    direct_transfer: Bounds
    """That less the random LM's."""
    reversed: Bounds
    """AUROC of the others."""
    agreement: Bounds
    """Spearman over leaves, between direct wordings and reversed ones turned around."""
    controls: dict[str, float | None]
    """AUROC of each control, those of `physical_controls.py` among them."""
    number: Bounds = UNKNOWN
    """Spearman of a leaf's mean margin with its number."""
    number_twin: Bounds = UNKNOWN
    """The same of the random twin."""
    number_within: Bounds = UNKNOWN
    """The same inside groups of leaves with the same hypernyms."""
    number_of_picture: Bounds = UNKNOWN
    """Spearman of a leaf's mean margin with the number of what its pictures show, where they were re-paired."""
    differing: int | None = None
    """Leaves whose answer is not their pictures', where they were re-paired."""
    follows_name: Bounds = UNKNOWN
    follows_picture: Bounds = UNKNOWN


@dataclass(frozen=True, slots=True)
class PropertyFindings:
    """All that records of property tasks say."""

    findings: tuple[PropertyFinding, ...]
    pairs: tuple[PairFinding, ...]
    """Of tasks about numbers: which of two leaves is told to have more."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Asked:
    """The answers of one run on one split, beside what the table says."""

    predictions: Predictions  # of the split alone
    asks: AskedProperty
    dataset: Dataset

    @cached_property
    def rows(self) -> tuple[np.ndarray, ...]:
        """Return the leaf, the leaf pictured, and the question of each row.  # (q,) int each, of the dataset's"""
        leaves = {leaf: i for i, leaf in enumerate(self.dataset.taxonomy.leaves)}
        pictured = {image.id: leaves[image.leaf] for image in self.dataset.images}
        question = {text: i for i, text in enumerate(self.asks.questions)}
        found = self.predictions
        name = np.array([leaves[leaf] for leaf in found.leaves])[found.leaf_of][found.image]
        return (
            name,
            np.array([pictured[image] for image in found.images])[found.image],
            np.array([question.get(term, -1) for term in found.terms])[found.term],  # names are asked in other splits
        )

    @cached_property
    def turned(self) -> np.ndarray:
        """Return which rows ask in a reversed wording.  # (q,) bool"""
        return np.asarray(self.asks.reversed[self.rows[2] % len(self.asks.reversed)])

    def with_controls(self, trained: np.ndarray) -> "_Asked":
        """Add the margins of controls that no head answers.

        Args:
            trained: Indices of the leaves that training names.  # (t,)
        """
        name, picture, question = self.rows
        margins = self.predictions.margins | {
            CATEGORY_MEAN: category_means(self.asks, self.dataset, trained)[name, question]
        }
        shares = None if self.asks.numbers is None else apparent_sizes(self.dataset, self.predictions.images)
        if shares is not None:
            margins[APPARENT_SIZE] = np.array([shares[leaf] for leaf in picture]) * np.where(self.turned, -1, 1)
        return replace(self, predictions=replace(self.predictions, margins=margins))

    def only(self, rows: np.ndarray) -> "_Asked":
        """Return some of the rows."""
        return replace(self, predictions=self.predictions.only(rows))

    def means(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the leaves asked and the mean margin of each.  # (l,) int, (l,)"""
        leaf, place = np.unique(self.rows[0], return_inverse=True)
        margin = self.predictions.margins[name].astype(np.float64)
        return leaf, leaf_means(margin, self.predictions.term, place, np.where(self.turned, -1, 1))


def physical(records: LoadedResults, load: Callable[[str], Dataset]) -> PropertyFindings:
    """Say what the records of property tasks say.

    Args:
        load: Returns a dataset by the name that records have.

    Raises:
        UsageError: there is no such record.
    """
    groups = [group for group in grouped(records.results) if group[0].run.task.property_questions]
    if not groups:
        raise UsageError("There is no record of a property task. Make one: taxbench run --task property_alive")
    findings, pairs, notes, known = [], list[PairFinding](), list[str](), dict[tuple[str, int | None], Dataset]()
    for group in sorted(groups, key=lambda group: group[0].run.task.name):
        try:
            splits = [split for split in SPLITS if split in group[0].run.task.evaluate]
            protocols = [_protocol(result, known, load) for result in group]
            answers = [load_predictions(result) for result in group]
            if protocols[0].task.property_questions.partners:  # type: ignore[union-attr]
                pairs += [_of_pairs(group, protocols, answers, split) for split in splits]
                continue
            asked = [_asked(protocol, each) for protocol, each in zip(protocols, answers, strict=True)]
            findings += [_finding(group, asked, split) for split in splits]
            numbers = asked[0].asks.numbers  # of which one can be twice another: no ratings that begin at nothing
            if numbers is not None and np.nanmin(numbers) > 0:
                pairs += [_of_leaves(group, asked, split) for split in splits]
        except (DataError, UsageError) as error:
            notes.append(f"Left out: {group[0].run.task.name} on {group[0].dataset}: {error}")
    return PropertyFindings(tuple(findings), tuple(pairs), tuple(dict.fromkeys(notes)))


def _protocol(result: Result, known: dict[tuple[str, int | None], Dataset], load: Callable[[str], Dataset]) -> Protocol:
    """Return the protocol of a record; raise DataError where its dataset is not the one at hand."""
    of, key = result.run.dataset, (result.run.dataset.name, result.run.dataset.limit)
    if key not in known:
        whole = load(of.name)
        known[key] = first_images(whole, of.limit) if of.limit else whole
    protocol = Protocol(result.run.task, known[key], result.seed)
    asks = protocol.asked_property
    assert asks is not None
    if (known[key].fingerprint, asks.digest) != (of.fingerprint, of.properties):
        raise DataError("its pictures or properties are not those at hand. Name them: --dataset, --properties.")
    return protocol


def _asked(protocol: Protocol, answers: Predictions) -> _Asked:
    """Return the answers of a record about one image at a time."""
    assert protocol.asked_property is not None
    return _Asked(answers, protocol.asked_property, protocol.dataset).with_controls(protocol.trained)


def _names(group: list[Result], split: str) -> tuple[str, str, str]:
    """Return what a finding is of: task, system, split."""
    run = group[0].run
    return run.task.name, f"{run.lm.name} ← {run.head.name} ← {run.encoder.name}", split


def _of_pairs(
    group: list[Result], protocols: list[Protocol], answers: list[Predictions], split: SplitName
) -> PairFinding:
    """Return what questions about two images at a time say."""

    def pairs(name: str) -> list[Pairs]:
        return [together(protocol, protocol.asked_property, each.only(each.rows_of(split)), name)  # type: ignore[arg-type]
                for protocol, each in zip(protocols, answers, strict=True) if name in each.margins]  # fmt: skip

    return pair_finding(_names(group, split), "together", pairs(OWN), pairs(TWIN), protocols[0].dataset.taxonomy.leaves)


def _of_leaves(group: list[Result], whole: list[_Asked], split: str) -> PairFinding:
    """Return what the answers about single images say of pairs of leaves."""
    asked = [each.only(each.predictions.rows_of(split)) for each in whole]
    numbers = asked[0].asks.numbers
    assert numbers is not None
    own, twin = ([apart(*each.means(name), numbers) for each in asked if name in each.predictions.margins]
                 for name in (OWN, TWIN))  # fmt: skip
    return pair_finding(_names(group, split), "apart", own, twin, asked[0].dataset.taxonomy.leaves)


def _finding(group: list[Result], whole: list[_Asked], split: str) -> PropertyFinding:
    """Return what the seeds of one task say on one split."""
    run = group[0].run
    asked = [each.only(each.predictions.rows_of(split)) for each in whole]
    halves = [[each.only(each.turned == turned) for each in asked] for turned in (False, True)]
    finding = PropertyFinding(
        task=run.task.name,
        system=_names(group, split)[1],
        dataset=run.dataset.label,
        pairing=run.task.counterfactual.kind,
        split=split,
        seeds=tuple(each.seed for each in group),
        leaves=_fewest(asked),
        auroc=_auroc(asked, split),
        transfer=_auroc(asked, split, TWIN),
        direct=_auroc(halves[0], split),
        direct_transfer=_auroc(halves[0], split, TWIN),
        reversed=_auroc(halves[1], split),
        agreement=_correlation([(one.means(OWN), other.means(OWN)) for one, other in zip(*halves, strict=True)], asked),
        controls={name: _mean_auroc(asked, name) for name in asked[0].predictions.controls},
    )
    return replace(finding, **_of_numbers(asked), **_two_truths(asked, split))


def _of_numbers(asked: list[_Asked]) -> dict[str, Any]:
    """Return the correlations of margins with numbers; none where the property is not one of numbers."""
    spec = asked[0].asks
    if spec.numbers is None:
        return {}
    found: dict[str, Bounds] = {}
    for key, name in (("number", OWN), ("number_twin", TWIN), ("number_within", OWN)):
        if name in asked[0].predictions.margins:
            pairs = [(means := each.means(name), (means[0], spec.numbers[means[0]])) for each in asked]
            found[key] = _correlation(pairs, asked, within=key == "number_within")
    if any((each.rows[0] != each.rows[1]).any() for each in asked):
        shown = [dict(zip(*each.rows[:2], strict=True)) for each in asked]  # one to one
        pairs = [
            (means := each.means(OWN), (means[0], spec.numbers[[of[leaf] for leaf in means[0]]]))
            for each, of in zip(asked, shown, strict=True)
        ]
        found["number_of_picture"] = _correlation(pairs, asked)
    return found


def _two_truths(asked: list[_Asked], split: str) -> dict[str, Any]:
    """Return whether answers follow the name or the picture, where re-pairing gave a picture another name."""
    moved = [each.rows[0] != each.rows[1] for each in asked]
    if not any(map(np.any, moved)):
        return {}
    differing = []
    for each in asked:
        _, picture, question = each.rows
        shown = each.asks.answers[picture, question]
        differing.append(each.only((shown >= 0) & (shown != each.predictions.answer)))
    leaves = _fewest(differing)
    if not leaves:
        return {"differing": 0}
    value, low, high = _auroc(differing, split)
    other = tuple(None if each is None else 1 - each for each in (value, high, low))
    return {"differing": leaves, "follows_name": (value, low, high), "follows_picture": other}


def _fewest(asked: list[_Asked]) -> int:
    """Return how many leaves are asked, the fewest of any seed."""
    return min(len(np.unique(each.rows[0])) for each in asked)


def _auroc(asked: list[_Asked], split: str, less: str | None = None) -> Bounds:
    """Return the AUROC, or what it is above a control's, with its interval over leaves; what cannot be told is None."""
    answers = [each.predictions for each in asked]
    if less is not None and less not in answers[0].margins:
        return UNKNOWN
    values, scale = over_seeds(answers, split, OWN).auroc, SCORE
    if less is not None:
        values, scale = values - over_seeds(answers, split, less).auroc, DIFFERENCE
    if not np.isfinite(values).all():
        return UNKNOWN
    return (float(values[0]), *interval(over_leaves(values), _fewest(asked), scale=scale))


def over_leaves(values: np.ndarray) -> np.ndarray:
    """Return replicates of `scoring/bootstrap.py` with leaves alone reweighted, for `interval` with their number.

    Args:
        values: An estimate, then replicates by term, by leaf, and by both.  # (1 + 3 b,)
    """
    _, by_leaf, _ = np.split(values[1:], 3)
    return over_items(np.concatenate([values[:1], by_leaf]))


def _mean_auroc(asked: Sequence[_Asked], name: str) -> float | None:
    """Return the mean AUROC over terms asked with both answers, then over seeds."""
    found = []
    for each in asked:
        of = each.predictions
        _, term = np.unique(of.term, return_inverse=True)
        found.append(np.nanmean(term_auroc(term, of.answer, of.margins[name])) if len(term) else np.nan)
    return float(np.mean(found)) if np.isfinite(found).all() else None


def _correlation(
    pairs: list[tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]],
    asked: list[_Asked],
    within: bool = False,
) -> Bounds:
    """Return Spearman's correlation over leaves, mean over seeds.

    Args:
        pairs: Of each seed both sides, each as leaves and what is known of them.
        within: Inside groups of leaves with the same hypernyms.
    """
    values, fewest = [], 10**9
    for (one, other), each in zip(pairs, asked, strict=True):
        leaf, x, y = np.intersect1d(one[0], other[0], return_indices=True)
        taxonomy = each.dataset.taxonomy
        names = tuple(taxonomy.leaves[i] for i in leaf)
        sets = [taxonomy.hypernyms_of[name] for name in names]
        group = np.array([sorted(set(sets)).index(each) for each in sets]) if within else None
        weights = item_weights("leaf", names, REPLICATES, 0) if names else np.ones((0, 1))
        fewest = min(fewest, len(leaf) - (len(set(sets)) - 1) * within)
        if fewest > 1:
            values.append(rank_correlation(one[1][x], other[1][y], weights, group))
    return correlation_interval(np.mean(values, axis=0), fewest) if len(values) == len(asked) else UNKNOWN
