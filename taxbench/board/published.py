"""Runs beside the published scores that their tasks carry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from taxbench.board.board import Estimate, Row
from taxbench.specs.task import PublishedFigure, TaskSpec


@dataclass(frozen=True, slots=True)
class BesidePublished:
    """One published cell and ours."""

    task: str
    run: str
    """LM, encoder and what is not as by default."""
    split: str
    control: str
    here: Estimate
    published: PublishedFigure
    source: str

    @property
    def value(self) -> float:
        """Return the published score that is scored as ours is: without categories of one class."""
        return self.published.macro_f1 if self.published.two_class is None else self.published.two_class

    @property
    def difference(self) -> float | None:
        """Return our score minus the published one."""
        return None if self.here.mean is None else self.here.mean - self.value


def compare_with_published(rows: Iterable[Row], tasks: Mapping[str, TaskSpec]) -> list[BesidePublished]:
    """Find the published scores of the same task, content, dataset, encoder, LM and split."""
    comparisons = []
    for row in rows:
        task = tasks.get(row.name)
        if task is None or task.expected is None or task.identity != row.task.identity:
            continue
        if task.expected.dataset != row.dataset.partition(":")[0]:
            continue
        for cell in task.expected.figures:
            scores = row.split_f1 if cell.control == "none" else row.random_lm_split_f1
            if (cell.encoder, cell.lm) == (row.encoder, row.lm) and cell.split in scores:
                run = ", ".join(filter(None, (row.lm, row.encoder, row.setting)))
                here, source = scores[cell.split], task.expected.source
                comparisons.append(BesidePublished(row.name, run, cell.split, cell.control, here, cell, source))
    return comparisons
