"""Read what lies beside a record."""

from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from taxbench.results.records import LOSSES, MOST_BYTES, TIMING
from taxbench.specs.side_files import Timing, TrainingLosses
from taxbench.specs.spec import Spec
from taxbench.util.errors import DataError
from taxbench.util.paths import read_within

S = TypeVar("S", bound=Spec)


def read_losses(folder: Path) -> TrainingLosses | None:
    """Return the losses that lie beside a record; None: there are none, or they cannot be read."""
    return _beside(folder / LOSSES, TrainingLosses)


def read_timing(folder: Path) -> Timing | None:
    """Return what the run of a record cost; None: it does not lie beside it, or cannot be read."""
    return _beside(folder / TIMING, Timing)


def _beside(path: Path, kind: type[S]) -> S | None:
    """Return what lies beside a record; nothing where it is missing or of another form, since no score rests on it."""
    with suppress(OSError, ValueError, DataError):
        return kind.model_validate_json(read_within(path, MOST_BYTES, "a file beside a record has at most"))
    return None
