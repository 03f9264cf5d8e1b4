"""What all runs of one command hold in common: datasets, the language model in use, and what is made of it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxbench.datasets.dataset import Dataset
from taxbench.heads.moments import LRUCache
from taxbench.lms.frozen import FrozenLM, random_twin
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.specs.sources import LMSpec, SystemSpec
from taxbench.systems.text_side import TextSide
from taxbench.util.locks import Claims

CLAIMS = ".claims"
"""The lock file by which processes share the heads of a cache, and the runs of a folder of results."""


@dataclass
class LoadedLM:
    """A frozen language model, with what is made of it and kept."""

    lm: FrozenLM
    twin_of: tuple[int, FrozenLM] | None = None
    """The random twin of a seed; one is kept, since runs of one seed share it."""
    scorers: dict[tuple[Any, ...], QuestionScorer] = field(default_factory=dict)

    def twin(self, seed: int) -> FrozenLM:
        """Return the language model with random weights."""
        if self.twin_of is None or self.twin_of[0] != seed:
            own = {key: scorer for key, scorer in self.scorers.items() if scorer.lm is self.lm}
            self.scorers, self.twin_of = own, None  # the last twin makes room first
            self.twin_of = (seed, self.lm.twin(seed) if isinstance(self.lm, TextSide) else random_twin(self.lm, seed))
        return self.twin_of[1]


@dataclass
class Shared:
    """What the contexts of one command share."""

    datasets: dict[tuple[str, Path | None, Path | None], Dataset] = field(default_factory=dict)
    loaded: dict[LMSpec | SystemSpec, LoadedLM] = field(default_factory=dict)
    """The language model in use, or the text side of the system, and no other."""
    fits: LRUCache = field(default_factory=LRUCache)
    """What closed-form heads share."""
    answered: dict[Hashable, dict[int, float]] = field(default_factory=dict)
    """What heads to which images look alike have answered; see `FittedHead`."""
    workers: Callable[[], int] = lambda: 1
    """Returns how many processes share the runs."""
    claims: dict[Path, Claims] = field(default_factory=dict)
    """What this command has taken on, by the folder that it is about."""

    def claims_in(self, folder: Path) -> Claims:
        """Return what this command has taken on in a folder."""
        if folder not in self.claims:
            self.claims[folder] = Claims(folder / CLAIMS)
        return self.claims[folder]
