"""One extraction as a process of its own, through the real pipeline, for others to kill.

Loaded once by the server that forks such processes, so that a kill costs no start of the interpreter.
"""

import os
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers  # noqa: F401 - its version stands in every entry; loaded here, so that no fork has to
from tqdm import tqdm

from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.features.encoders import describe_encoder
from taxbench.features.extract import Extraction, feature_key, features_of
from taxbench.features.store.index import begin_entry, entry_folder
from taxbench.features.store.layout import TokenShape, plan_layout
from taxbench.features.store.reader import FeatureTable
from taxbench.registry.models import find_encoder
from taxbench.specs.feature_key import FeatureKey, Layout, Origin
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import TaxbenchError
from taxbench.util.progress import Reporter
from tests.faults.logged import Logged

MARK = "TAXBENCH_FAULTS"
"""In the environment of every writer and of its helpers."""
tqdm.set_lock(threading.RLock())  # its own would be a semaphore of the system, which a kill leaves behind
CARD = describe_encoder(find_encoder("pixels"))
SHAPES = {"pooled": TokenShape(1, 3072), "grid2": TokenShape(4, 48)}


@dataclass(frozen=True, slots=True)
class Job:
    """What is extracted, where to, and how."""

    images: tuple[ImageRecord, ...]
    photos: Path
    cache: Path
    pools: tuple[str, ...] = ("pooled",)
    batch: int = 16
    workers: int = 0
    small: tuple[int, int] | None = (16, 128)
    """Rows of a block and of a shard that the entry is begun with; None: as the pipeline plans it."""

    @property
    def how(self) -> Extraction:
        """Return the pipeline's options."""
        return Extraction(torch.device("cpu"), torch.float32, batch=self.batch, workers=self.workers)

    @property
    def keys(self) -> list[FeatureKey]:
        """Return the key of each pool."""
        dataset = self.dataset(Path(os.devnull))
        return [feature_key(dataset, CARD, CARD.reading(-1, pool), self.how) for pool in self.pools]

    @property
    def folders(self) -> list[Path]:
        """Return the folder of each pool's entry."""
        return [entry_folder(self.cache, key) for key in self.keys]

    @property
    def layouts(self) -> list[Layout]:
        """Return the geometry of each pool's entry."""
        shapes = [SHAPES[pool] for pool in self.pools]
        planned = [plan_layout(len(self.images), shape, "float16", beside=shapes) for shape in shapes]
        if self.small is None:
            return planned
        block_rows, shard_rows = self.small
        return [each.model_copy(update={"block_rows": block_rows, "shard_rows": shard_rows}) for each in planned]

    def dataset(self, log: Path) -> Dataset:
        """Return the pictures; a log notes which are decoded."""
        return Dataset("folder:photos", self.images, Taxonomy({}), "pillow", Logged(self.photos, log))

    def begin(self) -> None:
        """Begin the entries with small blocks and shards; whoever extracts keeps to them."""
        for key, layout in zip(self.keys, self.layouts, strict=True) if self.small else ():
            begin_entry(self.cache, key, layout, Origin())

    def elsewhere(self, cache: Path) -> "Job":
        """Return the same work for another cache."""
        return replace(self, cache=cache)


def extract(job: Job, log: Path = Path(os.devnull)) -> list[FeatureTable]:
    """Extract in this process."""
    readings = [CARD.reading(-1, pool) for pool in job.pools]
    return features_of(job.dataset(log), CARD, readings, job.how, job.cache, Reporter(quiet=True))


def warm_up() -> None:
    """Do nothing, so that the server of processes stands."""


def run(job: Job, log: Path, errors: Path) -> None:
    """Extract as a process: exit with 0, or with 1 and the error's text in a file."""
    os.environ[MARK] = str(job.cache)
    torch.set_num_threads(1)
    try:
        extract(job, log)
    except TaxbenchError as error:
        errors.write_text(str(error))
        sys.exit(1)
