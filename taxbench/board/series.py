"""The points and series that charts and figures are made of."""

from dataclasses import dataclass

from taxbench.board.board import Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a chart. Of a deprivation curve x is how much of the evidence was denied, in per cent.

    Measured, random: of the questions, in effect; published, random: of the concepts, as asked for; systematic: of the
    hypernyms.
    """

    x: float
    y: float
    label: str
    low: float | None = None
    """Lower end of the interval of y, where it is known."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Points that belong together, such as those of a curve: F1 on denied hypernyms, up to all evidence denied."""

    name: str
    points: tuple[Point, ...]
    published: bool = False
    twin: tuple[Point, ...] = ()
    """The same through the random LM, where known."""


def points_of(x: float, score: Estimate, what: str) -> list[Point]:
    """Return the point of a curve that says what it is; none where there is no score."""
    if score.mean is None:
        return []
    return [Point(x, score.mean, f"{what}: {score}", score.low, score.high)]
