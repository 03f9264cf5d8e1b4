"""Write and read the record of a run: result.json, its predictions, and the wall times beside it."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from taxbench.data.dataset import Dataset
from taxbench.data.questions import QuestionSet, Vocabulary
from taxbench.errors import DataError
from taxbench.paths import replacing
from taxbench.specs.result import Result
from taxbench.specs.run import RunSpec

_NAME = "result.json"


def result_folder(out: Path, run: RunSpec) -> Path:
    """Return the folder of a run's record: readable, and unique by the run's digest."""
    words = [run.lm.name, run.encoder.name, run.head.name, run.dataset.name, f"seed{run.seed}", run.digest[:8]]
    return out / run.task.name / "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", word) for word in words)


def write_result(folder: Path, result: Result, predictions: bytes, seconds: dict[str, float]) -> None:
    """Write a record; `result.json` comes last, so a folder that has one is complete."""
    for name, content in (
        (result.predictions, predictions),
        ("timing.json", json.dumps({k: round(v, 3) for k, v in seconds.items()}, indent=1).encode() + b"\n"),
        (_NAME, (result.model_dump_json(indent=1) + "\n").encode()),
    ):
        with replacing(folder / name) as partial:
            partial.write_bytes(content)


def read_result(path: Path) -> Result:
    """Read one `result.json`.

    Raises:
        DataError: it is no record of this version.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"The result '{path}' cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"'{path}' is no result of this version: {where}: {first['msg']}.") from None


def find_results(folders: Iterable[Path]) -> list[Path]:
    """Return every `result.json` below the folders, sorted."""
    return sorted({path for folder in folders for path in folder.rglob(_NAME)})


class Predictions:
    """Every test question of a run with its answer and margins, as compressed CSV with a header."""

    def __init__(self, dataset: Dataset, vocabulary: Vocabulary, controls: tuple[str, ...]) -> None:
        self._ids = [image.id for image in dataset.images]
        self._terms = vocabulary.terms
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["split", "image", "term", "answer", "margin", *(f"margin_{name}" for name in controls)])

    def add(self, split: str, asked: QuestionSet, margins: list[np.ndarray]) -> None:
        """Add the questions of one split; `margins` are the run's and then each control's.  # each (q,)"""
        for i in range(len(asked)):
            answer = "yes" if asked.answer[i] else "no"
            values = [f"{column[i]:.5g}" for column in margins]
            self._rows.writerow([split, self._ids[asked.image[i]], self._terms[asked.term[i]], answer, *values])

    def bytes(self) -> bytes:
        """Return the compressed file; the gzip header carries no time, so equal runs give equal bytes."""
        return gzip.compress(self._text.getvalue().encode(), mtime=0)
