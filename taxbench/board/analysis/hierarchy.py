"""Hierarchical consistency of published answers, a line for each system and task, beside its controls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxbench.board.board import Estimate, Row
from taxbench.board.load import LoadedResults, load_predictions
from taxbench.board.render.cells import markdown_table, markdown_text, said, task_name, with_interval
from taxbench.board.rows import make_table, record_key
from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import interval, over_items
from taxbench.scoring.consistency import Consistency, Shares, consistency, mean_over_seeds
from taxbench.specs.controls import control_title
from taxbench.util.errors import UsageError
from taxbench.util.text import NOTHING_TO_SHOW

_SHOWN = ("random_lm", "text_only")
_LEGEND = (
    "Shares of test pictures, means over seeds [95 % interval over sets of hypernyms]. Leaf: every question about its "
    "name is answered right, Yes where it is and No where it is not; hypernyms: every question about those is; "
    "consistent: both. Where hypernyms are right as often without the leaf as with it, they do not go by it. "
    "By chance: consistent with a fair coin; the other columns are the same share of controls."
)


@dataclass(frozen=True, slots=True)
class ConsistencyRow:
    """One task of one system, averaged over seeds."""

    dataset: str
    task: str
    lm: str
    encoder: str
    head: str
    setting: str
    seeds: tuple[int, ...]
    leaf: Estimate
    hypernyms: Estimate
    consistency: Estimate
    given_leaf: Estimate
    """Hypernyms, of the pictures whose leaf is right."""
    given_no_leaf: Estimate
    """Hypernyms, of the others."""
    chance: Estimate
    """Consistency of a fair coin."""
    controls: dict[str, Estimate]
    """Consistency of controls."""
    n_images: int
    """Of all seeds."""


def consistencies(found: LoadedResults) -> tuple[ConsistencyRow, ...]:
    """Return the consistency of all records about hypernyms, averaged over seeds.

    Raises:
        UsageError: none of them asks pictures for their leaf and their hypernyms.
        DataError: predictions are missing or not those of their record.
    """
    of = {record_key(each): each for each in found.results}
    made, rows = [], make_table(found.results)
    for row in rows:
        if not row.task.property_questions and row.split in ("seen", "unseen") and "leaf" in row.task.evaluate:
            group = [of[f"{record.digest} {record.predictions}"] for record in row.records]
            made.append(_of_row(row, task_name(row, rows), [load_predictions(result) for result in group]))
    if not made:
        raise UsageError(
            "No result asks pictures for their leaf and for hypernyms. Make one: taxbench run --task unseen_hypernym"
        )
    return tuple(made)


def _of_row(row: Row, task: str, answered: Sequence[Predictions]) -> ConsistencyRow:
    """Return the consistency of one system's answers to one task, a file of them a seed."""

    def of(name: str) -> Consistency | None:
        each = [consistency(one, row.split, name) for one in answered if name in one.margins]
        there = [one for one in each if one is not None]
        return mean_over_seeds(there) if len(there) == len(answered) else None

    own = of(OWN)
    assert own is not None, "every test picture of a task with both splits is asked both"

    def estimate(shares: Shares, n_clusters: int) -> Estimate:
        known = bool(np.isfinite(shares[0]))
        return Estimate(float(shares[0]), None, *interval(over_items(shares), n_clusters)) if known else Estimate(None)

    controls = {name: each for name in _SHOWN if (each := of(name)) is not None}
    return ConsistencyRow(
        *(row.dataset, task, row.lm, row.encoder, row.head, row.setting, row.seeds),
        leaf=estimate(own.leaf, own.n_clusters),
        hypernyms=estimate(own.hypernyms, own.n_clusters),
        consistency=estimate(own.both, own.n_clusters),
        given_leaf=estimate(own.given_leaf, own.n_clusters),
        given_no_leaf=estimate(own.given_no_leaf, own.n_clusters),
        chance=Estimate(float(own.coin[0])),
        controls={name: estimate(each.both, each.n_clusters) for name, each in controls.items()},
        n_images=own.n_images,
    )


def consistency_text(found: Sequence[ConsistencyRow]) -> str:
    """Return the table of consistencies as Markdown, with what its columns mean."""
    names = ("dataset", "task", "LM", "encoder", "head", "setting")
    titles = ["leaf", "hypernyms", "consistent", "hypernyms given leaf", "hypernyms without", "by chance"]
    lines = [[*names, "seeds", *titles, *map(control_title, _SHOWN)]]
    for each in found:
        scores = (each.leaf, each.hypernyms, each.consistency, each.given_leaf, each.given_no_leaf, each.chance)
        controls = (each.controls.get(name) for name in _SHOWN)
        lines.append([
            *(markdown_text(getattr(each, name.lower())) for name in names),
            str(len(each.seeds)),
            *map(with_interval, scores),
            *(with_interval(score) if score else NOTHING_TO_SHOW for score in controls),
        ])  # fmt: skip
    return f"{markdown_table(said(lines, always=titles))}\n\n{_LEGEND}\n"
