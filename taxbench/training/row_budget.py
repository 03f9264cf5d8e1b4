"""How many rows of the LM to compute at a time: as many as an estimate says will fit, and half when they do not."""

from collections.abc import Iterator

import torch

from taxbench.features.store.reader import free_memory
from taxbench.util.errors import TrainingError

_SHARE = 0.5  # of the free memory: the estimate is one of activations and knows nothing of fragmentation


class RowBudget:
    """Rows that fit into memory at a time; results do not depend on it, but for rounding where heads read states.

    Args:
        row_bytes: An estimate of the memory that one row takes at most.
        jobs: How many share the memory.
    """

    def __init__(self, row_bytes: int, device: torch.device, jobs: int = 1) -> None:
        self.rows = max(1, int(free_memory(device) * _SHARE / jobs) // max(1, row_bytes))

    def parts(self, n: int, at_once: int = 1) -> Iterator[slice]:
        """Cut n rows into equal parts of which some fit at once."""
        count = min(n, -(-n * at_once // self.rows) if n > self.rows else at_once)
        for i in range(count):
            yield slice(i * n // count, (i + 1) * n // count)

    def halve(self, error: RuntimeError, n: int) -> None:
        """Take half as many rows from now on.

        Raises:
            TrainingError: a single row does not fit.
        """
        at_once = min(self.rows, n)
        if at_once <= 1:
            raise TrainingError(
                f"One image with its questions does not fit into memory ({str(error).splitlines()[0]}). Take fewer "
                "feature vectors (--set pool=grid4), a smaller model, or another --device."
            ) from None
        self.rows = at_once // 2


def out_of_memory(error: Exception) -> bool:
    """Say whether an error means that memory ran out; on a CPU torch has no type of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
