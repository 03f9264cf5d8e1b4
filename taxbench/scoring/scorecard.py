"""From predictions to every score of a run; the same code scores a run at once and a record anew."""

from collections.abc import Iterable
from dataclasses import dataclass

from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.metrics import category_scores, chance_control, summarise
from taxbench.specs.result import CategoryScore, Scores


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All scores that follow from the answers to the test questions."""

    scores: dict[str, Scores]
    """By split."""
    controls: dict[str, dict[str, Scores]]
    """By control, then by split."""
    categories: tuple[CategoryScore, ...]


def score(predictions: Predictions, controls: Iterable[str]) -> Scorecard:
    """Score the answers of a run and of its controls.

    Args:
        controls: The task's controls; `chance` is computed, the others must be among the predictions.
    """
    scores: dict[str, Scores] = {}
    found: dict[str, dict[str, Scores]] = {name: {} for name in controls}
    categories: list[CategoryScore] = []
    for split in predictions.splits:
        rows = predictions.rows_of(split)
        asked = predictions.asked(rows)
        own = category_scores(split, predictions.terms, asked, predictions.margins[OWN][rows])
        scores[split] = summarise(own)
        others = {
            name: category_scores(split, predictions.terms, asked, predictions.margins[name][rows])
            for name in found
            if name != "chance"
        }
        for name in found:
            found[name][split] = chance_control(own) if name == "chance" else summarise(others[name])
        for i, row in enumerate(own):
            categories.append(row.model_copy(update={"controls": {name: some[i].f1 for name, some in others.items()}}))
    return Scorecard(scores, found, tuple(categories))
