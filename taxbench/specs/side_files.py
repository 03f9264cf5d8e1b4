"""What lies beside a record and is no part of it: what its run cost, and how the losses of its heads fell."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Self

from pydantic import Field

from taxbench.specs.spec import Spec

_POINTS = 100
"""Of a loss curve."""


class Timing(Spec):
    """What a run cost: `timing.json`, apart from the record, which holds nothing that differs from run to run."""

    machine: str
    """The processor, or the accelerator, and the number of cores."""
    seconds: dict[str, float]
    """Wall time by phase. What several runs share stands with the run that waited for it."""
    work: dict[str, float] = Field(default_factory=dict)
    """FLOPs of the LM by phase, to tell what other runs will take."""
    lm: str = ""
    """The digest of the LM."""
    dtype: str = ""
    """What it computed in; empty: written by an earlier release."""
    memory: int = 0
    """The most bytes that the process has had until then: of the accelerator, or on CPUs resident; 0: not measured."""
    finished: str = Field(default="", pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")
    """The day on which the run ended, in UTC; empty: written by an earlier release."""


class LossCurve(Spec):
    """How the loss of one head fell in training, apart from how sure it is on test questions."""

    step: tuple[int, ...]
    """Up to which step each mean goes, from the one before on."""
    loss: tuple[float, ...]
    """Mean loss of those steps, on the questions of training: −log p(right answer)."""
    validation: tuple[tuple[int, float], ...]
    """After which steps the loss on leaf questions about validation images was looked at, and what it was."""

    @classmethod
    def of(cls, losses: Sequence[float], validation: Sequence[tuple[int, float]]) -> Self:
        """Return the means over equal parts of the steps, and the validation losses; without what is no number."""
        n = len(losses)
        edges = sorted({round(part * n / _POINTS) for part in range(_POINTS + 1)})
        means = [(b, sum(losses[a:b]) / (b - a)) for a, b in pairwise(edges)]
        known = [(step, round(loss, 4)) for step, loss in means if isfinite(loss)]
        return cls(
            step=tuple(step for step, _ in known),
            loss=tuple(loss for _, loss in known),
            validation=tuple((step, round(loss, 4)) for step, loss in validation if isfinite(loss)),
        )


class TrainingLosses(Spec):
    """The losses of the heads of a run: `losses.json`, apart from the record, whose identity they are no part of."""

    heads: dict[str, LossCurve]
    """Of the run's own head (`none`) and of its controls; fitted heads have none."""
