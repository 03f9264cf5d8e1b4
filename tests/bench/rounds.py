"""How things are compared: side by side in one run, round by round, as ratios with their spread."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """How fast a thing is relative to another, over several rounds: above 1 is faster."""

    what: str
    median: float
    lowest: float
    highest: float
    rounds: int
    seconds: float
    """Median time of one round of the thing."""
    baseline: float
    """Median time of one round of what it is compared with."""
    target: float | None = None
    """What the median should reach."""

    def line(self) -> str:
        """Return one line for people."""
        goal = "" if self.target is None else f"  (target {self.target:g}: {'met' if self.met else 'MISSED'})"
        return (
            f"{self.what:<78} {self.median:6.2f}  [{self.lowest:.2f}, {self.highest:.2f}]  "
            f"{self.seconds:.4g} s against {self.baseline:.4g} s{goal}"
        )

    @property
    def met(self) -> bool:
        """Say whether the target is reached."""
        return self.target is None or self.median >= self.target


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes, or says that it took."""
    start = time.perf_counter()
    said = function()
    return said if isinstance(said, float) else time.perf_counter() - start


def compare(
    what: str, thing: Callable[[], object], baseline: Callable[[], object], rounds: int, target: float | None = None
) -> Ratio:
    """Time a thing and its baseline in turns, in alternating order, after one round that does not count."""
    timed(baseline), timed(thing)
    ours, theirs = [], []
    for number in range(rounds):
        if number % 2:
            ours.append(timed(thing))
            theirs.append(timed(baseline))
        else:
            theirs.append(timed(baseline))
            ours.append(timed(thing))
    return ratio_of(what, ours, theirs, target)


def ratio_of(what: str, ours: Sequence[float], theirs: Sequence[float], target: float | None = None) -> Ratio:
    """Compare the seconds of two things, round by round."""
    ratios = [base / mine for base, mine in zip(theirs, ours, strict=True)]
    return Ratio(
        what,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        len(ratios),
        statistics.median(ours),
        statistics.median(theirs),
        target,
    )


def within(what: str, thing: Callable[[], object], seconds: float, rounds: int) -> Ratio:
    """Time a thing against a limit in seconds, after one round that does not count."""
    timed(thing)
    ours = [timed(thing) for _ in range(rounds)]
    median = statistics.median(ours)
    return Ratio(what, seconds / median, seconds / max(ours), seconds / min(ours), rounds, median, seconds, 1.0)
