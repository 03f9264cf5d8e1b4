"""How long a grid takes several processes: the order in which they take on its work, simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush


@dataclass(frozen=True)
class WorkLeft:
    """What is left to do, in seconds of one process."""

    features: float
    heads: Mapping[str, float]
    """Training, of each head that is missing, by its digest."""
    runs: Sequence[tuple[Sequence[str], float]]
    """Of each run, its heads by their digests, and asking them."""


def makespan(work: WorkLeft, workers: int) -> float:
    """Return the seconds until all is done, if whoever is free takes on what comes next (list scheduling, Graham 1969).

    Images are shared out evenly; heads come in the order of the runs that want them first; a run is asked when the last
    of its heads is trained. Heads that are trained in smaller stacks than one process would make are taken to be as
    fast.
    """
    free = [work.features / workers] * workers  # when each of them is, as a heap
    trained: dict[str, float] = {}
    for wanted, _ in work.runs:
        for digest in wanted:
            if digest in work.heads and digest not in trained:
                trained[digest] = heappop(free) + work.heads[digest]
                heappush(free, trained[digest])
    asking = [
        (max((trained.get(digest, 0.0) for digest in wanted), default=0.0), seconds) for wanted, seconds in work.runs
    ]
    for ready, seconds in sorted(asking):
        heappush(free, max(heappop(free), ready) + seconds)
    return max(free)
