"""Score a record anew from its predictions, without any model, and say where the scores differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from taxbench.results.predictions import Predictions
from taxbench.scoring.metrics import Scorecard, score
from taxbench.specs.result import Result
from taxbench.util.errors import DataError, first_few

# What scoring may take: scores of terms, and cells of the table behind the chance of a term. A stranger's file may ask
# for terabytes; THINGS needs 10**5 and 5 * 10**6.
_MOST_SCORES = 10**6
_MOST_CELLS = 10**8

ScoreValue = float | None | str


@dataclass(frozen=True, slots=True)
class ScoreMismatch:
    """One score that is not what follows from the predictions."""

    split: str
    where: str
    """Such as `scores.unseen.macro_f1`."""
    recorded: ScoreValue
    recomputed: ScoreValue

    def __str__(self) -> str:
        said, meant = ("no score" if value is None else value for value in (self.recorded, self.recomputed))
        return f"{self.where} is {said}, but {meant} follows from the predictions"


def rescore(result: Result, predictions: Predictions) -> Scorecard:
    """Compute all scores of a record.

    Raises:
        DataError: a control has no predictions, or scoring would take more than any honest file asks for.
    """
    controls = result.run.task.controls
    lacking = [name for name in controls if name != "chance" and name not in predictions.margins]
    if lacking:
        raise DataError(
            f"The predictions lack margins of the controls {first_few(lacking)}; they have "
            f"{first_few(predictions.margins)}."
        )
    _, asked = np.unique(predictions.split * np.int64(len(predictions.terms)) + predictions.term, return_inverse=True)
    positives, every = np.bincount(asked, weights=predictions.answer), np.bincount(asked)
    cells = int((positives * (every - positives)).max(initial=0))
    if len(every) * len(predictions.margins) > _MOST_SCORES or cells > _MOST_CELLS:
        raise DataError(
            f"{len(every):,} terms, of which one has {cells:,} pairs of a positive and a negative question, are more "
            "than can be scored here."
        )
    return score(predictions, controls, result.thresholds)


def differences(result: Result, card: Scorecard) -> list[ScoreMismatch]:
    """Compare every score of a record with those computed anew; equal means equal, since both are rounded alike."""
    recorded, anew = dict(_scores(result)), dict(_scores(card))
    found = [
        ScoreMismatch(*key, recorded.get(key, "absent"), anew.get(key, "nothing"))
        for key in dict.fromkeys([*anew, *recorded])
        if key not in recorded or key not in anew or recorded[key] != anew[key]
    ]
    if not found and result.categories != card.categories:
        found.append(ScoreMismatch("", "categories", "in another order, or has a term twice", "another list"))
    return found


def _scores(card: Scorecard | Result) -> Iterator[tuple[tuple[str, str], ScoreValue]]:
    """Yield every score by its split and place."""
    for split, scores in card.scores.items():
        yield from (((split, f"scores.{split}.{name}"), value) for name, value in scores)
    for control, by_split in card.controls.items():
        for split, scores in by_split.items():
            yield from (((split, f"controls.{control}.{split}.{name}"), value) for name, value in scores)
    for row in card.categories:
        where = f"categories.{row.split}.{row.term}"
        for name, value in row:
            if name == "controls":
                yield from (((row.split, f"{where}.controls.{each}"), f1) for each, f1 in row.controls.items())
            elif name not in ("split", "term"):
                yield (row.split, f"{where}.{name}"), value
